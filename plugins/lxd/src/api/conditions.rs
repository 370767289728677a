//! Entity tags, preferences and media types of requests: sections 3.2 and 3.4.

use plugbay_sdk::{Answer, Problem, Request};
use serde_json::Value;

use crate::settings::Settings;

/// Check the conditions of a write against the entity tag there is.
///
/// # Errors
/// 412, and 428 if the operator demands conditions and there are none.
pub(super) fn before_write(request: &Request, current: Option<&str>, settings: &Settings) -> Result<(), Problem> {
    let (wanted, excluded) = (request.if_match(), request.if_none_match());
    if settings.require_if_match && wanted.is_none() && excluded.is_none() {
        return Err(Problem::new(428).detail("Say with `If-Match` or `If-None-Match` what is to be replaced."));
    }
    if wanted.is_some_and(|tags| !tags.match_strongly(current)) {
        return Err(Problem::precondition_failed("The resource is not the one named by `If-Match`."));
    }
    if excluded.is_some_and(|tags| tags.match_weakly(current)) {
        return Err(Problem::precondition_failed("The resource is one excluded by `If-None-Match`."));
    }
    Ok(())
}

/// Whether a reader has this already.
pub(super) fn is_known(request: &Request, etag: &str) -> bool {
    request.if_none_match().is_some_and(|tags| tags.match_weakly(Some(etag)))
}

/// A representation with its entity tag, or 304.
pub(super) fn answer(request: &Request, status: u16, etag: &str, value: &Value) -> Answer {
    if request.method == "GET" && is_known(request, etag) {
        return Answer::new(304).header("etag", etag);
    }
    Answer::json(status, value).header("etag", etag)
}

/// What a writer would like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Preferences {
    /// Seconds to wait for nodes.
    pub wait: Option<u32>,
    /// Store what is good and report the rest.
    pub lenient: bool,
}

impl Preferences {
    /// From the `Prefer` fields (RFC 7240); what is not known is passed over.
    pub fn of(request: &Request) -> Preferences {
        let mut found = Preferences::default();
        for field in request.header_values("prefer") {
            for part in String::from_utf8_lossy(field).split([',', ';']) {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "wait" => found.wait = value.parse().ok().or(found.wait),
                    "handling" => found.lenient = value.eq_ignore_ascii_case("lenient"),
                    _ => {}
                }
            }
        }
        found
    }

    /// The answer's `Preference-Applied`; none if nothing was preferred.
    pub fn applied(self) -> Option<String> {
        let wait = self.wait.map(|wait| format!("wait={wait}"));
        let handling = self.lenient.then(|| "handling=lenient".to_owned());
        let applied: Vec<String> = wait.into_iter().chain(handling).collect();
        (!applied.is_empty()).then(|| applied.join(", "))
    }
}

/// Insist on a merge patch.
///
/// # Errors
/// 415.
pub(super) fn merge_patch(request: &Request) -> Result<(), Problem> {
    const KIND: &str = "application/merge-patch+json";
    let given = request.header_text("content-type").unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(KIND) {
        return Ok(());
    }
    Err(Problem::new(415).detail(format!("A PATCH is of type {KIND}.")).header("accept-patch", KIND))
}

/// The body as JSON of any shape.
///
/// # Errors
/// 400.
pub(super) fn json(request: &Request) -> Result<Value, Problem> {
    serde_json::from_slice(request.body_bytes()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::bad_request(format!("The body is not valid JSON (line {line}, column {column})."))
    })
}
