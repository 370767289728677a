//! Containers: made, changed, removed; and the removal of objects and of history.

use plugbay_sdk::Answer;

use super::{
    Call,
    bulk::{self, Progress},
    hashmaps,
    objects::{Going, Outcome, Target, own},
    writes::is_data,
};
use crate::{
    faults::Fault,
    object::{self, check_container_name},
    store::{containers, objects, places, versions},
    time::Moment,
};

/// Commits of one step that purges history.
const PURGES: usize = 64;

/// What a container's policy is made of.
const POLICIES: [&str; 3] = ["quota", "versioning", "project"];

/// What a request says of a container.
pub(super) fn container_change(call: &Call<'_>, replace_meta: bool) -> Result<containers::Change, Fault> {
    let policy = |name: &str| call.headers.text(&format!("x-container-policy-{name}"));
    let bad = |what: &str| Fault::bad_request(format!("Bad policy value for '{what}'"));
    let forget = match policy("versioning")?.as_deref() {
        None => None,
        Some("auto") => Some(false),
        Some("none") => Some(true),
        Some(_) => return Err(bad("versioning")),
    };
    for (name, _) in call.headers.prefixed("x-container-policy-")? {
        if !POLICIES.contains(&name.as_str()) {
            return Err(Fault::bad_request(format!("Unknown policy '{name}'")));
        }
    }
    let quota = policy("quota")?.map(|text| text.trim().parse().map_err(|_| bad("quota"))).transpose()?;
    Ok(containers::Change {
        meta: object::metadata(&call.headers, "x-container-meta-")?,
        replace_meta,
        policy: containers::PolicyChange { quota, forget, project: policy("project")? },
    })
}

/// `PUT` of a container.
pub(super) fn put(call: &Call<'_>, account: &str, container: &str) -> Result<Answer, Fault> {
    own(call, account)?;
    check_container_name(container)?;
    let new = containers::put(account, container, &container_change(call, false)?)?;
    Ok(Answer::new(if new { 201 } else { 202 }))
}

/// `POST` to a container: metadata and policy, or blocks.
pub(super) fn update(call: &Call<'_>, account: &str, container: &str) -> Result<Outcome, Fault> {
    own(call, account)?;
    if is_data(call)? {
        return hashmaps::begin_blocks(call, account, container);
    }
    let change = container_change(call, !call.query.has("update"))?;
    containers::update(account, container, &change)?;
    Ok(Answer::new(202).into())
}

/// `DELETE` of a container: itself, what is in it, or its history.
pub(super) fn delete(
    call: &Call<'_>,
    account: &str,
    container: &str,
    progress: Option<&Progress>,
) -> Result<Outcome, Fault> {
    own(call, account)?;
    if let Some(until) = until(call) {
        return purge(&versions::history_of_container(account, container)?, None, until);
    }
    if bulk::delimiter(call).is_some() {
        return bulk::empty(call, account, container, progress);
    }
    containers::delete(account, container)?;
    Ok(Answer::new(204).into())
}

/// `until`, which is an integer of seconds: clients send fractions and mean now, so anything else
/// counts as absent.
fn until(call: &Call<'_>) -> Option<Moment> {
    let seconds: i64 = call.query.get("until")?.parse().ok()?;
    Some(Moment(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000)))
}

/// Purge history up to a moment, going on from a key.
fn purge(history: &str, from: Option<String>, until: Moment) -> Result<Outcome, Fault> {
    Ok(match versions::purge(history, from, Some(until), PURGES)? {
        Some(rest) => Outcome::Again(Going::Purge(rest)),
        None => Answer::new(204).into(),
    })
}

/// `DELETE` of an object: itself, what is below it, or its history.
pub(super) fn delete_object(call: &Call<'_>, target: &Target, progress: Option<&Progress>) -> Result<Outcome, Fault> {
    let Target { account, container, object } = target;
    own(call, account)?;
    if let Some(delimiter) = bulk::delimiter(call) {
        return bulk::remove(call, target, delimiter, progress);
    }
    if let Some(until) = until(call) {
        return purge(&versions::history_of_object(account, container, object)?, None, until);
    }
    objects::remove(
        || {
            let (place, head) = places::writable(account, container, object, &call.user)?;
            Ok((place, head.ok_or_else(places::missing)?))
        },
        &call.user,
    )?;
    Ok(Answer::new(204).into())
}

/// Go on purging.
pub(super) fn delete_on(call: &Call<'_>, target: &Target, from: String) -> Result<Outcome, Fault> {
    let Target { account, container, object } = target;
    own(call, account)?;
    let history = if object.is_empty() {
        versions::history_of_container(account, container)?
    } else {
        versions::history_of_object(account, container, object)?
    };
    purge(&history, Some(from), until(call).unwrap_or_default())
}
