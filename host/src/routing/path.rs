//! How a path is read: once, here, for every request.
//!
//! The raw path is split at `/` before anything is decoded, so an encoded slash never separates.
//! Each segment is percent-decoded once. Empty segments count: `//` is never collapsed, and a
//! trailing slash is an empty last segment. Dot segments are not removed; they match no parameter
//! and no literal, only `{*rest}`, which hands over the raw text.
//!
//! Invariant: every segment of a [`Path`] decodes to UTF-8. A path of which that is not true is
//! refused as a whole, whatever route it might have reached.

use std::borrow::Cow;

/// Why a path is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Neither a path nor something the caller has reduced to one.
    #[error("the path must start with '/'")]
    NotAbsolute,
    /// A `%` without two hexadecimal digits.
    #[error("the path has a '%' that is not followed by two hexadecimal digits")]
    MalformedEscape,
    /// The escapes stand for bytes that are not text.
    #[error("the path is not UTF-8 once percent-decoded")]
    NotUtf8,
}

/// A raw path that was found to be well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    raw: &'a str,
}

impl<'a> Path<'a> {
    /// Takes a path as sent, without its query. An absolute-form target is reduced to its path by
    /// the caller; for `*` see [`is_asterisk`].
    ///
    /// # Errors
    /// [`PathError`], which is for the client to read.
    pub fn parse(raw: &'a str) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        if raw.contains('%') {
            check_escapes(raw)?;
        }
        Ok(Self { raw })
    }

    /// As sent.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.raw
    }

    /// Everything after the first slash: the text whose pieces between slashes are the segments.
    #[must_use]
    pub fn after_root(self) -> &'a str {
        self.raw.strip_prefix('/').unwrap_or(self.raw)
    }

    /// This path with one of two slashes at its very start left out; none if it has just one.
    pub(super) fn without_double_root(self) -> Option<Self> {
        let raw = self.raw.strip_prefix('/')?;
        raw.starts_with('/').then_some(Self { raw })
    }
}

/// Whether this is `OPTIONS *`: a question to the server as a whole, which has no path. The host
/// answers it without asking any plugin.
#[must_use]
pub fn is_asterisk(method: &str, target: &str) -> bool {
    method == "OPTIONS" && target == "*"
}

/// The first segment of what is left of a path, and what follows its slash, if it has one.
pub(super) fn split_segment(left: &str) -> (&str, Option<&str>) {
    match left.split_once('/') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (left, None),
    }
}

/// The text of one raw segment. Borrowed if nothing in it is encoded.
///
/// Meant for segments of a [`Path`]; in other text, what is not UTF-8 is replaced by U+FFFD and a
/// malformed escape stands for itself.
#[must_use]
pub fn decode(segment: &str) -> Cow<'_, str> {
    if segment.contains('%') {
        percent_encoding::percent_decode_str(segment).decode_utf8_lossy()
    } else {
        Cow::Borrowed(segment)
    }
}

/// Whether a decoded segment may fill a `{parameter}`. Refused are the empty segment, `.` and `..`,
/// and everything with a slash or NUL in it, so that a plugin may use a parameter as a name.
#[must_use]
pub fn fills_parameter(decoded: &str) -> bool {
    !matches!(decoded, "" | "." | "..") && !decoded.contains(['/', '\0'])
}

/// Slashes are ASCII, so the whole decodes to UTF-8 exactly if each segment does.
pub(super) fn check_escapes(raw: &str) -> Result<(), PathError> {
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next(), bytes.next()];
            if !digits.iter().all(|digit| digit.is_some_and(|d| d.is_ascii_hexdigit())) {
                return Err(PathError::MalformedEscape);
            }
        }
    }
    match percent_encoding::percent_decode_str(raw).decode_utf8() {
        Ok(_) => Ok(()),
        Err(_) => Err(PathError::NotUtf8),
    }
}
