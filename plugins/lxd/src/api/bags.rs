//! `…/units/{n}/data`: the requirer's bag, section 3.2.

use std::time::Duration;

use plugbay_sdk::{Answer, Event, IntoStep, Params, Park, Problem, Request, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::conditions::{self, Preferences};
use super::units;
use crate::bag::{self, Bag};
use crate::outside::Outside;
use crate::settings::Settings;
use crate::store::{keys, relations as kept};
use crate::views;

/// Most seconds that a writer waits.
const MOST: u32 = 60;
/// Milliseconds after which a waiting writer looks again: a failure of a certificate changes no published bag.
const ROUND: u64 = 1_000;

/// A writer that waits for nodes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// Rounds left.
    rounds: u32,
    /// Milliseconds since 1970.
    until: i64,
    /// What was refused of a lenient write.
    errors: Value,
}

pub(super) fn get(_: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let (relation, unit) = units::target(request, params)?;
    let (bag, stored) = kept::bag_of(&relation.id, &unit)?.ok_or_else(units::unknown)?;
    Ok(conditions::answer(request, 200, &stored.value.etag, &json!(bag)))
}

pub(super) fn write(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Step, Problem> {
    let (relation, unit) = units::target(request, params)?;
    let patch = request.method == "PATCH";
    if patch {
        conditions::merge_patch(request)?;
    }
    let body = conditions::json(request)?;
    let settings = Settings::load()?;
    let preferences = Preferences::of(request);
    let (_, _, _, errors) = kept::write(&relation.id, &unit, |old| {
        let (old, etag) = old.ok_or_else(units::unknown)?;
        conditions::before_write(request, Some(etag), &settings)?;
        let whole = if patch { bag::merged(old, body.clone()) } else { body.clone() };
        let checked = bag::check(whole);
        let unusable = checked.errors.iter().any(|error| error.key.is_none());
        if checked.errors.is_empty() || (preferences.lenient && !unusable) {
            return Ok((checked.bag, checked.errors));
        }
        Err(Problem::unprocessable("The bag was refused; nothing was changed.").with("errors", json!(checked.errors)))
    })?;
    super::settle(&relation.id, &unit, outside.now_ms());
    let rounds = preferences.wait.unwrap_or(0).min(MOST);
    let until = outside.now_ms() + i64::from(rounds) * 1_000;
    wait_or_answer(request, params, Waiting { rounds, until, errors: json!(errors) })
}

pub(super) fn resume(
    outside: &Outside,
    request: &Request,
    params: Params<'_>,
    mut waiting: Waiting,
    event: Event,
) -> Result<Step, Problem> {
    if event == Event::Timeout {
        waiting.rounds = waiting.rounds.saturating_sub(1);
    }
    if outside.now_ms() >= waiting.until {
        waiting.rounds = 0;
    }
    wait_or_answer(request, params, waiting)
}

fn wait_or_answer(request: &Request, params: Params<'_>, waiting: Waiting) -> Result<Step, Problem> {
    // First, so that a change of anything read below wakes.
    let seen = plugbay_sdk::kv::get(&keys::published(params.get("id")))?.map(|entry| entry.version);
    let (relation, unit) = units::target(request, params)?;
    let preferences = Preferences::of(request);
    let pending = if preferences.wait.is_some() { views::pending(&relation.id)? } else { Vec::new() };
    if waiting.rounds > 0 && !pending.is_empty() {
        return Park::new(Duration::from_millis(ROUND)).key(keys::published(&relation.id), seen).then(&waiting);
    }
    let (bag, stored) = kept::bag_of(&relation.id, &unit)?.ok_or_else(units::unknown)?;
    Ok(answer(preferences, &bag, &stored.value.etag, waiting.errors, pending).into_step())
}

/// The stored bag; with a preference, what was refused or is pending beside it.
fn answer(preferences: Preferences, bag: &Bag, etag: &str, errors: Value, pending: Vec<Value>) -> Answer {
    let Some(applied) = preferences.applied() else { return Answer::json(200, bag).header("etag", etag) };
    let mut body = json!({ "data": bag });
    if let Some(body) = body.as_object_mut() {
        if preferences.lenient {
            body.insert("errors".to_owned(), errors);
        }
        if preferences.wait.is_some() {
            body.insert("pending".to_owned(), pending.into());
        }
    }
    Answer::json(200, &body).header("etag", etag).header("preference-applied", applied)
}
