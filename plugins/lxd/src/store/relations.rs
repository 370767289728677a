//! Writing relations and the bags of their units.
//!
//! The truth of a bag is one commit; what follows from it is [`super::index`]'s. Invariant: a write leaves the mark
//! that the index is behind in the same commit, so that no crash forgets what was wanted or is wanted no more.

use plugbay_sdk::kv::{self, Stored, Transaction};
use plugbay_sdk::{Problem, crypto};

use super::bulk::Bulk;
use super::records::{Relation, Unit};
use super::{index, keys};
use crate::bag::{self, Bag};

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// The unit was not there.
    Joined,
    /// Its bag is another one now.
    Changed,
    /// Its bag was the same.
    Same,
}

/// A relation that was not swept yet, broken ones included.
///
/// # Errors
/// Those of the store.
pub fn get(id: &str) -> Result<Option<Stored<Relation>>, kv::Error> {
    kv::get_json(&keys::relation(id))
}

/// What a reader is told of a relation that was broken.
pub fn gone() -> Problem {
    Problem::new(410).detail("The relation was broken.")
}

/// A new relation and its requirer's token, which is not kept. Without an id one is made.
///
/// # Errors
/// Those of the host; 409 if the id is taken.
pub fn create(
    id: Option<&str>,
    remote_app: &str,
    label: Option<&str>,
    now: i64,
) -> Result<(Relation, String), Problem> {
    let token = crypto::hex(&crypto::random(32)?);
    let id = match id {
        Some(id) => id.to_owned(),
        None => crypto::hex(&crypto::random(8)?),
    };
    let relation = Relation {
        id,
        remote_app: remote_app.to_owned(),
        label: label.map(str::to_owned),
        token: token_hash(&token)?,
        created: now,
        broken: None,
    };
    let mut tx = Transaction::new();
    tx.check_absent(keys::relation(&relation.id));
    tx.put_json(keys::relation(&relation.id), &relation)?;
    tx.put(keys::token(&relation.token), relation.id.as_str());
    tx.commit()?;
    Ok((relation, token))
}

/// What of a token is kept.
///
/// # Errors
/// Those of the host.
pub fn token_hash(token: &str) -> Result<String, crypto::Error> {
    Ok(crypto::hex(&crypto::sha256(token.as_bytes())?))
}

/// The relation that a token was made with.
///
/// # Errors
/// Those of the host.
pub fn by_token(token: &str) -> Result<Option<String>, Problem> {
    let entry = kv::get(&keys::token(&token_hash(token)?))?;
    Ok(entry.map(|entry| String::from_utf8_lossy(&entry.value).into_owned()))
}

/// A unit's record.
///
/// # Errors
/// Those of the store.
pub fn unit(relation: &str, unit: &str) -> Result<Option<Stored<Unit>>, kv::Error> {
    kv::get_json(&keys::unit(relation, unit))
}

/// A unit's bag; none if the unit is not there.
///
/// # Errors
/// Those of the host.
pub fn bag_of(relation: &str, name: &str) -> Result<Option<(Bag, Stored<Unit>)>, Problem> {
    loop {
        let Some(stored) = unit(relation, name)? else { return Ok(None) };
        if let Some(text) = stored.value.bag.read()? {
            let bag = serde_json::from_str(&text).map_err(Problem::internal)?;
            return Ok(Some((bag, stored)));
        }
    }
}

/// Write a unit's bag, made from the one there is. The closure may run more than once; it checks conditions itself.
/// Its second result is given back beside the new bag's entity tag.
///
/// # Errors
/// Those of the closure and the host; 404 for an unknown relation, 409 and 410 as for [`no_writing`].
pub fn write<T>(
    relation: &str,
    name: &str,
    mut change: impl FnMut(Option<(&Bag, &str)>) -> Result<(Bag, T), Problem>,
) -> Result<(Wrote, Bag, String, T), Problem> {
    let committed = kv::transact(|tx| {
        require_alive(tx, relation)?;
        let old = bag_of(relation, name)?;
        let old = old.as_ref().map(|(bag, stored)| (bag, stored));
        tx.check_unchanged(keys::unit(relation, name), old.map(|(_, stored)| stored.version));
        let (new, more) = change(old.map(|(bag, stored)| (bag, stored.value.etag.as_str())))?;
        let text = bag::text(&new);
        if text.len() > bag::BAG_LIMIT {
            return Err(Problem::too_large("A bag has at most 1 MiB."));
        }
        let etag = bag::etag(&text);
        let wrote = match old {
            None => Wrote::Joined,
            Some((_, stored)) if stored.value.etag == etag => return Ok((Wrote::Same, new, etag, more)),
            Some((_, stored)) => {
                if let Bulk::Blob(_) = &stored.value.bag {
                    stored.value.bag.forget(tx);
                }
                Wrote::Changed
            }
        };
        let kept = Bulk::put(tx, &keys::bag(relation, name), &text)?;
        tx.put_json(keys::unit(relation, name), &Unit { etag: etag.clone(), bag: kept })?;
        tx.put(keys::touched(relation, name), Vec::new());
        Ok::<_, Problem>((wrote, new, etag, more))
    })?;
    Ok(committed.value)
}

/// A unit departs; false if it was not there.
///
/// # Errors
/// Those of the store, and of the check of the entity tag; 404, 409 and 410 as for [`write()`].
pub fn depart(relation: &str, name: &str, check: impl Fn(&str) -> Result<(), Problem>) -> Result<bool, Problem> {
    let committed = kv::transact(|tx| {
        require_alive(tx, relation)?;
        let Some(stored) = tx.get_json::<Unit>(&keys::unit(relation, name))? else { return Ok(false) };
        check(&stored.value.etag)?;
        forget_unit(tx, relation, name, &stored.value);
        Ok::<_, Problem>(true)
    })?;
    Ok(committed.value)
}

/// Delete a unit, and mark that its index is behind.
pub(super) fn forget_unit(tx: &mut Transaction, relation: &str, name: &str, unit: &Unit) {
    unit.bag.forget(tx);
    tx.delete(keys::unit(relation, name));
    tx.put(keys::touched(relation, name), Vec::new());
}

/// A relation is broken. What its units wanted is taken back by the index.
///
/// # Errors
/// 404, 409 and 410 as for [`write()`].
pub fn break_off(id: &str, now: i64) -> Result<(), Problem> {
    kv::transact(|tx| {
        require_alive(tx, id)?;
        let Some(stored) = tx.get_json::<Relation>(&keys::relation(id))? else { return Ok(()) };
        tx.delete(keys::token(&stored.value.token));
        tx.put_json(keys::relation(id), &Relation { broken: Some(now), ..stored.value })?;
        tx.put(keys::touched(id, ""), Vec::new());
        tx.delete(keys::published(id));
        Ok::<_, Problem>(())
    })?;
    Ok(())
}

fn require_alive(tx: &mut Transaction, id: &str) -> Result<(), Problem> {
    match tx.get_json::<Relation>(&keys::relation(id))? {
        None => Err(Problem::not_found("No such relation.")),
        Some(stored) if stored.value.broken.is_some() => Err(no_writing(id)?),
        Some(_) => Ok(()),
    }
}

/// Why nothing is written to a relation that was broken: 409 while it is torn down, then 410.
///
/// # Errors
/// Those of the store.
pub fn no_writing(id: &str) -> Result<Problem, Problem> {
    Ok(if index::is_torn_down(id)? {
        gone()
    } else {
        Problem::conflict("The relation is being torn down: nodes still have to give up its certificates.")
    })
}
