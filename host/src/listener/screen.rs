//! Whether what hyper parsed is one request, and whose: the last look before a handler.
//!
//! Request smuggling lives on disagreement between two parsers about where a request ends or
//! whom it is for. This module refuses what could be read in two ways. As of hyper 1.12 and
//! httparse 1.10 (HTTP/1.1):
//!
//! * **Refused by hyper, 400 and close:** folded header lines; a blank before the colon; header
//!   names that are no token; CR, NUL and other control bytes in names, values or the target;
//!   several blanks in the request line; versions other than 1.0 and 1.1; `Content-Length` that
//!   is not plain digits (a list and a sign included) or is given twice with different values;
//!   `Transfer-Encoding` on HTTP/1.0, or whose last coding is not `chunked`. Too many or too
//!   large fields are a 431, a target over 64 KiB a 414.
//! * **Refused by hyper while reading the body:** chunk sizes that are empty, not hexadecimal or
//!   too large; bare LF in chunk framing; more than 16 KiB of chunk extensions; trailers over the
//!   header limits. The handler's read fails and the connection closes.
//! * **Refused by hyper on HTTP/2:** connection-level fields, upper case in names, a body that
//!   disagrees with `content-length`.
//! * **Tolerated by hyper, refused here:** no `Host`, several, or one that is no authority; a
//!   `Transfer-Encoding` other than `chunked` alone (`gzip, chunked`, `identity` then `chunked`);
//!   targets in authority form and `*` outside OPTIONS; CONNECT; on HTTP/2 a `Host` that
//!   contradicts `:authority`, and no authority at all.
//! * **`Transfer-Encoding: chunked` with `Content-Length`:** hyper drops the length before anyone
//!   sees it, so it cannot be told here, and is not a 400. It is safe nevertheless: hyper reads
//!   the body by its chunks, as RFC 9112 6.1 asks, and then closes the connection. Whatever a
//!   front end that went by the length sent behind it is never read as a request.
//! * **Tolerated:** equal repeated `Content-Length` (RFC 9110 8.6); a line that ends in LF alone
//!   and empty lines before the request line (RFC 9112 2.2); blanks after a chunk size. A
//!   fragment in the target (`/a#b`) is cut off by the `http` crate, so the handler sees `/a`.
//!
//! Response splitting needs no check: `HeaderValue` cannot hold CR, LF or NUL.

use std::net::Ipv6Addr;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;

use super::HttpLimits;

/// The request's authority as sent: HTTP/2's `:authority`, else `Host`. Empty only for an
/// HTTP/1.0 request without either.
pub fn authority<B>(request: &Request<B>) -> &str {
    match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or(""),
    }
}

/// Why a request does not reach the handler.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    /// Goes into JSON as it is.
    detail: &'static str,
}

impl Refusal {
    const fn bad(detail: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, detail }
    }

    /// A problem document. On HTTP/1 it has to be the last answer of its connection: what follows
    /// such a request is not to be trusted.
    pub(super) fn response(&self) -> Response<Option<Bytes>> {
        let text = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}"}}"#,
            self.status.canonical_reason().unwrap_or(""),
            self.status.as_u16(),
            self.detail,
        );
        let mut response = Response::new(Some(Bytes::from(text)));
        *response.status_mut() = self.status;
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

/// Brings the request into the form handlers are promised, or says why not.
pub(super) fn screen<B: Body>(request: &mut Request<B>, limits: &HttpLimits) -> Result<(), Refusal> {
    if request.headers().len() > limits.max_headers {
        return Err(Refusal { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail: "too many header fields" });
    }
    if *request.method() == Method::CONNECT {
        return Err(Refusal { status: StatusCode::NOT_IMPLEMENTED, detail: "this server is not a proxy" });
    }
    if request.version() == Version::HTTP_2 {
        screen_authority(request)?;
    } else {
        screen_host(request)?;
        if !request.body().is_end_stream() {
            screen_transfer_encoding(request)?;
        }
        if request.uri().authority().is_some() {
            reduce_target(request)?;
        }
    }
    let path = request.uri().path();
    if path.starts_with('/') || path == "*" && *request.method() == Method::OPTIONS {
        Ok(())
    } else {
        Err(Refusal::bad("the request target is not a path"))
    }
}

fn single_host<B>(request: &Request<B>) -> Result<Option<&HeaderValue>, Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::bad("more than one Host field"));
    }
    if host.is_some_and(|host| !is_authority(host.as_bytes())) {
        return Err(Refusal::bad("the Host field is not a host with an optional port"));
    }
    Ok(host)
}

fn screen_host<B>(request: &Request<B>) -> Result<(), Refusal> {
    if single_host(request)?.is_none() && request.version() == Version::HTTP_11 {
        return Err(Refusal::bad("no Host field"));
    }
    Ok(())
}

fn screen_transfer_encoding<B>(request: &Request<B>) -> Result<(), Refusal> {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Refusal::bad("the only transfer coding taken is chunked, once"));
    }
    Ok(())
}

/// RFC 9112 3.2.2: an absolute target's authority replaces `Host`.
fn reduce_target<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    const BAD: Refusal = Refusal::bad("the request target is not a usable http URL");
    let uri = request.uri();
    let host = match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if is_authority(authority.as_str().as_bytes()) => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| BAD)?
        }
        _ => return Err(BAD),
    };
    let target = match uri.path_and_query() {
        Some(target) if target.as_str().starts_with('/') => target.clone(),
        // `http://host?query`
        Some(target) => PathAndQuery::try_from(format!("/{}", target.as_str())).map_err(|_| BAD)?,
        None => PathAndQuery::from_static("/"),
    };
    *request.uri_mut() = Uri::from(target);
    request.headers_mut().insert(HOST, host);
    Ok(())
}

/// RFC 9113 8.3.1.
fn screen_authority<B>(request: &Request<B>) -> Result<(), Refusal> {
    let host = single_host(request)?;
    let authority = request.uri().authority().map(Authority::as_str);
    match (authority, host) {
        (None, None) => Err(Refusal::bad("neither :authority nor a Host field")),
        (Some(authority), _) if !is_authority(authority.as_bytes()) => {
            Err(Refusal::bad(":authority is not a host with an optional port"))
        }
        (Some(authority), Some(host)) if !authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            Err(Refusal::bad("the Host field contradicts :authority"))
        }
        _ => Ok(()),
    }
}

/// Whether this is `uri-host [":" port]` of RFC 9110 7.2 with a host that is not empty. No user
/// information, no zone, no IPvFuture.
pub(super) fn is_authority(text: &[u8]) -> bool {
    let (host_is_good, rest) = if let Some(literal) = text.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|byte| *byte == b']') else {
            return false;
        };
        let (address, rest) = literal.split_at(end);
        let address = str::from_utf8(address).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        (address.is_some(), rest.get(1..).unwrap_or_default())
    } else {
        // A colon is no part of a name, so the name ends there.
        let end = text.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(text.len());
        let (host, rest) = text.split_at(end);
        (!host.is_empty() && escapes_are_good(host), rest)
    };
    host_is_good
        && match rest.split_first() {
            None => true,
            Some((b':', port)) => is_port(port),
            Some(_) => false,
        }
}

/// RFC 3986 3.2.2; IPv4 addresses are made of these too.
fn is_name_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'%'
            | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
    )
}

fn escapes_are_good(host: &[u8]) -> bool {
    let mut parts = host.split(|byte| *byte == b'%');
    parts.next();
    parts.all(|part| part.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// RFC 3986 3.2.3 allows a colon without a port.
fn is_port(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit)
        && (port.is_empty() || str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_ok()))
}
