//! The token in a request's headers: `X-Auth-Token: T` or `Authorization: Bearer T`.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use super::Rejection;

static X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Longer ones are refused before they are hashed.
const LONGEST: usize = 1024;

/// What the headers present. Borrows from them; allocates nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'h> {
    /// Nothing, an empty value, or an `Authorization` of another scheme, which is for the plugin.
    Absent,
    Token(&'h [u8]),
    Refused(Rejection),
}

/// The one token of the request. The same token in several places is one token; different ones
/// are refused, so that nobody in between can take the request for someone else's.
pub(super) fn find(headers: &HeaderMap) -> Credential<'_> {
    let plain = headers.get_all(&X_AUTH_TOKEN).iter().map(|value| value.as_bytes());
    let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
    let mut found = None;
    for token in plain.chain(bearer).map(<[u8]>::trim_ascii).filter(|token| !token.is_empty()) {
        if found.is_some_and(|other| other != token) {
            return Credential::Refused(Rejection::Ambiguous);
        }
        found = Some(token);
    }
    match found.map(well_formed) {
        None => Credential::Absent,
        Some(Ok(token)) => Credential::Token(token),
        Some(Err(why)) => Credential::Refused(why),
    }
}

/// The rest of `Bearer …`, whose scheme is compared without regard to case (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    (scheme.eq_ignore_ascii_case(b"bearer") && ends).then_some(rest)
}

/// Whether this could be a token at all.
pub(super) fn well_formed(token: &[u8]) -> Result<&[u8], Rejection> {
    if token.len() <= LONGEST && token.iter().all(u8::is_ascii_graphic) { Ok(token) } else { Err(Rejection::Malformed) }
}
