//! Entity records and the postings that follow from them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use plugbay_sdk::{
    crypto,
    kv::{self, Entry},
};

use super::{
    batch::{Batch, Stop},
    keys::Keys,
};
use crate::{entity::Entity, fault::Fault};

/// A record and the version of its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The record.
    pub entity: Entity,
    /// The version.
    pub version: u64,
}

/// The entity at a path.
///
/// # Errors
/// Those of the store.
pub fn get(keys: &Keys, path: &str) -> Result<Option<Kept>, Fault> {
    #[cfg(test)]
    super::reads::count(1);
    let stored = kv::get_json::<Entity>(&keys.entity(path))?;
    Ok(stored.map(|stored| Kept { entity: stored.value, version: stored.version }))
}

/// Records that are read to find out whether those of a list lie together, and how many of them are to be of the list.
const PROBE: u32 = 16;
const TOGETHER: usize = 8;

/// The entities at these paths, in their order.
///
/// # Errors
/// Those of the store.
pub fn get_many(keys: &Keys, paths: &[String]) -> Result<Vec<Option<Kept>>, Fault> {
    let read = |entry: Entry| -> Result<Kept, Fault> {
        let stored = entry.json::<Entity>()?;
        Ok(Kept { entity: stored.value, version: stored.version })
    };
    records(keys, paths)?.into_iter().map(|entry| entry.map(read).transpose()).collect()
}

/// The records at these paths, in their order. Of a list in the order of creation most lie beside each other.
///
/// # Errors
/// Those of the store.
pub fn records(keys: &Keys, paths: &[String]) -> Result<Vec<Option<Entry>>, Fault> {
    let wanted: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
    let mut found = BTreeMap::new();
    if let (Some(first), Some(last)) = (wanted.first(), wanted.last())
        && wanted.len() >= TOGETHER
    {
        let prefix = keys.entity("");
        let (mut start, end) = (keys.entity(first), format!("{}\0", keys.entity(last)));
        let mut limit = PROBE;
        loop {
            let page = kv::scan(&kv::Range { start, end: Some(end.clone()), limit, reverse: false })?;
            #[cfg(test)]
            super::reads::count(page.entries.len());
            let before = found.len();
            let last = page.entries.last().map(|entry| format!("{}\0", entry.key));
            for entry in page.entries {
                if let Some(path) = entry.key.strip_prefix(&prefix).and_then(|path| wanted.get(path)) {
                    found.insert(*path, entry);
                }
            }
            match last {
                Some(last) if page.more && found.len() - before >= TOGETHER => start = last,
                _ => break,
            }
            limit = u32::try_from(wanted.len() - found.len()).unwrap_or(u32::MAX).clamp(PROBE, 256);
        }
    }
    let read = |path: &String| match found.remove(path.as_str()) {
        Some(entry) => Ok(Some(entry)),
        None => record(keys, path),
    };
    paths.iter().map(read).collect()
}

/// The record at a path.
///
/// # Errors
/// Those of the store.
pub fn record(keys: &Keys, path: &str) -> Result<Option<Entry>, Fault> {
    #[cfg(test)]
    super::reads::count(1);
    Ok(kv::get(&keys.entity(path))?)
}

/// The entity at a path, which has to be there.
///
/// # Errors
/// 404 if it is not.
pub fn existing(keys: &Keys, path: &str) -> Result<Kept, Fault> {
    get(keys, path)?.ok_or_else(|| Fault::not_found(format!("There is nothing at {path}.")))
}

/// The links that lead to an entity.
///
/// # Errors
/// Those of the store.
pub fn incoming(keys: &Keys, path: &str) -> Result<Vec<Entity>, Fault> {
    let mut links = Vec::new();
    for entry in kv::prefix(&keys.incoming(path)).iter() {
        let link = String::from_utf8(entry?.value).map_err(Fault::internal)?;
        let leads_here = |entity: &Entity| entity.ends.as_ref().is_some_and(|ends| ends.target == path);
        links.extend(get(keys, &link)?.map(|kept| kept.entity).filter(leads_here));
    }
    Ok(links)
}

/// The path of the entity with this `seq`.
///
/// # Errors
/// 404 if there is none.
pub fn path_of(keys: &Keys, seq: &str) -> Result<String, Fault> {
    let posting = kv::get(&format!("{}{seq}", keys.all()))?;
    let path = posting.and_then(|entry| String::from_utf8(entry.value).ok());
    path.ok_or_else(|| Fault::not_found("There is nothing with that id."))
}

