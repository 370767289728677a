//! One connection, from the accepted socket to its close.
//!
//! Owns the TLS handshake, telling HTTP/2 from HTTP/1, and the way of one request from hyper to
//! the handler and back. Invariant: a connection's future ends by itself once its client is idle,
//! too slow or gone, and at once when told to abort.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::rt::Write;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, InFlight, Live, Shared};
use super::body::{Content, ResponseBody};
use super::io::{Io, Stream, Transport};
use super::metrics::{OpenGauge, increment};
use super::screen::screen;
use super::socket::Peer;
use super::streams::{self, Streams};
use super::tls::Tls;
use super::watch::{End, Phase, Watch, drive};
use super::{Connection, Handler, RequestBody, Scheme};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const REQUEST_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// How long a client may take to be told that it was too slow.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Header fields for which hyper's parser has room without being told.
const HEADERS_ON_STACK: usize = 100;
/// When draining begins, a connection just accepted may have sent a request that nobody has read
/// yet. It gets this long for it to show.
const FIRST_GRACE: Duration = Duration::from_millis(50);
/// How long a small body that nobody wanted may take to come: clients send it right behind the head, if at all.
const READ_AWAY: Duration = Duration::from_millis(100);
/// Least size of HTTP/1's read and write buffers at their largest. Smaller ones cost uploads
/// system calls; larger ones let slow readers hold more.
const BUFFER: usize = 64 * 1024;

/// What the connections of a listener have in common.
pub(super) struct Site<H> {
    pub(super) handler: Arc<H>,
    pub(super) shared: Arc<Shared>,
    pub(super) listener: Arc<str>,
    pub(super) tls: Option<Arc<Tls>>,
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
}

/// A connection's own half of a request: the handler to call and the facts to keep.
struct Served<H> {
    handler: Arc<H>,
    live: Arc<Live>,
}

impl<H> AsRef<Live> for Arc<Served<H>> {
    fn as_ref(&self) -> &Live {
        &self.live
    }
}

impl<H: Handler> Site<H> {
    pub(super) fn new(handler: Arc<H>, shared: Arc<Shared>, listener: Arc<str>, tls: Option<Arc<Tls>>) -> Self {
        let limits = &shared.limits;
        let mut http1 = http1::Builder::new();
        http1
            .header_read_timeout(None)
            // Else hyper has an empty buffer ready beside the one with the request, to see the client go away.
            // `Io` sees that, too, and ends the connection.
            .half_close(true)
            .max_header_size(limits.max_header_bytes)
            .max_buf_size(limits.max_header_bytes.max(BUFFER));
        // Asked for more than these, hyper takes the heap for every request (about a
        // microsecond for 256); `screen` counts when fewer are allowed.
        if limits.max_headers > HEADERS_ON_STACK {
            http1.max_headers(limits.max_headers);
        }
        // HTTP/2 counts 32 bytes of overhead for each field.
        let header_list = limits.max_header_bytes.saturating_add(32 * limits.max_headers);
        let mut http2 = http2::Builder::new(Streams(Arc::clone(&shared)));
        http2
            .max_concurrent_streams(limits.max_streams)
            .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
            // Unread uploads hold at most the connection's window.
            .initial_stream_window_size(512 * 1024)
            .initial_connection_window_size(1024 * 1024)
            // A stream whose client gives no window holds this and one step of its body.
            .max_send_buf_size(streams::STEP);
        Self { handler, listener, tls, http1, http2, shared }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(&self, transport: Transport, peer: Peer) {
        let _open = OpenGauge::new(&self.shared.metrics.open);
        let mut work = pin!(self.work(transport, peer));
        let mut aborting = self.shared.drain.aborting.wait();
        std::future::poll_fn(|cx| {
            if work.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            Pin::new(&mut aborting).poll(cx)
        })
        .await;
    }

    async fn work(&self, transport: Transport, peer: Peer) {
        let limits = &self.shared.limits;
        let (mut stream, is_http2, peer_certificate) = match &self.tls {
            None => (Stream::Plain(transport), false, None),
            Some(tls) => match Box::pin(self.handshake(tls, transport)).await {
                Some(shaken) => shaken,
                None => return,
            },
        };
        let opened = Instant::now();
        let (is_http2, first) = if is_http2 {
            (true, Bytes::new())
        } else {
            let mut first = pin!(timeout(limits.header_timeout, first_bytes(&mut stream)));
            let first = tokio::select! {
                biased;
                first = &mut first => first,
                () = self.shared.drain.draining.wait() => match timeout(FIRST_GRACE, first).await {
                    Ok(first) => first,
                    Err(_) => return,
                },
            };
            match first {
                Ok(Ok(first)) => first,
                Ok(Err(_)) => return,
                Err(_) => return increment(&self.shared.metrics.header_timeouts),
            }
        };
        let live = Arc::new(Live {
            shared: Arc::clone(&self.shared),
            connection: Arc::new(Connection {
                listener: Arc::clone(&self.listener),
                scheme: if self.tls.is_some() { Scheme::Https } else { Scheme::Http },
                peer_address: peer.address,
                peer_certificate,
                is_loopback: peer.is_loopback,
            }),
            activity: Activity::default(),
        });
        let served = Arc::new(Served { handler: Arc::clone(&self.handler), live: Arc::clone(&live) });
        let io = Io::new(stream, first, Arc::clone(&live), is_http2);
        let service = service_fn(move |request| answer(InFlight::request(Arc::clone(&served)), request));
        if is_http2 {
            let mut connection = Box::new(self.http2.serve_connection(io, service));
            drive(&mut *connection, &live, Watch::new(Phase::Idle, opened)).await;
        } else {
            let mut connection = self.http1.serve_connection(io, service);
            let end = drive(&mut connection, &live, Watch::new(Phase::Head, opened)).await;
            if end == End::HeadTooSlow {
                Box::pin(say_timeout(connection.into_parts().io)).await;
            }
        }
    }

    /// The stream to speak HTTP over, whether ALPN chose HTTP/2, and the client's certificate.
    async fn handshake(&self, tls: &Arc<Tls>, transport: Transport) -> Option<(Stream, bool, Option<Arc<[u8]>>)> {
        let metrics = &self.shared.metrics;
        let handshake = async {
            let config = tls.current().await;
            TlsAcceptor::from(config).accept(transport).await
        };
        let stream = tokio::select! {
            biased;
            shaken = timeout(self.shared.limits.handshake_timeout, handshake) => match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    increment(&metrics.handshakes_failed);
                    tracing::debug!(listener = %self.listener, "TLS handshake failed: {error}");
                    return None;
                }
                Err(_) => {
                    increment(&metrics.handshake_timeouts);
                    return None;
                }
            },
            () = self.shared.drain.draining.wait() => return None,
        };
        let session = stream.get_ref().1;
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        let certificate = session.peer_certificates().and_then(<[_]>::first).map(|leaf| Arc::from(leaf.as_ref()));
        Some((Stream::Tls(Box::new(stream)), is_http2, certificate))
    }
}

