//! Outbound HTTP as the plugin needs it: one call, one reply.
//!
//! Owns the seam, in the shape of the host's `http-client`; drivers and references are written against it and know no host.

use std::time::Duration;

use plugbay_sdk::http_client::{self, Deadlines, Outbound};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Method.
    pub method: &'static str,
    /// Absolute URL.
    pub url: String,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// Body; empty: none.
    pub body: Vec<u8>,
    /// Name of a credential that the host attaches.
    pub credential: Option<String>,
    /// For the whole exchange.
    pub timeout: Duration,
    /// Most bytes of the reply's body.
    pub limit: u64,
}

impl Call {
    /// A request without a body, for 30 seconds and 1 MiB.
    pub fn new(method: &'static str, url: impl Into<String>) -> Call {
        Call {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            credential: None,
            timeout: Duration::from_secs(30),
            limit: 1024 * 1024,
        }
    }

    /// Add a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Call {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Send JSON.
    #[must_use]
    pub fn json(mut self, value: &serde_json::Value) -> Call {
        self.body = value.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    /// Have the host attach a credential.
    #[must_use]
    pub fn credential(mut self, name: Option<&String>) -> Call {
        self.credential = name.cloned();
        self
    }
}

/// What came back, whatever its status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `Protocol` if it is not.
    pub fn json(&self) -> Result<serde_json::Value, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Protocol(format!("the reply is not JSON: {error}")))
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not granted, or not on the operator's list.
    #[error("the operator does not allow this destination")]
    Denied,
    /// No URL, or a field that cannot be sent.
    #[error("not a request: {0}")]
    Invalid(String),
    /// No name or no connection.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Not the certificate that was expected.
    #[error("not to be trusted: {0}")]
    Untrusted(String),
    /// It took too long.
    #[error("no reply in time")]
    Timeout,
    /// The body is longer than the limit.
    #[error("the reply is too long")]
    TooLarge,
    /// What came is no HTTP, or not what was to come.
    #[error("{0}")]
    Protocol(String),
}

/// A way out.
pub trait Http {
    /// Send a request and wait for its reply. Redirects are not followed.
    ///
    /// # Errors
    /// See [`Error`]. A status is not an error.
    fn send(&self, call: &Call) -> Result<Reply, Error>;
}

/// The host's `http-client`. Servers are trusted as the operator says: by the authorities of the system and those of
/// `outbound.ca`. Natively every call is denied.
#[derive(Debug, Clone, Copy)]
pub struct Host;

impl Http for Host {
    fn send(&self, call: &Call) -> Result<Reply, Error> {
        let headers = call.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        let whole = u32::try_from(call.timeout.as_millis()).unwrap_or(u32::MAX);
        let answer = http_client::send(&Outbound {
            headers,
            body: call.body.clone(),
            credential: call.credential.clone(),
            deadlines: Deadlines { whole: Some(whole), ..Deadlines::OPERATORS },
            limit: Some(call.limit),
            ..Outbound::new(call.method, call.url.clone())
        });
        let answer = answer.map_err(of_host)?;
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        let headers = answer.headers.into_iter().map(|(name, value)| (name, text(value))).collect();
        Ok(Reply { status: answer.status, headers, body: answer.body })
    }
}

fn of_host(error: http_client::Error) -> Error {
    use http_client::Error as Said;
    match error {
        Said::Denied => Error::Denied,
        Said::Invalid(why) | Said::NoSuchSecret(why) => Error::Invalid(why),
        Said::Resolve(why) | Said::Connect(why) => Error::Unreachable(why),
        Said::PinMismatch(_) => Error::Untrusted("another certificate than the pinned one".to_owned()),
        Said::Tls(why) => Error::Untrusted(why),
        Said::Timeout(_) => Error::Timeout,
        Said::TooLarge => Error::TooLarge,
        Said::Protocol(why) | Said::Storage(why) => Error::Protocol(why),
    }
}
