//! What the plugin serves: routes, callers, and answers in each service's form.
//!
//! Owns who is calling and how results and faults become answers; [`images`], [`glance`] and
//! [`objects`] own their routes. Invariant: whatever goes wrong leaves here as a fault of the service's own shape.

pub mod bulk;
pub mod containers;
pub mod glance;
pub mod hashmaps;
pub mod identity;
pub mod images;
pub mod listings;
pub mod lists;
pub mod objects;
pub mod public;
pub mod reads;
pub mod rows;
pub mod sending;
pub mod transfers;
pub mod updates;
pub mod versions;
pub mod writes;

use plugbay_sdk::{Answer, Caller, Request, Route, Segment, Surface, identity as provider};

use crate::{
    faults::{Fault, Kind},
    headers::{Headers, Query},
    time::Moment,
};

/// How errors made by the host look: content type and template.
pub(crate) const HOST_ERRORS: (&str, &str) =
    (JSON, r#"{"fault": {"code": {status}, "message": "{detail}", "details": ""}}"#);

/// Content type of JSON answers.
pub(crate) const JSON: &str = "application/json; charset=UTF-8";

/// Fields of every answer that has none of its own.
const ALWAYS: [(&str, &str); 2] =
    [("Cache-Control", "no-cache, no-store, must-revalidate, max-age=0"), ("Vary", "X-Auth-Token")];

/// A surface with these fields on every answer.
pub(crate) fn dressed(surface: Surface) -> Surface {
    ALWAYS.into_iter().fold(surface, |surface, (name, value)| surface.header(name, value))
}

/// The routes of paths that are nobody's, which are a 400 rather than a 404. They catch known paths
/// with wrong methods too: those are told apart by [`no_endpoint`].
pub(crate) const fn nowhere(method: &'static str) -> Route {
    Route::new(method, "/{*rest}", "unknown-path").plugin_decides().staged()
}

/// The answer at the end of the table: 405 with `Allow` if the path is one of the table's, else 400.
pub(crate) fn no_endpoint<O>(table: &[(O, Route)], request: &Request) -> Result<Answer, Fault> {
    let methods = methods_of(table, &request.path);
    // With the right method it is a parameter that does not fit.
    if methods.is_empty() || methods.contains(&request.method.as_str()) {
        return Err(unknown_path());
    }
    Ok(wrong_method(request, &methods.join(", ")))
}

/// The methods that a table has for a path, apart from its last resort.
pub(crate) fn methods_of<O>(table: &[(O, Route)], path: &str) -> Vec<&'static str> {
    let mut methods: Vec<&'static str> = Vec::new();
    for (_, route) in table {
        let known = !route.path.starts_with("/{*") && fits(route.path, path);
        if known && !methods.contains(&route.method) {
            methods.push(route.method);
        }
    }
    methods
}

/// 405 with these methods.
pub(crate) fn wrong_method(request: &Request, allow: &str) -> Answer {
    let fault = Fault::new(Kind::NotAllowed, "Method not allowed");
    refusal(request, &fault).header("allow", allow)
}

/// The answer to a path that is nobody's.
pub(crate) fn unknown_path() -> Fault {
    Fault::bad_request("API endpoint not found")
}

/// Whether a path has a template's form: literals as they are, one segment for a parameter, any
/// rest for the last one.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(rest), Some(_)) if rest.starts_with("{*") => return true,
            (Some(parameter), Some(text)) if parameter.starts_with('{') && !text.is_empty() => {}
            (Some(literal), Some(text)) if literal == text => {}
            _ => return false,
        }
    }
}

/// A request with headers folded, query decoded, and its user known.
pub(crate) struct Call<'a> {
    /// The request.
    pub request: &'a Request,
    /// Its headers.
    pub headers: Headers,
    /// Its query.
    pub query: Query,
    /// The user's id, which is also the name of the user's account.
    pub user: String,
}

impl<'a> Call<'a> {
    /// Read a request. Without a token, or with a bad one, it is a 401.
    pub fn new(request: &'a Request) -> Result<Call<'a>, Fault> {
        let query = Query::parse(request.query.as_deref());
        Ok(Call::of(request, user(request, &query)?))
    }

    /// Read a request whose user is known.
    pub fn of(request: &'a Request, user: String) -> Call<'a> {
        Call {
            user,
            headers: Headers::fold(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))),
            query: Query::parse(request.query.as_deref()),
            request,
        }
    }

    /// Whether JSON is asked for.
    pub fn wants_json(&self) -> bool {
        match self.query.get("format") {
            Some(format) => format == "json",
            None => accepts(self.request, "application/json"),
        }
    }

    /// Whether this is a HEAD request.
    pub fn is_head(&self) -> bool {
        self.request.method == "HEAD"
    }
}