/// Reads until it is clear whether the client speaks HTTP/2; an error if it closes before.
async fn first_bytes(stream: &mut Stream) -> io::Result<(bool, Bytes)> {
    // Room for most heads, so that telling the protocols apart costs no system call.
    let mut first = BytesMut::with_capacity(1024);
    loop {
        if stream.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first.starts_with(PREFACE) {
            return Ok((true, first.freeze()));
        }
        if !PREFACE.starts_with(&first) {
            return Ok((false, first.freeze()));
        }
    }
}

type Answer<H> = Response<ResponseBody<<H as Handler>::Body, Arc<Served<H>>>>;

#[expect(clippy::manual_async_fn, reason = "an async fn has room for its arguments twice")]
fn answer<H: Handler>(
    in_flight: InFlight<Arc<Served<H>>>,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Answer<H>, Infallible>> + Send {
    async move {
        let Served { handler, live } = &**in_flight.get();
        let shared = &live.shared;
        let version = request.version();
        // Told to go on, a client that asked first would send a body that nobody wants.
        let asks_first = request.headers().contains_key(EXPECT);
        let waits = version != Version::HTTP_2 && !request.body().is_end_stream();
        if waits {
            live.activity.want_leftover();
        }
        let mut last = false;
        let mut response = match screen(&mut request, &shared.limits) {
            Ok(()) => {
                let request = request.map(|incoming| RequestBody::new(incoming, live));
                handler.call(&live.connection, request).await.map(Content::Handler)
            }
            Err(refusal) => {
                last = true;
                increment(&shared.metrics.refused_requests);
                if !request.body().is_end_stream() {
                    live.activity.body_given_up(None);
                }
                refusal.response().map(Content::Text)
            }
        };
        if waits
            && let Some(rest) = live.activity.take_leftover()
            && (asks_first || !read_away(rest, &live.activity).await)
        {
            live.activity.set_spent();
        }
        let mut step = usize::MAX;
        if version == Version::HTTP_2 {
            step = streams::STEP;
        } else if last || shared.drain.draining.is_set() || live.activity.is_spent() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            // Told that the answer is 1.0 too, hyper does not add `keep-alive` for an old client.
            *response.version_mut() = version;
        }
        Ok(response.map(|content| ResponseBody::new(content, step, in_flight)))
    }
}

/// Whether all of a small body that nobody wanted came in time.
async fn read_away(mut rest: Incoming, activity: &Activity) -> bool {
    let read = async {
        while !rest.is_end_stream() {
            match std::future::poll_fn(|cx| Pin::new(&mut rest).poll_frame(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => break,
            }
        }
        activity.body_read_away();
        true
    };
    timeout(READ_AWAY, read).await.unwrap_or(false)
}

/// Tells the client of a half-sent head why it is cut off, as far as it listens.
async fn say_timeout(mut io: Io) {
    let said = async {
        let mut rest = REQUEST_TIMEOUT;
        while !rest.is_empty() {
            let written = std::future::poll_fn(|cx| Pin::new(&mut io).poll_write(cx, rest)).await?;
            rest = rest.get(written..).unwrap_or_default();
        }
        std::future::poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await
    };
    let _ = timeout(LAST_WORDS, said).await;
}
