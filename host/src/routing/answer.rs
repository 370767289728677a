//! Answers the host makes by itself.
//!
//! Owns how an error looks on the wire: in the surface's own form, or as an RFC 9457 problem
//! document. Does not own who decides that there is an error, nor the request id and the surface's
//! headers, which every answer gets in one place elsewhere.
//!
//! Invariant: what is made here always has a status of 400 or more, so no failure looks like
//! success.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::error_page::{ErrorPage, Values};
use super::path::PathError;

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    status: StatusCode,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl HostError {
    /// An error with this status and a sentence for the client to read. A status under 400 becomes
    /// 500.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let is_error = status.is_client_error() || status.is_server_error();
        let status = if is_error { status } else { StatusCode::INTERNAL_SERVER_ERROR };
        Self { status, detail: detail.into(), headers: Vec::new() }
    }

    /// With one more header field, for example `Retry-After`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// 404: no mount, or no route of its surface, has the path.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Nothing is served at this path.")
    }

    /// 405, with the methods that the path has.
    #[must_use]
    pub fn method_not_allowed(allow: HeaderValue) -> Self {
        let detail = "This path does not have this method; the Allow field names those it has.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail).with_header(ALLOW, allow)
    }

    /// 400 for a path that cannot be read.
    #[must_use]
    pub fn bad_path(error: PathError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("The request cannot be served: {error}."))
    }

    /// 412 for a condition of the request that does not hold.
    #[must_use]
    pub fn precondition_failed() -> Self {
        let detail = "A condition in the request's header fields does not hold.";
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 416, with the length there is.
    #[must_use]
    pub fn range_not_satisfiable(content_range: HeaderValue) -> Self {
        let detail = "The requested range lies outside of what there is.";
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, detail).with_header(CONTENT_RANGE, content_range)
    }

    /// 400 or more.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What the client is told.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer, with `Content-Type`, `Content-Length` and the error's own fields. For HEAD the
    /// caller drops the body and keeps the rest.
    #[must_use]
    pub fn render(&self, page: Option<&ErrorPage>, request_id: &str) -> Response<Bytes> {
        let values = Values {
            status: self.status.as_u16(),
            reason: self.status.canonical_reason().unwrap_or("Error"),
            detail: &self.detail,
            request_id,
        };
        let (content_type, body) = match page {
            Some(page) => (page.content_type().clone(), page.render(values)),
            None => (PROBLEM, problem(values)),
        };
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        headers.insert(CONTENT_TYPE, content_type);
        let length = answer.body().len();
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        answer
    }
}

/// RFC 9457. The request id is an extension member.
fn problem(values: Values<'_>) -> String {
    json!({
        "type": "about:blank",
        "title": values.reason,
        "status": values.status,
        "detail": values.detail,
        "request-id": values.request_id,
    })
    .to_string()
}
