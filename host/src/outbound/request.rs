//! What a plugin asks for, and what comes back.
//!
//! Owns the check of a request's head: which header fields a plugin may set, and how many.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::body::Body;
use super::credential::Credential;
use super::error::OutboundError;
use super::identity::Identity;
use super::trust::Trust;

/// Most header fields of a request.
const MAX_FIELDS: usize = 128;
/// Most bytes of their names and values.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// Fields that the client sets itself, or that are about the connection.
const RESERVED: [HeaderName; 11] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Fields that are kept out of `Debug` and of the memory that HTTP/2 has of fields.
const SENSITIVE: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-subject-token"),
];

/// Fields of the plugin that another origin gets, too, when a redirection leads there.
const HARMLESS: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::RANGE,
    header::USER_AGENT,
];

/// One request.
#[derive(Clone, Default)]
pub struct Request {
    /// For example `GET`; not `CONNECT`.
    pub method: String,
    /// `http` or `https`, absolute.
    pub url: String,
    /// In this order. Length, host and connection are the client's business.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Empty: none.
    pub body: Bytes,
    /// Presented if the server asks for a certificate. Needs `https`.
    pub identity: Option<Identity>,
    /// By what the server is judged.
    pub trust: Trust,
    /// Attached if it is for this destination; if it is not, the request is refused.
    pub credential: Option<Credential>,
    /// None of them longer than the operator's.
    pub deadlines: Deadlines,
    /// Most bytes of the answer's body, if less than the operator's limit.
    pub limit: Option<u64>,
    /// Redirections to follow, up to the operator's limit; 0: a redirection is the answer.
    pub redirects: u32,
}

/// How long each part of a request may take; none: as long as the operator allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// Resolving and connecting.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From the request to the head of the answer.
    pub first_byte: Option<Duration>,
    /// Between two stretches of the body.
    pub idle: Option<Duration>,
    /// All of it.
    pub whole: Option<Duration>,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Answer {
    /// Any status, 4xx and 5xx, too.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// Where it came from, after redirections.
    pub url: String,
    /// The body. Not reading it to its end costs the connection.
    pub body: Body,
}

/// An answer in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Any status, 4xx and 5xx, too.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// Where it came from, after redirections.
    pub url: String,
    /// All of the body.
    pub body: Bytes,
}

/// What is left of a request's head once it was checked, and what a redirection makes of it.
#[derive(Clone)]
pub(super) struct Checked {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Whether a field is the client's own.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(name) || name.as_str().starts_with("proxy-")
}

impl Checked {
    pub(super) fn new(request: &Request) -> Result<Self, OutboundError> {
        let wrong = |reason: String| Err(OutboundError::Invalid(reason));
        let Ok(method) = Method::from_bytes(request.method.as_bytes()) else {
            return wrong(format!("{:?} is no method", request.method));
        };
        if method == Method::CONNECT {
            return wrong("tunnels are not offered".into());
        }
        let bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if request.headers.len() > MAX_FIELDS || bytes > MAX_FIELD_BYTES {
            return wrong(format!("more than {MAX_FIELDS} header fields or {MAX_FIELD_BYTES} bytes of them"));
        }
        let mut headers = HeaderMap::with_capacity(request.headers.len());
        for (name, value) in &request.headers {
            let field = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value).ok());
            let Some((field, mut value)) = field else {
                return wrong(format!("the header {name:?} is not well formed"));
            };
            if is_reserved(&field) {
                return wrong(format!("the header `{field}` is set by the host"));
            }
            value.set_sensitive(SENSITIVE.contains(&field));
            headers.append(field, value);
        }
        if let Some(field) = request.credential.as_ref().and_then(Credential::field)
            && headers.contains_key(&field)
        {
            return wrong(format!("the header `{field}` is set by the credential"));
        }
        Ok(Self { method, headers, body: request.body.clone() })
    }

    /// What is sent to the place that this status redirects to.
    pub(super) fn redirect(&mut self, status: StatusCode, same_origin: bool) {
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            for field in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
                self.headers.remove(field);
            }
        }
        if !same_origin {
            let foreign: Vec<HeaderName> =
                self.headers.keys().filter(|name| !HARMLESS.contains(name)).cloned().collect();
            for name in foreign {
                self.headers.remove(name);
            }
        }
    }

    /// Whether sending it twice is the same as sending it once (RFC 9110, section 9.2.2).
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }
}