/// `seq`s for the entities of one request, in order.
#[derive(Debug)]
pub struct Sequence {
    /// Quarters of a microsecond since 1970, about: milliseconds, and 12 bits of their fraction.
    time: u128,
}

/// A new entity is committed so soon after it got its `seq`, in milliseconds, or says that it is not the last of its lists.
pub const SOON: u64 = 10_000;

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// When a `seq` was made, in milliseconds since 1970.
pub fn moment_of(seq: &str) -> u64 {
    seq.get(..12).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

impl Sequence {
    /// From now on.
    pub fn now() -> Sequence {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Sequence { time: (since.as_nanos() << 12) / 1_000_000 }
    }

    /// From now on, or after the last entity that there is, where the clock was set back.
    ///
    /// # Errors
    /// Those of the store.
    pub fn after_all(keys: &Keys) -> Result<Sequence, Fault> {
        let newest = kv::prefix(&keys.all()).reverse().limit(1).page()?.entries.pop();
        let newest = newest.map_or(0, |entry| moment_of(entry.key.get(keys.all().len()..).unwrap_or_default()));
        let now = Sequence::now();
        Ok(if u128::from(newest) > now.time >> 12 { Sequence { time: (u128::from(newest) + 1) << 12 } } else { now })
    }

    /// From this moment on, in milliseconds since 1970.
    #[cfg(test)]
    pub fn at(milliseconds: u64) -> Sequence {
        Sequence { time: u128::from(milliseconds) << 12 }
    }

    /// The next: a UUID of version 7 (RFC 9562, section 6.2, method 3), later ones greater.
    ///
    /// # Errors
    /// 500 without randomness.
    pub fn advance(&mut self) -> Result<String, Fault> {
        let random = crypto::random(8).map_err(|error| Fault::internal(format_args!("randomness: {error:?}")))?;
        let random = random.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
        let (milliseconds, fraction) = (self.time >> 12 & 0xffff_ffff_ffff, self.time & 0xfff);
        self.time += 1;
        let variant = random & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
        Ok(format!("{milliseconds:012x}7{fraction:03x}{variant:016x}"))
    }
}

/// Keys of all postings of an entity.
pub fn postings(keys: &Keys, entity: &Entity) -> BTreeSet<String> {
    let categories = std::iter::once(&entity.kind).chain(&entity.mixins).map(|id| keys.category(id));
    let pairs = entity.values().map(|(name, value)| keys.pair(name, &value));
    let ends = entity.ends.iter().map(|ends| keys.incoming(&ends.target));
    std::iter::once(keys.all())
        .chain(categories)
        .chain(pairs)
        .chain(ends)
        .map(|prefix| format!("{prefix}{}", entity.seq))
        .collect()
}

/// Write a new entity.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn create(keys: &Keys, batch: &mut Batch, entity: &Entity) -> Result<(), Stop> {
    let key = keys.entity(&entity.path);
    batch.unchanged(&key, None);
    batch.put_json(key, entity)?;
    let late = now().saturating_sub(moment_of(&entity.seq)) > SOON;
    for posting in postings(keys, entity) {
        if let Some(list) = keys.changes(&posting).filter(|_| late) {
            batch.changed(list);
        }
        batch.add(posting, &entity.path);
    }
    Ok(())
}

/// Write an entity anew.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn update(keys: &Keys, batch: &mut Batch, before: &Kept, after: &Entity) -> Result<(), Stop> {
    let key = keys.entity(&after.path);
    batch.unchanged(&key, Some(before.version));
    if before.entity == *after {
        return Ok(());
    }
    batch.put_json(key, after)?;
    let (old, new) = (postings(keys, &before.entity), postings(keys, after));
    for posting in new.symmetric_difference(&old) {
        if let Some(list) = keys.changes(posting) {
            batch.changed(list);
        }
    }
    for posting in new.difference(&old) {
        batch.add(posting.clone(), &after.path);
    }
    for posting in old.difference(&new) {
        batch.remove(posting.clone());
    }
    Ok(())
}

/// Delete an entity.
pub fn delete(keys: &Keys, batch: &mut Batch, kept: &Kept) {
    let key = keys.entity(&kept.entity.path);
    batch.unchanged(&key, Some(kept.version));
    batch.delete(key);
    for posting in postings(keys, &kept.entity) {
        let list = keys.changes(&posting);
        batch.remove_dead(posting, list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_request_are_in_order_and_of_version_seven() {
        let mut sequence = Sequence::now();
        let ids: Vec<_> = (0..100).map(|_| sequence.advance().unwrap()).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.len() == 32 && id.as_bytes()[12] == b'7'));
    }
}
