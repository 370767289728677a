//! Who may do what with a relation: operators, and who holds its token.

use plugbay_sdk::{Caller, Problem, Request, identity};

use crate::OPERATOR;
use crate::store::records::Relation;
use crate::store::relations;

/// The token of `Authorization: Bearer`.
pub(crate) fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header_text("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether an operator is calling.
///
/// # Errors
/// Those of the host.
pub(crate) fn is_operator(request: &Request) -> Result<bool, Problem> {
    match &request.caller {
        Caller::User(_) => Ok(identity::allowed(OPERATOR)?),
        // What nobody can verify now may be a relation's token.
        Caller::Anonymous | Caller::Rejected(_) | Caller::Unverified(_) => Ok(false),
    }
}

/// The relation of a path, if the caller is its requirer or an operator.
///
/// # Errors
/// 401 without a token that is known, 403 with that of another relation; then 404 and 410 as the relation is, and for
/// writers 409 while it is torn down.
pub(super) fn relation(request: &Request, id: &str) -> Result<Relation, Problem> {
    if !is_operator(request)? {
        let known = bearer(request).map(relations::by_token).transpose()?.flatten();
        match known {
            Some(known) if known == id => {}
            Some(_) => return Err(Problem::forbidden("The token is that of another relation.")),
            None if request.user().is_some() => {
                return Err(Problem::forbidden("Only operators may do this without the relation's token."));
            }
            // The token went with the relation; that it was broken is what its requirer has to learn.
            None if bearer(request).is_some() && is_broken(id)? => return Err(broken(request, id)?),
            None => {
                return Err(
                    Problem::unauthorized("The relation's token is needed.").header("www-authenticate", "Bearer")
                );
            }
        }
    }
    match relations::get(id)? {
        Some(stored) if stored.value.broken.is_some() => Err(broken(request, id)?),
        Some(stored) => Ok(stored.value),
        None => Err(Problem::not_found("No such relation.")),
    }
}

/// What a caller is told of a relation that was broken.
fn broken(request: &Request, id: &str) -> Result<Problem, Problem> {
    if matches!(request.method.as_str(), "GET" | "HEAD") { Ok(relations::gone()) } else { relations::no_writing(id) }
}

fn is_broken(id: &str) -> Result<bool, Problem> {
    Ok(relations::get(id)?.is_some_and(|stored| stored.value.broken.is_some()))
}
