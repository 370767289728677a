//! One connection: opening it, and sending a request on it.
//!
//! Owns TCP, TLS and the choice between HTTP/1.1 and 2, each phase within its time. Does not own which addresses may
//! be connected to, nor who uses a connection when. Invariant: when the last user of a connection is gone, or
//! a request on it is given up, the socket is closed, even if the other side takes nothing more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{HeaderValue, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::Host;

use super::error::{OutboundError, Phase};
use super::request::Checked;
use super::target::Target;

/// Most bytes of an answer's head.
const MAX_HEAD: usize = 64 * 1024;
/// Most header fields of an answer.
const MAX_FIELDS: usize = 256;
/// Bytes that an HTTP/2 server may send ahead of the reader: of one answer, and of all on one connection.
const WINDOWS: (u32, u32) = (256 * 1024, 2 * 1024 * 1024);
/// How long an address is waited for before the next one is tried beside it.
const PATIENCE: Duration = Duration::from_millis(250);
/// After the end of an answer, a kept connection is ready for the next request as soon as its task has run.
const SETTLE: Duration = Duration::from_millis(100);

/// A connection that is open, or was. Clones of one over HTTP/2 share it.
#[derive(Clone)]
pub(super) struct Connection {
    sender: Sender,
    task: Arc<Task>,
    /// Why it ended, when it has.
    ended: watch::Receiver<Option<OutboundError>>,
}