/// Who is calling. A token in the query is looked at before one in a header.
fn user(request: &Request, query: &Query) -> Result<String, Fault> {
    if let Some(token) = query.get("X-Auth-Token") {
        return holder(token);
    }
    match &request.caller {
        Caller::User(user) => Ok(user.id.clone()),
        Caller::Anonymous => match folded_token(request) {
            Some(token) => holder(token),
            None => Err(Fault::new(Kind::Unauthorized, "Access denied")),
        },
        Caller::Rejected(reason) => Err(Fault::token_refused(reason.as_str())),
        Caller::Unverified(reason) => Err(not_asked(&provider::Error::Unavailable(reason.clone()))),
    }
}

/// The user of a token that the host has not looked at.
fn holder(token: &str) -> Result<String, Fault> {
    match look_up(token)? {
        Some(found) => Ok(found.user.id),
        None => Err(Fault::token_refused("Invalid token")),
    }
}

/// A token under one of the header's other spellings, such as `X_Auth_Token`.
fn folded_token(request: &Request) -> Option<&str> {
    let spelt = |name: &str| name.contains('_') && name.replace('_', "-").eq_ignore_ascii_case("x-auth-token");
    let (_, value) = request.headers.iter().find(|(name, _)| spelt(name))?;
    std::str::from_utf8(value).ok()
}

/// Whose token this is; none if it is not valid.
fn look_up(token: &str) -> Result<Option<provider::TokenInfo>, Fault> {
    provider::lookup(token).map_err(|error| not_asked(&error))
}

/// The answer when the identity provider does not answer.
fn not_asked(error: &provider::Error) -> Fault {
    match error {
        provider::Error::Throttled => Fault::new(Kind::Unavailable, "Too many token look-ups; try again"),
        error => {
            plugbay_sdk::error!("identity provider: {error:?}");
            Fault::new(Kind::IdentityUnavailable, "The identity provider cannot be asked")
        }
    }
}

fn accepts(request: &Request, kind: &str) -> bool {
    request.header_text("accept").is_some_and(|accept| accept.split(',').any(|part| part.trim().starts_with(kind)))
}

/// Make an answer of what a handler came to, with the fields that are always there. HEAD answers
/// lose their body.
pub(crate) fn finish(request: &Request, result: Result<Answer, Fault>) -> Answer {
    let mut answer = result.unwrap_or_else(|fault| refusal(request, &fault));
    let now = Moment::now().http();
    for name in ["last-modified", "expires"] {
        let there = |(known, _): &(String, Vec<u8>)| known.eq_ignore_ascii_case(name);
        if !answer.head.headers.iter().any(there) {
            answer.head.headers.push((name.to_owned(), now.clone().into_bytes()));
        }
    }
    if request.method == "HEAD" {
        without_body(&mut answer);
    }
    answer
}

/// Take the body off an answer to HEAD and say how long it was, unless the answer says so itself.
pub(crate) fn without_body(answer: &mut Answer) {
    let said = |(name, _): &(String, Vec<u8>)| name.eq_ignore_ascii_case("content-length");
    let none = matches!(answer.head.status, 204 | 304) || answer.head.headers.iter().any(said);
    let lengths = answer.body.drain(..).map(|segment| match segment {
        Segment::Bytes(bytes) => Some(bytes.len()),
        _ => None,
    });
    let length: Option<usize> = lengths.sum();
    if let Some(length) = length.filter(|_| !none) {
        answer.head.headers.push(("content-length".to_owned(), length.to_string().into_bytes()));
    }
}

fn refusal(request: &Request, fault: &Fault) -> Answer {
    if fault.kind == Kind::NotModified {
        return Answer::new(304);
    }
    let query = Query::parse(request.query.as_deref());
    let xml = match query.get("format") {
        Some(format) => format == "xml",
        None => accepts(request, "application/xml"),
    };
    if xml {
        Answer::bytes(fault.status(), "application/xml; charset=UTF-8", fault.xml())
    } else {
        Answer::bytes(fault.status(), JSON, fault.json())
    }
}

/// An answer with these fields and no body.
pub(crate) fn bare(status: u16, fields: Vec<(String, String)>) -> Answer {
    let mut answer = Answer::new(status);
    answer.head.headers = fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    answer
}

/// A JSON answer with these fields.
pub(crate) fn json<T: serde::Serialize + ?Sized>(fields: Vec<(String, String)>, value: &T) -> Result<Answer, Fault> {
    let body = serde_json::to_vec(value).map_err(|error| {
        plugbay_sdk::error!("an answer is not JSON: {error}");
        Fault::new(Kind::Internal, "The answer could not be written")
    })?;
    Ok(bare(200, fields).header("content-type", JSON).segment(Segment::Bytes(body)))
}
