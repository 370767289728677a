//! A TLS server of the test at a node's endpoint, in front of a real server: it shows the certificate that it is told to
//! show, relays requests, fails at them or holds them, and keeps what came.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use plugbay_tests::PATIENCE;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::servers::{Servers, ask};

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The server behind answers it.
    Relays,
    /// 500, whatever it is.
    Fails,
    /// A POST gets no answer and does not reach the server behind. Others are relayed.
    Holds,
}

/// What the server behind the front is said to have said when the front fails.
pub const FAILURE: &str = "database is locked";

/// A request that came.
#[derive(Clone)]
pub struct Came {
    pub at: Instant,
    pub method: Method,
    pub path: String,
    pub body: Bytes,
    /// Of the answer, when there was one.
    pub status: Option<StatusCode>,
}

impl std::fmt::Debug for Came {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?}", self.method, self.path, self.status)
    }
}

/// All that came since the last time that somebody asked.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Connections begun.
    pub connections: usize,
    /// Connections of which the handshake was finished: only on those can a byte of a request come.
    pub handshakes: usize,
    pub requests: Vec<Came>,
}

/// Serves until this is dropped.
pub struct Front {
    pub endpoint: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    /// Of the server behind.
    socket: PathBuf,
    acceptor: Mutex<TlsAcceptor>,
    manner: Mutex<Manner>,
    record: watch::Sender<Record>,
    /// Changes when connections have to end.
    turn: watch::Sender<()>,
}

impl Front {
    /// Before a server, with that server's certificate and key.
    pub async fn before(servers: &Servers, server: usize) -> Self {
        let (certificate, key) = servers.identity(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            socket: servers.all[server].socket.clone(),
            acceptor: Mutex::new(acceptor(&certificate, &key)),
            manner: Mutex::new(Manner::Relays),
            record: watch::Sender::default(),
            turn: watch::Sender::default(),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self { endpoint, shared, accepting }
    }

    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Show another certificate from now on, and end the connections that there are.
    pub fn show(&self, certificate: &str, key: &str) {
        *self.shared.acceptor.lock().unwrap() = acceptor(certificate, key);
        self.shared.turn.send_replace(());
    }

    /// What came since the last time.
    pub fn take(&self) -> Record {
        self.shared.record.send_replace(Record::default())
    }

    /// Wait until what came is as wanted.
    pub async fn until<T>(&self, what: &str, wanted: impl Fn(&Record) -> Option<T>) -> T {
        let mut record = self.shared.record.subscribe();
        let found = async {
            loop {
                if let Some(found) = wanted(&record.borrow_and_update()) {
                    return found;
                }
                record.changed().await.unwrap();
            }
        };
        let found = timeout(PATIENCE, found).await;
        assert!(found.is_ok(), "waited too long until {what}: {:#?}", self.shared.record.borrow());
        found.unwrap()
    }

    /// Give a request that was held to the server behind.
    pub async fn deliver(&self, came: &Came) -> StatusCode {
        ask(&self.shared.socket, came.method.as_str(), &came.path, came.body.clone()).await.0
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn acceptor(certificate: &str, key: &str) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        // Before the certificate is looked at, so that a change of it is not missed.
        let mut turn = shared.turn.subscribe();
        let shared = shared.clone();
        shared.record.send_modify(|record| record.connections += 1);
        tokio::spawn(async move {
            tokio::select! {
                () = serve(&shared, stream) => {}
                _ = turn.changed() => {}
            }
        });
    }
}

async fn serve(shared: &Arc<Shared>, stream: TcpStream) {
    let acceptor = shared.acceptor.lock().unwrap().clone();
    let Ok(stream) = acceptor.accept(stream).await else { return };
    shared.record.send_modify(|record| record.handshakes += 1);
    let service = service_fn(|request| answer(shared.clone(), request));
    // A client that goes away is no fault here.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let (method, path, body) = (head.method, head.uri.to_string(), body.collect().await?.to_bytes());
    let manner = *shared.manner.lock().unwrap();
    let came =
        Came { at: Instant::now(), method: method.clone(), path: path.clone(), body: body.clone(), status: None };
    let at = came.at;
    shared.record.send_modify(|record| record.requests.push(came));
    let (status, body) = match manner {
        Manner::Holds if method == Method::POST => std::future::pending().await,
        Manner::Fails => {
            let envelope = json!({"type": "error", "error_code": 500, "error": FAILURE, "metadata": null});
            (StatusCode::INTERNAL_SERVER_ERROR, envelope.to_string().into())
        }
        Manner::Relays | Manner::Holds => ask(&shared.socket, method.as_str(), &path, body).await,
    };
    shared.record.send_modify(|record| {
        // Gone, if somebody took the record meanwhile.
        if let Some(came) = record.requests.iter_mut().find(|came| came.at == at) {
            came.status = Some(status);
        }
    });
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    Ok(response)
}
