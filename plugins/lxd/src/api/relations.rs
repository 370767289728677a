//! `/v1/relations`: made and broken by operators.

use plugbay_sdk::kv;
use plugbay_sdk::{Answer, Params, Problem, Request};
use serde::Deserialize;
use serde_json::Value;

use super::{access, conditions};
use crate::bag;
use crate::outside::Outside;
use crate::settings::Settings;
use crate::store::records::Relation;
use crate::store::{index, keys, relations as kept};
use crate::views;

/// Most relations in one listing, unless fewer are asked for.
const PAGE: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    interface: String,
    remote_app: String,
    label: Option<String>,
}

pub(super) fn list(_: &Outside, request: &Request, _: Params<'_>) -> Result<Answer, Problem> {
    let query = request.query();
    let limit = query.parse::<u32>("limit")?.unwrap_or(PAGE).clamp(1, PAGE);
    let mut scan = kv::prefix(keys::RELATIONS).limit(limit);
    if let Some(after) = query.get("after") {
        scan = scan.after(&keys::relation(after));
    }
    let page = scan.page()?;
    let mut views = Vec::new();
    for entry in &page.entries {
        let relation: Relation = entry.json()?.value;
        if relation.broken.is_none() {
            views.push(views::relation(&relation));
        }
    }
    let mut answer = Answer::json(200, &views);
    if let (true, Some(last)) = (page.more, page.entries.last()) {
        let next = request.url(&format!("/v1/relations?limit={limit}&after={}", keys::last(&last.key)));
        answer = answer.header("link", format!("<{next}>; rel=\"next\""));
    }
    Ok(answer)
}

pub(super) fn create(outside: &Outside, request: &Request, _: Params<'_>) -> Result<Answer, Problem> {
    let create: Create = request.json()?;
    if create.interface != "lxd" {
        return Err(Problem::unprocessable("This provider speaks the interface `lxd`."));
    }
    if create.remote_app.is_empty() || create.remote_app.len() > 128 || create.remote_app.contains(['/', '\0']) {
        return Err(Problem::unprocessable("`remote_app` is the name of an application: 1 to 128 bytes without `/`."));
    }
    if create.label.as_ref().is_some_and(|label| label.len() > 1024) {
        return Err(Problem::unprocessable("`label` has at most 1,024 bytes."));
    }
    let now = outside.now_ms();
    let (relation, token) = kept::create(None, &create.remote_app, create.label.as_deref(), now)?;
    // The bag is there before any unit is: relation-created.
    crate::published::publish(&relation.id, now)?;
    let mut view = views::relation(&relation);
    if let Some(view) = view.as_object_mut() {
        view.insert("token".to_owned(), token.into());
    }
    let location = request.url(&format!("/v1/relations/{}", relation.id));
    Ok(Answer::json(201, &view).header("location", location).header("cache-control", "no-store"))
}

pub(super) fn get(_: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let relation = access::relation(request, params.get("id"))?;
    let view = with_units(&relation)?;
    let etag = bag::etag(&view.to_string());
    Ok(conditions::answer(request, 200, &etag, &view))
}

fn with_units(relation: &Relation) -> Result<Value, Problem> {
    let mut units = Vec::new();
    for entry in kv::prefix(&keys::units(&relation.id)) {
        units.push(Value::from(views::unit_name(relation, keys::last(&entry?.key))));
    }
    let mut view = views::relation(relation);
    if let Some(view) = view.as_object_mut() {
        view.insert("units".to_owned(), units.into());
    }
    Ok(view)
}

/// Relation-broken. May be asked again until nothing is owed.
pub(super) fn delete(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let id = params.get("id");
    let Some(stored) = kept::get(id)? else { return Err(Problem::not_found("No such relation.")) };
    if stored.value.broken.is_some() {
        return if index::is_torn_down(id)? { Err(kept::gone()) } else { Ok(Answer::new(202)) };
    }
    let etag = bag::etag(&with_units(&stored.value)?.to_string());
    conditions::before_write(request, Some(&etag), &Settings::load()?)?;
    kept::break_off(id, outside.now_ms())?;
    super::settle(id, "", outside.now_ms());
    Ok(Answer::new(if index::is_torn_down(id)? { 204 } else { 202 }))
}
