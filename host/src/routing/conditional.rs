//! Conditions and ranges of GET and HEAD (RFC 9110, sections 13 and 14).
//!
//! Owns the decision for answers with `delivery.conditional`: given the request's fields and an
//! answer that is the whole representation, what of it is sent.
//!
//! One range is served; a request for several gets the whole, which section 14.2 allows. A field
//! that does not parse is as good as absent, as the RFC wants it for dates and ranges. Entity tags
//! without quotes, which some storage clients send, are taken as if they had them.
//!
//! Invariant: a [`Delivery::Partial`] lies within the representation and is not empty.

use std::time::SystemTime;

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::answer::HostError;

/// What is sent of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All of it, with the status it has.
    Full,
    /// 206 with these bytes of it.
    Partial {
        /// First byte.
        offset: u64,
        /// Number of bytes, at least 1.
        length: u64,
        /// Value of `Content-Range`.
        content_range: HeaderValue,
    },
    /// 304, nothing of it.
    NotModified,
    /// 412, an error of the host's making.
    PreconditionFailed,
    /// 416, an error of the host's making.
    RangeNotSatisfiable {
        /// Value of `Content-Range`.
        content_range: HeaderValue,
    },
}

impl Delivery {
    /// Makes the plugin's status and fields those of this delivery. Says the error that is sent
    /// instead of the plugin's answer, if that is the case.
    ///
    /// # Errors
    /// 412 and 416.
    pub fn apply(self, status: &mut StatusCode, headers: &mut HeaderMap) -> Result<(), HostError> {
        match self {
            Self::Full if *status != StatusCode::OK => return Ok(()),
            Self::Full => {}
            Self::Partial { length, content_range, .. } => {
                *status = StatusCode::PARTIAL_CONTENT;
                headers.insert(CONTENT_RANGE, content_range);
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            Self::NotModified => {
                *status = StatusCode::NOT_MODIFIED;
                // Section 15.4.5: what only describes a body that is not sent stays away.
                for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
                    headers.remove(name);
                }
                return Ok(());
            }
            Self::PreconditionFailed => return Err(HostError::precondition_failed()),
            Self::RangeNotSatisfiable { content_range } => {
                return Err(HostError::range_not_satisfiable(content_range));
            }
        }
        headers.entry(ACCEPT_RANGES).or_insert(HeaderValue::from_static("bytes"));
        Ok(())
    }
}

/// Decides. `length` is that of the whole representation in bytes. Everything but GET and HEAD
/// answered with 200 is [`Delivery::Full`]; ranges are for GET alone (section 14.2).
#[must_use]
pub fn evaluate(method: &str, status: StatusCode, request: &HeaderMap, answer: &HeaderMap, length: u64) -> Delivery {
    if !matches!(method, "GET" | "HEAD") || status != StatusCode::OK {
        return Delivery::Full;
    }
    let validators = Validators::of(answer);
    // The order of section 13.2.2.
    if request.contains_key(IF_MATCH) {
        if !listed(request, IF_MATCH, |tag| validators.etag.is_some_and(|own| own.is_strongly(tag))) {
            return Delivery::PreconditionFailed;
        }
    } else if let (Some(limit), Some(modified)) = (date(request, IF_UNMODIFIED_SINCE), validators.modified)
        && modified > limit
    {
        return Delivery::PreconditionFailed;
    }
    if request.contains_key(IF_NONE_MATCH) {
        if listed(request, IF_NONE_MATCH, |tag| validators.etag.is_some_and(|own| own.is_weakly(tag))) {
            return Delivery::NotModified;
        }
    } else if let (Some(since), Some(modified)) = (date(request, IF_MODIFIED_SINCE), validators.modified)
        && modified <= since
    {
        return Delivery::NotModified;
    }
    match only(request, RANGE) {
        Some(range) if method == "GET" && validators.allow_range(request) => deliver_range(range, length),
        _ => Delivery::Full,
    }
}

