//! A small HTTP/1.1 client: one connection for a request, or one kept for many.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A kept connection.
pub struct Client {
    address: SocketAddr,
    send: SendRequest<Full<Bytes>>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.expect("the host accepts")
    }

    pub async fn try_connect(address: SocketAddr) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::over(stream, address).await
    }

    async fn over<S>(stream: S, address: SocketAddr) -> Result<Self, Box<dyn std::error::Error + Send + Sync>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, send })
    }

    pub async fn send(&mut self, sent: Sent) -> Result<Answer, hyper::Error> {
        self.send.ready().await?;
        let answer = self.send.send_request(sent.request(self.address)).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Sent {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Sent {
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.parse().expect("a method"), path: path.into(), headers: Vec::new(), body: Bytes::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Send on a connection of its own.
    pub async fn to(self, address: SocketAddr) -> Answer {
        self.try_to(address).await.expect("an answer")
    }

    /// Send over a unix socket.
    pub async fn to_socket(self, socket: &Path) -> Answer {
        let stream = UnixStream::connect(socket).await.expect("the socket is there");
        let mut client = Client::over(stream, SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("it speaks HTTP");
        client.send(self).await.expect("an answer")
    }

    pub async fn try_to(self, address: SocketAddr) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Client::try_connect(address).await?.send(self).await?)
    }

    fn request(self, address: SocketAddr) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", address.to_string());
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body)).expect("a well-formed request")
    }
}
