//! What objects were: reading their history, and purging it.
//!
//! Owns the way to versions that are not current any more, and the order in which they are removed.
//! Invariant: a version that goes leaves a key for the collector in the same commit, so the blocks
//! that only it used are found.

use std::collections::BTreeMap;

use super::{
    blocks, containers,
    db::{self, Batch, COMMIT, Kept},
    keys::{self, Slot},
    places::{self, Place, denied},
};
use crate::{faults::Fault, object::Object, sharing::Access, time::Moment};

/// Versions read at once.
const PAGE: u32 = 64;

/// Checks and ops that the removal of one version takes: its key, and the collector's.
const PER_VERSION: usize = 2;

/// The fault for a version that is not there.
fn unknown() -> Fault {
    Fault::not_found("Version does not exist")
}

/// A place, for a user who may read what is or was there. The current object is passed on.
fn visible(account: &str, container: &str, name: &str, user: &str) -> Result<(Place, Option<Kept<Object>>), Fault> {
    let own = account == user;
    let Some(place) = Place::find(account, container, name)? else {
        return Err(if own { places::missing() } else { denied() });
    };
    let head = place.head()?;
    if places::access(&place, head.as_ref().map(|kept| &kept.value), user)? < Access::Read {
        return Err(denied());
    }
    Ok((place, head))
}

/// One version of an object, as a user who may read it. A number that is none, and one at which the
/// object was removed, is a 404.
pub fn readable(
    account: &str,
    container: &str,
    name: &str,
    user: &str,
    version: &str,
) -> Result<(Place, Kept<Object>), Fault> {
    let (place, head) = visible(account, container, name, user)?;
    let version: u64 = version.parse().map_err(|_| unknown())?;
    let found = match head {
        Some(head) if head.value.version == version => Some(head),
        _ => db::get_json::<Object>(&keys::version(&place.history(), version))?,
    };
    let found = found.filter(|kept| !kept.value.deleted).ok_or_else(unknown)?;
    Ok((place, found))
}

/// Number and time of every version of an object, oldest first, without those that removed it.
pub fn list(account: &str, container: &str, name: &str, user: &str) -> Result<Vec<(u64, Moment)>, Fault> {
    let (place, head) = visible(account, container, name, user)?;
    let mut found = Vec::new();
    let history = place.history();
    let mut from = history.clone();
    loop {
        let page = db::scan(&from, &keys::end_of(&history), PAGE, false)?;
        for entry in page.entries {
            let object: Object = db::read_json(&entry.value)?;
            if !object.deleted {
                found.push((object.version, object.modified));
            }
            from = format!("{}\0", entry.key);
        }
        if !page.more {
            break;
        }
    }
    found.extend(head.map(|kept| (kept.value.version, kept.value.modified)));
    if found.is_empty() {
        return Err(places::missing());
    }
    Ok(found)
}

/// Remove versions that are no longer current from the history of a container, or of one object in
/// it: those up to a moment, or all. Starts at `from`, makes at most so many commits, and says where
/// to go on.
pub fn purge(
    history: &str,
    from: Option<String>,
    until: Option<Moment>,
    commits: usize,
) -> Result<Option<String>, Fault> {
    let end = keys::end_of(history);
    let mut from = from.unwrap_or_else(|| history.to_owned());
    for _ in 0..commits {
        let limit = u32::try_from(COMMIT / PER_VERSION).unwrap_or(PAGE);
        let page = db::scan(&from, &end, limit, false)?;
        let mut batch = Batch::default();
        // Versions often share a map; one look at it is enough.
        let mut maps: BTreeMap<String, Object> = BTreeMap::new();
        for entry in page.entries {
            let object: Object = db::read_json(&entry.value)?;
            from = format!("{}\0", entry.key);
            if until.is_none_or(|until| object.modified <= until) {
                batch.delete(entry.key);
                if !object.content.map.is_empty() {
                    maps.insert(object.content.map.clone(), object);
                }
            }
        }
        for object in maps.into_values() {
            let slot = Slot::of(&object.container_id, &object.name);
            let history = slot.history(&object.container_id);
            blocks::discard(&object.content, &slot.head(), &history, &mut batch)?;
        }
        if batch.size() > 0 {
            db::attempt(|| {
                batch.clone().commit()?;
                Ok(())
            })?;
        }
        if !page.more {
            return Ok(None);
        }
    }
    Ok(Some(from))
}

/// Prefix of the history of everything in a container of the account's own.
pub fn history_of_container(account: &str, container: &str) -> Result<String, Fault> {
    let kept = containers::get(account, container)?.ok_or_else(containers::missing)?;
    Ok(keys::histories(&kept.value.id))
}

/// Prefix of the history of one object, which may be gone.
pub fn history_of_object(account: &str, container: &str, name: &str) -> Result<String, Fault> {
    Ok(Place::find(account, container, name)?.ok_or_else(places::missing)?.history())
}
