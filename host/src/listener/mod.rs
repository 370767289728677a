//! Sockets, TLS and HTTP connections: from `bind` to a request a handler can answer.
//!
//! Owns the accept loop, TLS handshakes and certificate replacement, HTTP/1.1 and HTTP/2 framing
//! (hyper's), every limit on what a stranger can make a connection cost, and the graceful drain.
//! It does not own routing, authentication or plugins: it calls a [`Handler`] and sends what that
//! returns.
//!
//! ```no_run
//! # use plugbay::listener::{bind, Bind, Handler, ListenerConfig, Shutdown};
//! # async fn start<H: Handler>(handler: std::sync::Arc<H>) -> Result<(), Box<dyn std::error::Error>> {
//! let shutdown = Shutdown::new(std::time::Duration::from_secs(30));
//! let config = ListenerConfig::new("public", Bind::Tcp("127.0.0.1:8080".parse()?));
//! let listening = bind(config).await?.serve(handler, shutdown.clone());
//! shutdown.begin();
//! let drained = listening.stopped().await;
//! # Ok(())
//! # }
//! ```
//!
//! One request takes this way: `accept` → `connection` (handshake, which protocol) → hyper →
//! `screen` (is it one request, and whose) → [`Handler::call`] → hyper → `io`.
//!
//! # Invariants
//!
//! * **A handler sees only well-formed requests.** The target is in origin form (or `*`, for
//!   OPTIONS), there is one valid authority (see [`authority`]), and the length of the body is
//!   not in doubt. `screen` says what hyper refuses, what it tolerates, and what is refused here.
//! * **Every wait for a client ends.** TLS handshake, request head, body (idle and rate), unread
//!   answers and idle connections each have a limit in [`HttpLimits`]. Waiting for the handler
//!   has none here: deadlines are the handler's.
//! * **No timer on the short path.** A request without a body whose answer fits the socket's
//!   buffer makes no timer and one reference count of ours. Timers are armed when a wait begins
//!   and are left armed: one that fires early looks at the time and goes back to sleep.
//! * **The accept loop ends by shutdown alone.** Errors of `accept` are counted, logged once a
//!   period, and waited out where descriptors or memory are short.

mod accept;
mod activity;
mod body;
mod config;
mod connection;
mod drain;
mod error;
mod io;
mod metrics;
mod pem;
mod screen;
mod socket;
mod streams;
mod timer;
mod tls;
mod verifier;
mod watch;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;

pub use accept::{Bound, Drained, Listening, bind};
pub use body::{BodyError, RequestBody};
pub use config::{Bind, ClientAuth, HttpLimits, ListenerConfig, TlsConfig, TlsVersion};
pub use drain::Shutdown;
pub use error::ListenError;
pub use metrics::Metrics;
pub use screen::authority;

/// Answers requests. One handler is shared by all connections of a listener, and may be shared by
/// several listeners.
pub trait Handler: Send + Sync + 'static {
    /// The answer's body. An error ends the answer in the middle: the client sees a broken
    /// connection (HTTP/1.1) or a reset stream (HTTP/2), never a short body that looks whole.
    ///
    /// A frame should stay near 64 KiB: for a client that reads slowly, one frame is held beside
    /// the buffers whose size the listener bounds.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;

    /// Answers one request. The future is dropped when the client goes away.
    ///
    /// The request's target is in origin form; its authority is given by [`authority`].
    fn call(
        &self,
        connection: &Arc<Connection>,
        request: http::Request<RequestBody>,
    ) -> impl Future<Output = http::Response<Self::Body>> + Send;
}

/// What is known of a connection, the same for all its requests.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Name of the listener that accepted it.
    pub listener: Arc<str>,
    /// Whether TLS protects it.
    pub scheme: Scheme,
    /// `address:port` (`[address]:port` for IPv6), or `unix`.
    pub peer_address: Arc<str>,
    /// The client's certificate as DER, if the listener asked for one and the client proved
    /// possession of its key. Whether anyone vouches for it depends on [`ClientAuth`].
    pub peer_certificate: Option<Arc<[u8]>>,
    /// The peer is on this machine: a loopback address or a unix socket.
    pub is_loopback: bool,
}

/// The scheme of a connection's requests. What a client writes in an absolute target or in
/// HTTP/2's `:scheme` does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}
