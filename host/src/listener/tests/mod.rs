//! What the tests share: a handler that shows what it was given, and clients down to the byte.

mod drain;
mod http1;
mod http2;
mod limits;
mod properties;
mod replacement;
mod smuggling;
mod tls;
mod unix;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

use super::*;

/// More than any event here takes; only a failure waits for it.
const DEADLINE: Duration = Duration::from_secs(20);
/// A limit that is to be hit.
const SOON: Duration = Duration::from_millis(60);

type TestBody = BoxBody<Bytes, Infallible>;

/// Answers by path; anything unknown is answered with what was seen of the request.
struct Probe {
    /// A permit for each `/hold` that has begun.
    held: Semaphore,
    /// Lets every `/hold` go.
    release: Notify,
    /// A permit for each `/hold` that was dropped or answered.
    gone: Semaphore,
}

impl Handler for Probe {
    type Body = TestBody;

    async fn call(&self, connection: &Arc<Connection>, request: Request<RequestBody>) -> Response<TestBody> {
        match request.uri().path() {
            "/hold" => {
                struct Gone<'a>(&'a Semaphore);
                impl Drop for Gone<'_> {
                    fn drop(&mut self) {
                        self.0.add_permits(1);
                    }
                }
                let _gone = Gone(&self.gone);
                let release = self.release.notified();
                self.held.add_permits(1);
                release.await;
                text("released")
            }
            "/read" => match request.into_body().collect().await {
                Ok(body) => text(format!("{} bytes", body.to_bytes().len())),
                Err(error) => {
                    let mut response = text(match error {
                        BodyError::Idle(_) => "idle",
                        BodyError::TooSlow(_) => "too slow",
                        BodyError::Broken(_) => "broken",
                    });
                    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
                    response
                }
            },
            "/endless" => {
                let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
                let frames = futures_util::stream::repeat_with(move || Ok::<_, Infallible>(Frame::data(chunk.clone())));
                Response::new(BoxBody::new(StreamBody::new(frames)))
            }
            "/big" => text(vec![b'x'; 1 << 20]),
            "/refuse" => {
                let mut response = text("too large");
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                response
            }
            target => text(format!(
                "{} {target} at {:?} over {} from {} loopback={} certificate={}",
                request.method(),
                authority(&request),
                connection.scheme.as_str(),
                connection.peer_address,
                connection.is_loopback,
                connection.peer_certificate.as_ref().map_or(0, |der| der.len()),
            )),
        }
    }
}

fn text(text: impl Into<Bytes>) -> Response<TestBody> {
    Response::new(BoxBody::new(Full::new(text.into())))
}

struct Server {
    listening: Listening,
    shutdown: Shutdown,
    probe: Arc<Probe>,
}

async fn start(config: ListenerConfig) -> Server {
    let probe = Arc::new(Probe { held: Semaphore::new(0), release: Notify::new(), gone: Semaphore::new(0) });
    let shutdown = Shutdown::new(DEADLINE);
    let bound = bind(config).await.unwrap();
    let listening = bound.serve(Arc::clone(&probe), shutdown.clone());
    Server { listening, shutdown, probe }
}

fn loopback() -> ListenerConfig {
    ListenerConfig::new("test", Bind::Tcp("127.0.0.1:0".parse().unwrap()))
}

fn limited(change: impl FnOnce(&mut HttpLimits)) -> ListenerConfig {
    let mut config = loopback();
    change(&mut config.limits);
    config
}

impl Server {
    fn address(&self) -> SocketAddr {
        self.listening.local_address().unwrap()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// Sends these bytes on a new connection and reads until the server closes.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        send(&mut stream, bytes).await;
        read_all(&mut stream).await
    }
}

/// Fails the test, rather than hanging, if something expected does not happen.
async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("nothing happened in time")
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: impl AsRef<[u8]>) {
    within(stream.write_all(bytes.as_ref())).await.unwrap();
}

/// Reads until the server closes; a reset counts as a failure.
async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    within(stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Reads one answer with a `content-length`, and nothing after it.
async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        let byte = within(stream.read_u8()).await.expect("closed before a whole answer");
        bytes.push(byte);
        if bytes.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    within(stream.read_exact(&mut body)).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// The status of the first answer in this text.
fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

fn count(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(std::sync::atomic::Ordering::Relaxed)
}

/// Waits for something that another task is about to do, without an event of its own.
async fn wait_until(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
