//! `/v1/relations/{id}/units/{n}`: joined and departed.

use plugbay_sdk::{Answer, Params, Problem, Request};
use serde_json::{Value, json};

use super::{access, conditions};
use crate::bag::Bag;
use crate::outside::Outside;
use crate::settings::Settings;
use crate::store::keys;
use crate::store::records::Relation;
use crate::store::relations::{self as kept, Wrote};
use crate::views;

/// Relation and unit of a path, for who may know.
pub(super) fn target(request: &Request, params: Params<'_>) -> Result<(Relation, String), Problem> {
    let relation = access::relation(request, params.get("id"))?;
    let text = params.get("n");
    let number: u32 = params.parse("n")?;
    // One spelling for each unit.
    if number.to_string() != text {
        return Err(Problem::not_found("A unit is named by its number."));
    }
    Ok((relation, keys::unit_name(number)))
}

/// 404 for a unit that did not join.
pub(super) fn unknown() -> Problem {
    Problem::not_found("No such unit.")
}

fn view(relation: &Relation, unit: &str) -> Value {
    json!({ "relation": relation.id, "unit": views::unit_name(relation, unit) })
}

pub(super) fn put(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let (relation, unit) = target(request, params)?;
    let (wrote, _, etag, ()) = kept::write(&relation.id, &unit, |old| {
        let (old, etag) = old.unzip();
        // Joining again is no write, so that nothing has to be demanded of it.
        conditions::before_write(request, etag, &Settings { require_if_match: false, ..Settings::load()? })?;
        Ok((old.cloned().unwrap_or_else(Bag::new), ()))
    })?;
    super::settle(&relation.id, &unit, outside.now_ms());
    let status = if wrote == Wrote::Joined { 201 } else { 200 };
    let answer = Answer::json(status, &view(&relation, &unit)).header("etag", etag);
    Ok(if status == 201 { answer.header("location", request.url(&request.path)) } else { answer })
}

pub(super) fn get(_: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let (relation, unit) = target(request, params)?;
    let stored = kept::unit(&relation.id, &unit)?.ok_or_else(unknown)?;
    Ok(conditions::answer(request, 200, &stored.value.etag, &view(&relation, &unit)))
}

pub(super) fn delete(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let (relation, unit) = target(request, params)?;
    let settings = Settings::load()?;
    if !kept::depart(&relation.id, &unit, |etag| conditions::before_write(request, Some(etag), &settings))? {
        return Err(unknown());
    }
    super::settle(&relation.id, &unit, outside.now_ms());
    Ok(Answer::new(204))
}
