//! Between a listener and the pages: who may come in, and what goes on to the plugins.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use tower::ServiceExt as _;

use super::problem::Problem;
use crate::dispatch::Dispatcher;
use crate::listener::{Connection, Handler, RequestBody, authority};
use crate::plugin::OPERATOR_LISTENER;
use crate::routing::mounts::host_name;

/// Before a plugin's name and the path on its operator surface.
pub(super) const CALL: &str = "/call";

/// What can be reached through a socket.
pub(super) enum Reach {
    /// What can be looked at.
    ReadOnly,
    /// All pages, and the plugins' operator surfaces.
    Everything(Arc<Dispatcher>),
}

/// Answers the requests of one socket.
pub(super) struct Front {
    reach: Reach,
    pages: Router,
}

impl Front {
    pub(super) fn new(reach: Reach, pages: Router) -> Self {
        Self { reach, pages }
    }
}

impl Handler for Front {
    type Body = Body;

    async fn call(&self, connection: &Arc<Connection>, mut request: Request<RequestBody>) -> Response<Body> {
        match &self.reach {
            Reach::ReadOnly => {
                if let Some(refusal) = refuse(request.method(), authority(&request)) {
                    return refusal.into_response();
                }
            }
            Reach::Everything(dispatcher) => {
                if let Some(uri) = operator_uri(request.uri()) {
                    *request.uri_mut() = uri;
                    let connection = Connection { listener: OPERATOR_LISTENER.into(), ..(**connection).clone() };
                    return dispatcher.call(&Arc::new(connection), request).await.map(Body::new);
                }
            }
        }
        tracing::debug!(method = %request.method(), path = request.uri().path(), listener = &*connection.listener, "admin");
        // No page reads a body.
        let request = request.map(|_| Body::empty());
        match self.pages.clone().oneshot(request).await {
            Ok(mut answer) => {
                let fresh = HeaderValue::from_static("no-store");
                answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(fresh);
                answer
            }
            Err(never) => match never {},
        }
    }
}

/// Why a request is not answered on the read-only socket.
fn refuse(method: &Method, authority: &str) -> Option<Problem> {
    if !names_this_machine(authority) {
        let detail =
            "This socket answers requests to localhost or a loopback address only; the Host field names another.";
        return Some(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let detail = "This socket is read-only. What changes something goes through the unix socket of the host.";
        let allow = HeaderValue::from_static("GET, HEAD");
        return Some(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).with_header(header::ALLOW, allow));
    }
    None
}

/// Browsers always send the name that the page was loaded from, so a page of another name that was
/// made to resolve to loopback is told by it. A client without any is no browser: HTTP/1.0, as
/// simple health checks speak it.
pub(super) fn names_this_machine(authority: &str) -> bool {
    let host = host_name(authority);
    let inner = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    match inner.unwrap_or(host).parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => authority.is_empty() || host.eq_ignore_ascii_case("localhost"),
    }
}

/// The target as the dispatcher knows it, if it is below [`CALL`]: `/NAME/...`, where operator
/// surfaces are mounted. The path is not decoded on the way.
pub(super) fn operator_uri(uri: &Uri) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(CALL)?;
    if !rest.starts_with('/') {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}