/// What identifies the state of the representation.
struct Validators<'a> {
    etag: Option<Tag<'a>>,
    modified: Option<SystemTime>,
}

impl<'a> Validators<'a> {
    fn of(answer: &'a HeaderMap) -> Self {
        let etag = answer.get(ETAG).map(|value| Tag::parse(value.as_bytes()));
        Self { etag, modified: date(answer, LAST_MODIFIED) }
    }

    /// `If-Range`: absent, or naming the very state that is there. A date has to be the exact one.
    fn allow_range(&self, request: &HeaderMap) -> bool {
        if !request.contains_key(IF_RANGE) {
            return true;
        }
        match (date(request, IF_RANGE), only(request, IF_RANGE)) {
            (Some(date), _) => self.modified == Some(date),
            (None, Some(tag)) => self.etag.is_some_and(|own| own.is_strongly(Tag::parse(tag.as_bytes()))),
            (None, None) => false,
        }
    }
}

/// An entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag<'a> {
    weak: bool,
    /// Without the quotes.
    opaque: &'a [u8],
}

impl<'a> Tag<'a> {
    fn parse(text: &'a [u8]) -> Self {
        let text = text.trim_ascii();
        let (weak, text) = match text.strip_prefix(b"W/") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let inner = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        Self { weak, opaque: inner.unwrap_or(text) }
    }

    /// Section 8.8.3.2.
    fn is_strongly(self, other: Tag<'_>) -> bool {
        !self.weak && !other.weak && self.is_weakly(other)
    }

    fn is_weakly(self, other: Tag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// Whether a list of entity tags is `*` or has a member that fits.
fn listed(headers: &HeaderMap, name: HeaderName, fits: impl Fn(Tag<'_>) -> bool) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.as_bytes().trim_ascii() == b"*" || members(value.as_bytes()).any(|member| fits(Tag::parse(member)))
    })
}

/// The members of a list: split at commas that are not between quotes, empty ones left out.
fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    list.split(move |&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
    .filter(|member| !member.trim_ascii().is_empty())
}

/// The field's value, if the field is there once and is text.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(only(headers, name)?.trim()).ok()
}

fn deliver_range(field: &str, length: u64) -> Delivery {
    let Some(range) = ByteRange::parse(field) else {
        return Delivery::Full;
    };
    let (first, last) = match range {
        // Nothing of nothing: satisfiable, but no Content-Range can say so.
        ByteRange::Suffix(1..) if length == 0 => return Delivery::Full,
        ByteRange::Suffix(0) => (length, length),
        ByteRange::Suffix(count) => (length.saturating_sub(count), u64::MAX),
        ByteRange::From { first, last } => (first, last),
    };
    if first >= length {
        return match HeaderValue::try_from(format!("bytes */{length}")) {
            Ok(content_range) => Delivery::RangeNotSatisfiable { content_range },
            Err(_) => Delivery::Full,
        };
    }
    let last = last.min(length - 1);
    match HeaderValue::try_from(format!("bytes {first}-{last}/{length}")) {
        Ok(content_range) => Delivery::Partial { offset: first, length: last - first + 1, content_range },
        Err(_) => Delivery::Full,
    }
}

/// One range as asked for.
enum ByteRange {
    /// The last that many bytes.
    Suffix(u64),
    /// Both inclusive; `last` is at least `first`.
    From { first: u64, last: u64 },
}

impl ByteRange {
    /// None for another unit, several ranges, and what is no range at all.
    fn parse(field: &str) -> Option<Self> {
        let (unit, set) = field.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let mut ranges = set.split(',').map(str::trim).filter(|range| !range.is_empty());
        let (range, None) = (ranges.next()?, ranges.next()) else {
            return None;
        };
        match range.split_once('-')? {
            ("", count) => Some(Self::Suffix(number(count)?)),
            (first, "") => Some(Self::From { first: number(first)?, last: u64::MAX }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From { first, last })
            }
        }
    }
}

/// Digits alone. A number beyond 64 bits lies beyond every representation, as the largest one does.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}
