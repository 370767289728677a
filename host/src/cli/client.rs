//! HTTP over the admin socket of a running host.

use std::io;
use std::path::Path;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::error::CliError;

/// Most bytes of an answer that is looked at as a whole.
const WHOLE: usize = 16 * 1024 * 1024;

/// A connection to the host.
pub(super) struct Client(SendRequest<Body>);

impl Client {
    /// Connect, if somebody listens on the socket.
    pub(super) async fn connect(socket: &Path) -> Result<Self, CliError> {
        let unreachable = |source| CliError::Unreachable { socket: socket.to_owned(), source };
        let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // What goes wrong on it is also told to whoever waits for the answer.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Send a request, and wait for the head of its answer.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, CliError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(body)
            .map_err(|error| CliError::Words(format!("{path:?}: {error}")))?;
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        request.headers_mut().extend(headers);
        Ok(self.0.send_request(request).await?)
    }

    /// An answer without a request body, whole; its own words if it is an error.
    pub(super) async fn ask(&mut self, method: Method, path: &str) -> Result<Vec<u8>, CliError> {
        let answer = self.send(method, path, HeaderMap::new(), Body::empty()).await?;
        let status = answer.status();
        let body = whole(answer.into_body()).await?;
        if status.is_success() { Ok(body) } else { Err(CliError::Words(complaint(status, &body))) }
    }
}

async fn whole(body: Incoming) -> Result<Vec<u8>, CliError> {
    let collected = Limited::new(body, WHOLE).collect().await;
    collected
        .map(|body| body.to_bytes().into())
        .map_err(|error| CliError::Words(format!("the answer broke off: {error}")))
}

/// What an answer that is no success says.
pub(super) fn complaint(status: StatusCode, body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    match problem.as_ref().and_then(|problem| problem.get("detail")?.as_str()) {
        Some(detail) => detail.to_owned(),
        None => format!("the host answered {status}"),
    }
}

/// Copy an answer as it comes. An answer that breaks off is an error, however much of it came.
pub(super) async fn copy(mut body: Incoming, out: &mut (impl AsyncWrite + Unpin)) -> Result<(), CliError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            out.write_all(&data).await.map_err(CliError::Output)?;
        }
    }
    out.flush().await.map_err(CliError::Output)
}

/// A request's body out of a file.
pub(super) fn upload(file: std::fs::File) -> Body {
    let file = tokio::fs::File::from_std(file);
    Body::from_stream(futures_util::stream::try_unfold(file, |mut file| async move {
        let mut chunk = bytes::BytesMut::with_capacity(64 * 1024);
        let read = tokio::io::AsyncReadExt::read_buf(&mut file, &mut chunk).await?;
        Ok::<_, io::Error>((read > 0).then(|| (chunk.freeze(), file)))
    }))
}