enum Sender {
    /// One request at a time. The only user has it.
    Http1(Option<http1::SendRequest<Full<Bytes>>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Clone for Sender {
    fn clone(&self) -> Self {
        match self {
            Self::Http1(_) => Self::Http1(None),
            Self::Http2(sender) => Self::Http2(sender.clone()),
        }
    }
}

/// What moves the bytes; ends with its last user.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A request without an answer.
pub(super) struct Failed {
    pub error: OutboundError,
    /// Whether it may be sent again: nothing of it was sent, or (`None`) that is not known.
    pub unsent: Option<bool>,
}

/// Do something within its own time and that of the whole request.
pub(super) async fn within<T>(
    phase: Phase,
    limit: Duration,
    whole: Instant,
    work: impl Future<Output = T>,
) -> Result<T, OutboundError> {
    let own = Instant::now() + limit;
    let (until, phase) = if whole < own { (whole, Phase::Whole) } else { (own, phase) };
    timeout_at(until, work).await.map_err(|_| OutboundError::Timeout(phase))
}

/// Connect to the address that answers first. They are tried in their order, the next one when the last one failed or
/// did not answer for a moment (RFC 8305).
pub(super) async fn tcp(addresses: &[SocketAddr], until: Instant) -> Result<TcpStream, OutboundError> {
    let mut failed = OutboundError::Timeout(Phase::Connect);
    let mut waiting = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    loop {
        attempts.extend(waiting.next().map(|address| async move { (address, TcpStream::connect(address).await) }));
        let patience = if waiting.len() > 0 { (Instant::now() + PATIENCE).min(until) } else { until };
        match timeout_at(patience, attempts.next()).await {
            Ok(Some((_, Ok(stream)))) => {
                let set = stream.set_nodelay(true);
                return set.map(|()| stream).map_err(|error| OutboundError::Connect(error.to_string()));
            }
            Ok(Some((address, Err(error)))) => failed = OutboundError::Connect(format!("{address}: {error}")),
            // Nobody is left.
            Ok(None) => return Err(failed),
            Err(_) if patience == until => return Err(OutboundError::Timeout(Phase::Connect)),
            Err(_) => {}
        }
    }
}

/// The TLS handshake and what was agreed on: whether it is HTTP/2.
pub(super) async fn tls(
    stream: TcpStream,
    target: &Target,
    settings: ClientConfig,
) -> Result<Connection, OutboundError> {
    let name = match &target.origin().host {
        Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(std::net::IpAddr::from(*address))),
        Host::Ipv6(address) => Some(ServerName::from(std::net::IpAddr::from(*address))),
    };
    let name = name.ok_or_else(|| OutboundError::Invalid("the host's name cannot be used with TLS".into()))?;
    let stream = TlsConnector::from(Arc::new(settings)).connect(name, stream).await;
    let stream = stream.map_err(|error| match OutboundError::of(&error) {
        OutboundError::Protocol(_) => OutboundError::Tls(format!("the TLS handshake failed: {error}")),
        error => error,
    })?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Connection::open(stream, http2).await
}

impl Connection {
    /// Speak HTTP on a stream.
    pub(super) async fn open<S>(stream: S, http2: bool) -> Result<Self, OutboundError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        if http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .initial_stream_window_size(WINDOWS.0)
                .initial_connection_window_size(WINDOWS.1)
                .max_header_list_size(MAX_HEAD as u32)
                .max_send_buf_size(256 * 1024);
            let (sender, connection) = builder.handshake(stream).await.map_err(|error| OutboundError::of(&error))?;
            return Ok(Self::driven(Sender::Http2(sender), connection));
        }
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD).max_headers(MAX_FIELDS);
        let (sender, connection) = builder.handshake(stream).await.map_err(|error| OutboundError::of(&error))?;
        Ok(Self::driven(Sender::Http1(Some(sender)), connection))
    }

    fn driven(sender: Sender, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        let (end, ended) = watch::channel(None);
        let task = tokio::spawn(async move {
            let closed = OutboundError::Protocol("the server closed the connection".into());
            let error = connection.await.err().map_or(closed, |error| OutboundError::of(&error));
            end.send_replace(Some(error));
        });
        Self { sender, task: Arc::new(Task(task)), ended }
    }

    /// A request that the connection did not take, with the reason that it ended for.
    async fn refused(&mut self) -> Failed {
        let reason = timeout(SETTLE, self.ended.wait_for(Option::is_some)).await;
        let reason = reason.ok().and_then(Result::ok).and_then(|reason| reason.clone());
        let error = reason.unwrap_or_else(|| OutboundError::Protocol("the connection takes no request".into()));
        Failed { error, unsent: Some(true) }
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    pub(super) fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.as_ref().is_some_and(|sender| !sender.is_closed()),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    /// Whether both are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.task, &other.task)
    }

    /// Whether somebody else uses it, too.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.task) > 1
    }

    /// Send a request and wait for the head of the answer.
    pub(super) async fn send(
        &mut self,
        target: &Target,
        request: &Checked,
    ) -> Result<http::Response<Incoming>, Failed> {
        let message = self.message(target, request).map_err(|error| Failed { error, unsent: Some(false) })?;
        let sent = match &mut self.sender {
            Sender::Http1(Some(sender)) => match timeout(SETTLE, sender.ready()).await {
                Ok(Ok(())) => sender.try_send_request(message).await,
                _ => return Err(self.refused().await),
            },
            Sender::Http1(None) => return Err(self.refused().await),
            Sender::Http2(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(message).await,
                Err(_) => return Err(self.refused().await),
            },
        };
        let mut failed = match sent {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        if failed.take_message().is_some() {
            return Err(self.refused().await);
        }
        let unsent = failed.error().is_parse().then_some(false);
        Err(Failed { error: OutboundError::of(failed.error()), unsent })
    }

    fn message(&self, target: &Target, request: &Checked) -> Result<http::Request<Full<Bytes>>, OutboundError> {
        let mut message = http::Request::new(Full::new(request.body.clone()));
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = target.uri(self.is_http2())?;
        *message.headers_mut() = request.headers.clone();
        if self.is_http2() {
            *message.version_mut() = Version::HTTP_2;
        } else {
            let host = HeaderValue::from_str(target.authority());
            let host = host.map_err(|error| OutboundError::Invalid(format!("the host is not usable: {error}")))?;
            message.headers_mut().insert(header::HOST, host);
        }
        Ok(message)
    }
}
