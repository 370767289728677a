//! Entity records and the postings that follow from them.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use plugbay_sdk::{crypto, kv};

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

impl Sequence {
    /// From now on.
    pub fn now() -> Sequence {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Sequence { time: (since.as_nanos() << 12) / 1_000_000 }
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
    for posting in postings(keys, entity) {
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
        batch.remove_dead(posting);
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
