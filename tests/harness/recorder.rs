//! A server that answers as it is told, and remembers what it was sent.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| value.to_str().expect("text").to_owned())
    }
}

/// An HTTP/1.1 server on loopback.
pub struct Recorder {
    address: SocketAddr,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    answers: HashMap<String, Prepared>,
    refused: HashSet<String>,
    seen: Vec<Seen>,
}

#[derive(Clone)]
struct Prepared {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Recorder {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let this = Self { address: listener.local_addr().expect("bound"), told: Arc::default() };
        let told = Arc::clone(&this.told);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(&told, request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        this
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answer requests to this path so; others are 404.
    pub fn answer(&self, path: &str, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let prepared = Prepared { status, headers, body: body.into() };
        self.told.lock().unwrap().answers.insert(path.into(), prepared);
    }

    /// Answer 401 to requests with this `X-Auth-Token`.
    pub fn refuse(&self, token: &str) {
        self.told.lock().unwrap().refused.insert(token.into());
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.told.lock().unwrap().seen.clone()
    }

    pub fn requests(&self) -> usize {
        self.told.lock().unwrap().seen.len()
    }

    /// A field of the last request.
    pub fn last(&self, field: &str) -> Option<String> {
        self.seen().last().and_then(|seen| seen.header(field))
    }
}

async fn answer(told: &Mutex<Told>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path().to_owned();
    let seen = Seen { method: head.method.to_string(), path: head.uri.to_string(), headers: head.headers, body };
    let mut told = told.lock().unwrap();
    let refused = seen.header("x-auth-token").is_some_and(|token| told.refused.contains(&token));
    told.seen.push(seen);
    let prepared = told.answers.get(&path).filter(|_| !refused).cloned();
    let status = if refused { 401 } else { 404 };
    let prepared = prepared.unwrap_or(Prepared { status, headers: Vec::new(), body: Bytes::new() });
    let mut response = Response::builder().status(prepared.status);
    for (name, value) in prepared.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(prepared.body)).expect("well-formed"))
}
