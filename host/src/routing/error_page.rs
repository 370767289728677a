//! A surface's own form for the errors the host makes.
//!
//! Owns the placeholders `{status}`, `{reason}`, `{detail}` and `{request-id}` and how their values
//! are escaped. Braces around anything that is no placeholder name stand for themselves, so that
//! JSON can be written as it is.
//!
//! Invariant: a value can never end the string, element or attribute that it was put in.

use std::borrow::Cow;

use http::HeaderValue;

use super::surface::ErrorTemplate;

/// Longest template, in bytes.
pub const MAX_LENGTH: usize = 64 * 1024;

/// An error template that was found sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    content_type: HeaderValue,
    escaping: Escaping,
    pieces: Vec<Piece>,
}

/// What goes into the placeholders.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The status code.
    pub status: u16,
    /// Its usual words.
    pub reason: &'a str,
    /// What went wrong.
    pub detail: &'a str,
    /// The request's id.
    pub request_id: &'a str,
}

/// What is wrong with an error template.
#[derive(Debug, thiserror::Error)]
pub enum ErrorPageError {
    /// Over [`MAX_LENGTH`].
    #[error("it is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// Not fit for a header.
    #[error("content type {0:?} is not of the form 'type/subtype'")]
    ContentType(String),
    /// A name in braces that stands for nothing.
    #[error("there is no placeholder '{{{0}}}'; use {{status}}, {{reason}}, {{detail}} or {{request-id}}")]
    Placeholder(String),
    /// It would send broken JSON.
    #[error("filled in it is not JSON ({0}); text placeholders go between double quotes")]
    NotJson(serde_json::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escaping {
    Json,
    /// HTML as well.
    Xml,
    None,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Status,
    Reason,
    Detail,
    RequestId,
}

impl ErrorPage {
    /// Reads a template.
    ///
    /// # Errors
    /// [`ErrorPageError`], worded for the author of the plugin.
    pub fn parse(template: &ErrorTemplate) -> Result<Self, ErrorPageError> {
        if template.body.len() > MAX_LENGTH || template.content_type.len() > MAX_LENGTH {
            return Err(ErrorPageError::TooLong);
        }
        let essence = media_type(&template.content_type);
        let content_type = HeaderValue::from_str(template.content_type.trim())
            .ok()
            .filter(|_| is_media_type(&essence))
            .ok_or_else(|| ErrorPageError::ContentType(template.content_type.clone()))?;
        let page = Self { content_type, escaping: escaping(&essence), pieces: pieces(&template.body)? };
        if page.escaping == Escaping::Json {
            let awkward = "a \" quote, a \\ backslash, a\nline";
            let sample = Values { status: 500, reason: awkward, detail: awkward, request_id: awkward };
            serde_json::from_str::<serde::de::IgnoredAny>(&page.render(sample)).map_err(ErrorPageError::NotJson)?;
        }
        Ok(page)
    }

    /// For `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// The template with these values in it.
    #[must_use]
    pub fn render(&self, values: Values<'_>) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Status => out.push_str(&values.status.to_string()),
                Piece::Reason => out.push_str(&self.escaping.apply(values.reason)),
                Piece::Detail => out.push_str(&self.escaping.apply(values.detail)),
                Piece::RequestId => out.push_str(&self.escaping.apply(values.request_id)),
            }
        }
        out
    }
}

/// Type and subtype alone, in lower case.
fn media_type(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn is_media_type(essence: &str) -> bool {
    let is_token = |text: &str| http::Method::from_bytes(text.as_bytes()).is_ok();
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

fn escaping(essence: &str) -> Escaping {
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    if subtype == "json" || subtype.ends_with("+json") {
        Escaping::Json
    } else if matches!(subtype, "xml" | "html") || subtype.ends_with("+xml") {
        Escaping::Xml
    } else {
        Escaping::None
    }
}

fn pieces(body: &str) -> Result<Vec<Piece>, ErrorPageError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut left = body;
    while let Some((before, after)) = left.split_once('{') {
        text.push_str(before);
        let name = after.split_once('}').filter(|(name, _)| looks_like_a_name(name));
        let Some((name, behind)) = name else {
            text.push('{');
            left = after;
            continue;
        };
        let piece = match name {
            "status" => Piece::Status,
            "reason" => Piece::Reason,
            "detail" => Piece::Detail,
            "request-id" => Piece::RequestId,
            _ => return Err(ErrorPageError::Placeholder(name.to_owned())),
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
        left = behind;
    }
    text.push_str(left);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

fn looks_like_a_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl Escaping {
    fn apply(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(value),
            Self::Json => Cow::Owned(json_escaped(value)),
            Self::Xml => Cow::Owned(xml_escaped(value)),
        }
    }
}

fn json_escaped(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

/// Good in elements and in quoted attributes. What XML 1.0 has no way to write becomes U+FFFD.
fn xml_escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}
