//! Status and header fields that a plugin answers with, checked before they reach the wire.
//!
//! Owns the rules of `record head` in `wit/types.wit`. A breach of them is the plugin's fault and
//! becomes a 500; nothing is repaired, save that connection-level fields are dropped.
//!
//! Invariant: a checked head cannot inject a field, cannot disagree with its body about where the
//! answer ends, and cannot speak for the connection.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// Most header fields of an answer.
pub const MAX_FIELDS: usize = 4096;
/// Most bytes of names and values together.
pub const MAX_BYTES: usize = 1 << 20;

/// Room for what the host adds to most answers: the length, the date, the request id.
const FIELDS_OF_THE_HOST: usize = 3;

/// What is known of an answer's body when its head is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// It has that many bytes.
    Whole(u64),
    /// Further steps will add to it; that many bytes are known already.
    Open(u64),
}

/// A head fit to be sent.
#[derive(Clone, Debug)]
pub struct Head {
    /// Between 200 and 599.
    pub status: StatusCode,
    /// Without connection-level fields. `Content-Length` is there if the plugin stated it.
    pub headers: HeaderMap,
    /// The stated `Content-Length`. With [`Body::Open`] the caller has to see that the body ends
    /// there.
    pub content_length: Option<u64>,
}

/// Why an answer is refused; for the log, as the client gets a plain 500.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not in 200..=599.
    #[error("status {0} is outside 200 to 599")]
    Status(u16),
    /// Not a token.
    #[error("header name {0:?} is no token")]
    Name(String),
    /// CR, LF, NUL or another control character.
    #[error("the value of header '{name}' has the control character 0x{byte:02x} in it")]
    Value {
        /// The field's name.
        name: String,
        /// The first bad byte.
        byte: u8,
    },
    /// Over [`MAX_FIELDS`] or [`MAX_BYTES`].
    #[error("too many header fields: at most {MAX_FIELDS} of {MAX_BYTES} bytes in all")]
    TooLarge,
    /// Not one number.
    #[error("Content-Length is not one decimal number")]
    BadLength,
    /// Not the body's.
    #[error("Content-Length is {stated}, but the body has {actual} bytes")]
    WrongLength {
        /// By the plugin.
        stated: u64,
        /// What was handed over.
        actual: u64,
    },
    /// A body with a status that has none.
    #[error("an answer with status {0} has no body")]
    BodyForbidden(u16),
}

/// Checks an answer to a request of this method. In an answer to HEAD, or with status 304,
/// `Content-Length` speaks of the body that GET would have given, so any number is taken.
///
/// # Errors
/// The first rule broken.
pub fn check(method: &str, status: u16, fields: Vec<(String, Vec<u8>)>, body: Body) -> Result<Head, HeadError> {
    let code = match StatusCode::from_u16(status) {
        Ok(code) if (200..=599).contains(&status) => code,
        _ => return Err(HeadError::Status(status)),
    };
    let (mut headers, content_length) = collect(fields)?;
    if matches!(status, 204 | 205 | 304) && body != Body::Whole(0) {
        return Err(HeadError::BodyForbidden(status));
    }
    if let Some(stated) = content_length
        && method != "HEAD"
        && status != 304
    {
        match body {
            Body::Whole(actual) if actual != stated => {
                return Err(HeadError::WrongLength { stated, actual });
            }
            Body::Open(actual) if actual > stated => {
                return Err(HeadError::WrongLength { stated, actual });
            }
            Body::Whole(_) | Body::Open(_) => {}
        }
    }
    if status == 204 {
        // RFC 9110, section 8.6: never sent with 204.
        headers.remove(CONTENT_LENGTH);
        return Ok(Head { status: code, headers, content_length: None });
    }
    Ok(Head { status: code, headers, content_length })
}

fn collect(fields: Vec<(String, Vec<u8>)>) -> Result<(HeaderMap, Option<u64>), HeadError> {
    let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    if fields.len() > MAX_FIELDS || bytes > MAX_BYTES {
        return Err(HeadError::TooLarge);
    }
    let mut headers = HeaderMap::with_capacity(fields.len() + FIELDS_OF_THE_HOST);
    let mut content_length = None;
    for (name, value) in fields {
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(HeadError::Name(name.chars().take(80).collect()));
        };
        // Without a way out on the way a long value is looked at many bytes at a time.
        if value.iter().fold(false, |found, &byte| found | is_control(byte)) {
            let byte = value.into_iter().find(|&byte| is_control(byte)).unwrap_or_default();
            return Err(HeadError::Value { name, byte });
        }
        if is_connection_level(&parsed) {
            continue;
        }
        let trimmed = value.trim_ascii();
        if parsed == CONTENT_LENGTH {
            let stated = parse_length(trimmed).ok_or(HeadError::BadLength)?;
            if content_length.is_some_and(|earlier| earlier != stated) {
                return Err(HeadError::BadLength);
            }
            content_length = Some(stated);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(stated));
            continue;
        }
        // The bytes were looked at above and the number of fields is far below the map's own bound.
        let value = if trimmed.len() == value.len() { Bytes::from(value) } else { Bytes::copy_from_slice(trimmed) };
        let value = HeaderValue::from_maybe_shared(value)
            .map_err(|_| HeadError::Value { name: parsed.to_string(), byte: 0 })?;
        headers.try_append(parsed, value).map_err(|_| HeadError::TooLarge)?;
    }
    Ok((headers, content_length))
}

/// Control characters other than the tab.
fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// Digits alone: `str::parse` would take a sign.
fn parse_length(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Whether a field speaks of the connection and not of the answer, so that only the host sets it.
#[must_use]
pub fn is_connection_level(name: &HeaderName) -> bool {
    [CONNECTION, TRANSFER_ENCODING, UPGRADE, TE, TRAILER].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}
