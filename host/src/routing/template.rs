//! Path templates such as `/images/{id}/members` and `/objects/{*rest}`.
//!
//! Owns their grammar and what a matched path gives for their parameters. Which template matches
//! is decided by the route table.
//!
//! A literal segment is written as in a URL: it is percent-decoded once, as the request's segments
//! are, and compared decoded.

use std::fmt;

use super::path::{self, Path, PathError};

/// Longest template, in bytes.
pub const MAX_LENGTH: usize = 1024;
/// Most segments of a template; it bounds how deep a look-up goes.
pub const MAX_SEGMENTS: usize = 64;

/// One piece of a template between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text, decoded. Empty for a trailing or doubled slash.
    Literal(String),
    /// `{name}`: one whole segment.
    Parameter(String),
    /// `{*name}`: everything that follows, raw, slashes included, perhaps nothing. Comes last.
    Rest(String),
}

/// A well-formed template; at least one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No slash at the start.
    #[error("it must start with '/'")]
    NotAbsolute,
    /// Over [`MAX_LENGTH`] or [`MAX_SEGMENTS`].
    #[error("it is too long: at most {MAX_LENGTH} bytes and {MAX_SEGMENTS} segments")]
    TooLong,
    /// A brace that does not enclose a whole segment.
    #[error(
        "segment '{0}' has a brace in an odd place; a parameter fills a whole segment, as in \
         '/{{name}}', and a literal brace is written %7B or %7D"
    )]
    Brace(String),
    /// Not a name.
    #[error("'{0}' is no parameter name; use a letter or '_' first, then letters, digits, '_' and '-'")]
    Name(String),
    /// Two parameters of one name.
    #[error("parameter '{0}' occurs twice; give each its own name")]
    Duplicate(String),
    /// `{*name}` before the end.
    #[error("'{{*{0}}}' must be the last segment, as it takes everything that follows")]
    RestNotLast(String),
    /// A character that no request path has.
    #[error("character {0:?} cannot occur in a path; percent-encode it")]
    Character(char),
    /// A literal with a bad escape.
    #[error("literal segment '{segment}': {problem} (a literal percent sign is written %25)")]
    Escape {
        /// As written.
        segment: String,
        /// What is wrong with its escapes.
        problem: PathError,
    },
    /// A literal that clients never send as such.
    #[error("literal segment '{0}' can never match: it decodes to '.', '..' or to text with '/' or NUL")]
    Unreachable(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`], worded for the author of the plugin.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let body = text.strip_prefix('/').ok_or(TemplateError::NotAbsolute)?;
        if text.len() > MAX_LENGTH || body.split('/').count() > MAX_SEGMENTS {
            return Err(TemplateError::TooLong);
        }
        let mut segments: Vec<Segment> = Vec::new();
        for raw in body.split('/') {
            if let Some(Segment::Rest(name)) = segments.last() {
                return Err(TemplateError::RestNotLast(name.clone()));
            }
            let segment = parse_segment(raw)?;
            if let Some(name) = segment.name()
                && segments.iter().any(|earlier| earlier.name() == Some(name))
            {
                return Err(TemplateError::Duplicate(name.to_owned()));
            }
            segments.push(segment);
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// In order; the part before the first slash is not a segment.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Names of the parameters, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// Whether a path with a slash put behind it would still be another one: false for templates
    /// that end in a slash or in `{*rest}`.
    #[must_use]
    pub fn takes_trailing_slash(&self) -> bool {
        match self.segments.last() {
            Some(Segment::Literal(text)) => !text.is_empty(),
            Some(Segment::Parameter(_)) => true,
            Some(Segment::Rest(_)) | None => false,
        }
    }

    /// The parameters' values in a path that is known to match: decoded, `{*rest}` raw.
    pub(super) fn capture(&self, path: Path<'_>) -> Vec<String> {
        let mut values = Vec::with_capacity(self.names().count());
        let mut left = path.after_root();
        for segment in &self.segments {
            if let Segment::Rest(_) = segment {
                values.push(left.to_owned());
                break;
            }
            let (raw, rest) = path::split_segment(left);
            if let Segment::Parameter(_) = segment {
                values.push(path::decode(raw).into_owned());
            }
            left = rest.unwrap_or_default();
        }
        values
    }
}

impl Segment {
    /// The parameter's name; none for a literal.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }
}

impl fmt::Display for Template {
    /// As written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_segment(raw: &str) -> Result<Segment, TemplateError> {
    let inner = raw.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
    match inner {
        Some(inner) if !inner.contains(['{', '}']) => match inner.strip_prefix('*') {
            Some(name) => Ok(Segment::Rest(parse_name(name)?)),
            None => Ok(Segment::Parameter(parse_name(inner)?)),
        },
        _ if raw.contains(['{', '}']) => Err(TemplateError::Brace(raw.to_owned())),
        _ => parse_literal(raw).map(Segment::Literal),
    }
}

fn parse_name(name: &str) -> Result<String, TemplateError> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on_well = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if starts_well && goes_on_well { Ok(name.to_owned()) } else { Err(TemplateError::Name(name.to_owned())) }
}

fn parse_literal(raw: &str) -> Result<String, TemplateError> {
    if let Some(bad) = raw.chars().find(|&c| c <= ' ' || c == '\x7f' || c == '?' || c == '#') {
        return Err(TemplateError::Character(bad));
    }
    path::check_escapes(raw).map_err(|problem| TemplateError::Escape { segment: raw.to_owned(), problem })?;
    let text = path::decode(raw);
    // An empty literal is a doubled or trailing slash, which is allowed.
    if !text.is_empty() && !path::fills_parameter(&text) {
        return Err(TemplateError::Unreachable(raw.to_owned()));
    }
    Ok(text.into_owned())
}
