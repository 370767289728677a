//! `?delimiter=/`: calls on everything below a name, or in a container.
//!
//! Owns which names that is and how a call goes on after a step. Refusals that can be known come
//! before anything is changed. The object of the name itself comes last, so that a call that broke
//! off can be made again.

use std::time::{Duration, Instant};

use plugbay_sdk::Answer;
use serde::{Deserialize, Serialize};

use super::{
    Call,
    objects::{Going, Outcome, Target},
};
use crate::{
    faults::Fault,
    store::{
        bulk::{self, Swept, Transfer},
        containers, objects,
        places::{self, Place},
    },
};

/// How long one step works before others have their turn. In tests it takes several steps.
const STEP: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 5_000 });

/// How far a call on a subtree came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The name to go on with.
    from: String,
    /// Whether there was anything so far.
    found: bool,
}

/// The delimiter, if the call is on a subtree.
pub(super) fn delimiter<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    call.query.get("delimiter").filter(|delimiter| !delimiter.is_empty())
}

/// What the names below this one start with.
fn below(name: &str, delimiter: &str) -> String {
    if name.ends_with(delimiter) { name.to_owned() } else { format!("{name}{delimiter}") }
}

fn enough() -> impl Fn() -> bool {
    let start = Instant::now();
    move || start.elapsed() >= STEP
}

fn from(progress: Option<&Progress>) -> &str {
    progress.map_or("", |progress| progress.from.as_str())
}

/// The next step of the call; none if its subtree is done, with whether there was anything in it.
fn later(progress: Option<&Progress>, swept: Swept) -> Result<Outcome, bool> {
    let found = swept.found || progress.is_some_and(|progress| progress.found);
    match swept.from {
        Some(from) => Ok(Outcome::Again(Going::Bulk(Progress { from, found }))),
        None => Err(found),
    }
}

/// `DELETE /account/container?delimiter=/`: the container stays, its objects go.
pub(super) fn empty(
    call: &Call<'_>,
    account: &str,
    container: &str,
    progress: Option<&Progress>,
) -> Result<Outcome, Fault> {
    let place = Place::find(account, container, "")?.ok_or_else(containers::missing)?;
    let swept = bulk::remove(&place, ("", from(progress)), &call.user, enough())?;
    Ok(later(progress, swept).unwrap_or_else(|_| Answer::new(204).into()))
}

/// `DELETE /account/container/object?delimiter=/`: the object goes, and all below it.
pub(super) fn remove(
    call: &Call<'_>,
    target: &Target,
    delimiter: &str,
    progress: Option<&Progress>,
) -> Result<Outcome, Fault> {
    let Target { account, container, object } = target;
    let place = Place::find(account, container, object)?.ok_or_else(places::missing)?;
    let prefix = below(object, delimiter);
    let swept = bulk::remove(&place, (&prefix, from(progress)), &call.user, enough())?;
    let found = match later(progress, swept) {
        Ok(outcome) => return Ok(outcome),
        Err(found) => found,
    };
    let removed = objects::remove(
        || {
            let (place, head) = places::writable(account, container, object, &call.user)?;
            Ok((place, head.ok_or_else(places::missing)?))
        },
        &call.user,
    );
    match removed {
        // A directory need not have an object of its own.
        Err(fault) if fault.status() == 404 && found => {}
        removed => removed?,
    }
    Ok(Answer::new(204).into())
}

/// What is below an object, to be copied or moved before the object itself; none if that is done.
pub(super) fn transfer(
    call: &Call<'_>,
    source: &Target,
    target: &Target,
    (delimiter, moves): (&str, bool),
    progress: Option<&Progress>,
) -> Result<Option<Outcome>, Fault> {
    let (prefix, onto) = (below(&source.object, delimiter), below(&target.object, delimiter));
    let find = |at: &Target| Place::find(&at.account, &at.container, &at.object)?.ok_or_else(containers::missing);
    let (from_place, to_place) = (find(source)?, find(target)?);
    if from_place.record.value.id == to_place.record.value.id {
        if prefix == onto {
            return Ok(None);
        }
        if prefix.starts_with(&onto) || onto.starts_with(&prefix) {
            return Err(Fault::bad_request("A subtree cannot be copied or moved into itself or into its parent"));
        }
    }
    let transfer =
        Transfer { source: &from_place, prefix: &prefix, target: &to_place, onto: &onto, moves, user: &call.user };
    let swept = transfer.run(from(progress), enough())?;
    Ok(later(progress, swept).ok())
}
