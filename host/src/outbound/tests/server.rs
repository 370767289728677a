//! Servers that do what a test says, and remember what they were sent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// One request as a server saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub connection: usize,
    pub http2: bool,
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The certificate that the client presented.
    pub client: Option<CertificateDer<'static>>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// An HTTP server.
#[derive(Clone)]
pub(super) struct Server {
    pub address: SocketAddr,
    scheme: &'static str,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub connections: Arc<AtomicUsize>,
    /// Handshakes that did not come to an end.
    pub refused: Arc<AtomicUsize>,
}

type Answering = Arc<dyn Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync>;

impl Server {
    pub(super) async fn http(answer: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer)).await
    }

    pub(super) async fn https(
        config: ServerConfig,
        answer: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(config), Arc::new(answer)).await
    }

    async fn start(config: Option<ServerConfig>, answer: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            scheme: if config.is_some() { "https" } else { "http" },
            seen: Arc::default(),
            connections: Arc::default(),
            refused: Arc::default(),
        };
        let acceptor = config.map(|config| TlsAcceptor::from(Arc::new(config)));
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = own.connections.fetch_add(1, Ordering::SeqCst);
                let (own, answer, acceptor) = (own.clone(), answer.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let Some(acceptor) = acceptor else { return own.serve(stream, number, None, answer).await };
                    let Ok(stream) = acceptor.accept(stream).await else {
                        own.refused.fetch_add(1, Ordering::SeqCst);
                        return;
                    };
                    let chain = stream.get_ref().1.peer_certificates();
                    let client = chain.and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned());
                    own.serve(stream, number, client, answer).await;
                });
            }
        });
        server
    }

    async fn serve<S>(&self, stream: S, connection: usize, client: Option<CertificateDer<'static>>, answer: Answering)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request: http::Request<Incoming>| {
            let (answer, client, all) = (answer.clone(), client.clone(), Arc::clone(&self.seen));
            async move {
                let (head, body) = request.into_parts();
                let seen = Seen {
                    connection,
                    http2: head.version == http::Version::HTTP_2,
                    method: head.method.to_string(),
                    path: head.uri.path_and_query().unwrap().to_string(),
                    headers: head.headers,
                    body: body.collect().await.unwrap().to_bytes(),
                    client,
                };
                all.lock().push(seen.clone());
                Ok::<_, Infallible>(answer(&seen))
            }
        });
        let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    }

    /// A URL by address.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// A URL by a name that the tests' resolver knows.
    pub(super) fn named(&self, path: &str) -> String {
        format!("{}://host.test:{}{path}", self.scheme, self.address.port())
    }

    /// The line that lets a plugin reach it by address.
    pub(super) fn line(&self) -> String {
        self.url("")
    }

    /// The line that lets a plugin reach it by that name.
    pub(super) fn named_line(&self) -> String {
        format!("{} at 127.0.0.1", self.named(""))
    }

    pub(super) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(super) fn connected(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(super) fn text(text: &'static str) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(text.as_bytes())))
}

pub(super) fn moved(status: u16, to: &str) -> Response<Full<Bytes>> {
    Response::builder().status(status).header("location", to).body(Full::default()).unwrap()
}

/// A server that does as it likes with each connection.
pub(super) async fn raw<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}
