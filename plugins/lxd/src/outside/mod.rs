//! The world outside the plugin: requests to nodes, secrets the host keeps, the time.
//!
//! The seam to the host's `http-client` and `secrets` interfaces, with the same shapes, so that a binding is a thin
//! adapter ([`Host`]). Nothing outside these traits sends a request or sees a private key after it was handed over.

#[cfg(test)]
pub(crate) mod fake;
mod host;

use std::rc::Rc;

pub use host::{Host, Machine};

/// One request to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// `GET`, `POST`, `DELETE`.
    pub method: &'static str,
    /// With scheme, host and port.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// Name of the secret whose certificate and key are shown to the node.
    pub identity: String,
    /// SHA-256 of the only server certificate to talk to. Compared before any byte of the request is sent.
    pub pin: [u8; 32],
    /// Milliseconds to the end of the TLS handshake.
    pub connect_timeout_ms: u32,
    /// Milliseconds to the end of the answer.
    pub timeout_ms: u32,
    /// Most bytes of the answer's body.
    pub limit: u64,
}

/// A node's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// This host cannot do it, or was not told to: the capability that is missing.
    #[error("this host does not provide `{0}` to the plugin")]
    Missing(&'static str),
    /// The operator's list does not have the destination.
    #[error("the operator does not allow this destination")]
    Denied,
    /// The request or the secret is not usable.
    #[error("{0}")]
    Invalid(String),
    /// No connection. Nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// The server's certificate is not the pinned one. Nothing was sent.
    #[error("the server presents another certificate than the pinned one")]
    PinMismatch,
    /// No whole answer in time. Whether the request had an effect is not known.
    #[error("no answer in time")]
    Timeout,
    /// The answer is longer than the limit. The request may have had its effect.
    #[error("the answer is too long")]
    TooLarge,
    /// The connection broke, or the answer is not HTTP. Whether the request had an effect is not known.
    #[error("{0}")]
    Broken(String),
}

/// Requests to nodes.
pub trait Fetch {
    /// Send one and wait for the whole answer, whatever its status.
    ///
    /// # Errors
    /// If there is no whole answer.
    fn send(&self, request: &Outbound) -> Result<Inbound, Fault>;
}

/// Secrets that the host keeps.
pub trait Secrets {
    /// Keep a certificate chain and its private key, both PEM, under a name; what was there is replaced.
    ///
    /// # Errors
    /// `Invalid` if they do not belong together.
    fn put_identity(&self, name: &str, certificate: &str, key: &str) -> Result<(), Fault>;

    /// Forget a secret; one that is not there is no fault.
    ///
    /// # Errors
    /// If the host cannot.
    fn delete(&self, name: &str) -> Result<(), Fault>;
}

/// The time.
pub trait Clock {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;
}

/// All of it.
#[derive(Clone)]
pub struct Outside {
    /// Requests.
    pub fetch: Rc<dyn Fetch>,
    /// Secrets.
    pub secrets: Rc<dyn Secrets>,
    /// Time.
    pub clock: Rc<dyn Clock>,
}

impl Outside {
    /// What the host offers.
    pub fn host() -> Outside {
        Outside { fetch: Rc::new(Host), secrets: Rc::new(Host), clock: Rc::new(Machine) }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}
