//! What follows from the bags: who wants which certificate, and what every store has to look at.
//!
//! A bag may hold more certificates than a commit has ops, so the index follows the bag in commits of its own. The mark
//! left by the bag's commit stays until all of them are done, and each checks that no newer bag has come; whoever finds a
//! mark may finish the work: the request, the sweep, a store's worker.

use std::collections::{BTreeMap, BTreeSet};

use plugbay_sdk::kv::{self, COMMIT_LIMIT, Transaction};
use plugbay_sdk::{Problem, warn};

use super::records::{Edge, Ledger, Unit};
use super::{keys, nodes, relations};
use crate::bag::{self, Entry};
use crate::published;

/// Most bytes of texts in one commit.
const BYTES: usize = 512 * 1024;

/// Certificates of a broken relation that are forgotten in one commit.
const PAGE: u32 = 256;

/// Tries at one unit before it is left to the sweep.
const TRIES: usize = 16;

/// Bring the index of a unit up to its bag; of the whole relation if the name is empty. `now` is
/// in milliseconds. Nothing is done without a mark.
///
/// # Errors
/// Those of the store.
pub fn settle(relation: &str, unit: &str, now: i64) -> Result<(), Problem> {
    for _ in 0..TRIES {
        match try_settle(relation, unit, now) {
            Ok(()) => {
                return published::publish(relation, now);
            }
            Err(Problems::Raced) => {}
            Err(Problems::Other(problem)) => return Err(problem),
        }
    }
    Ok(())
}

/// Bring the index up to every bag that is ahead of it. One that cannot be dealt with keeps no other back.
///
/// # Errors
/// If the store cannot be read.
pub fn settle_all(now: i64) -> Result<(), Problem> {
    for entry in kv::prefix(keys::TOUCHED) {
        let entry = entry?;
        let rest = entry.key.strip_prefix(keys::TOUCHED).unwrap_or_default();
        let Some((relation, unit)) = rest.split_once('/') else { continue };
        if let Err(problem) = settle(relation, unit, now) {
            warn!("the index of unit `{unit}` of relation {relation} is behind: {problem}");
        }
    }
    Ok(())
}

enum Problems {
    /// A newer bag has come, or somebody else has done it.
    Raced,
    Other(Problem),
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems::Other(problem)
    }
}

impl From<kv::Error> for Problems {
    fn from(error: kv::Error) -> Problems {
        match error {
            kv::Error::Conflict(_) => Problems::Raced,
            error => Problems::Other(error.into()),
        }
    }
}

/// One change of the index.
enum Change {
    /// The unit wants it, in this spelling; `new`: it did not before.
    Put {
        entry: Box<Entry>,
        edge: Edge,
        new: bool,
    },
    Remove(String),
}

fn try_settle(relation: &str, unit: &str, now: i64) -> Result<(), Problems> {
    let mark = keys::touched(relation, unit);
    let Some(touch) = kv::get(&mark)? else { return Ok(()) };
    if unit.is_empty() {
        return forget_units(relation, &mark, touch.version, now);
    }
    let wanted = match relations::bag_of(relation, unit)? {
        Some((bag, _)) => bag::entries(&bag),
        None => Vec::new(),
    };
    let changes = changes(relation, unit, wanted)?;
    let removed: Vec<String> = changes
        .iter()
        .filter_map(|change| if let Change::Remove(fingerprint) = change { Some(fingerprint.clone()) } else { None })
        .collect();
    let broken = !removed.is_empty() && relations::get(relation)?.is_none_or(|stored| stored.value.broken.is_some());
    let nodes = nodes::all()?;
    let stores = nodes::stores(&nodes);
    let begin = || {
        let mut tx = Transaction::new();
        tx.check_version(mark.as_str(), touch.version);
        tx
    };
    // Each change takes up to three ops and one for each store; the mark goes with the last commit.
    let most = 3 + stores.len();
    let (mut tx, mut bytes) = (begin(), 0);
    for change in changes {
        let size = if let Change::Put { edge, entry, .. } = &change {
            edge.pem.len() + 2 * entry.certificate.der.len()
        } else {
            0
        };
        if tx.size() + most + 1 > COMMIT_LIMIT || (bytes > 0 && bytes + size > BYTES) {
            std::mem::replace(&mut tx, begin()).commit()?;
            bytes = 0;
        }
        bytes += size;
        apply(&mut tx, relation, unit, &change, &stores)?;
        if let (true, Change::Remove(fingerprint)) = (broken, &change) {
            tx.put(keys::left(relation, fingerprint), Vec::new());
        }
    }
    tx.delete(mark.as_str());
    tx.commit()?;
    for fingerprint in removed {
        forget_certificate(&fingerprint)?;
    }
    Ok(())
}

fn changes(relation: &str, unit: &str, wanted: Vec<Entry>) -> Result<Vec<Change>, kv::Error> {
    let mut there: BTreeMap<String, Edge> = BTreeMap::new();
    for entry in kv::prefix(&keys::unit_edges(relation, unit)) {
        let entry = entry?;
        there.insert(keys::last(&entry.key).to_owned(), entry.json()?.value);
    }
    let mut changes = Vec::new();
    for (place, entry) in wanted.into_iter().enumerate() {
        let edge = Edge { pem: entry.pem.clone(), ignored: entry.ignored, place };
        let old = there.remove(&entry.certificate.fingerprint);
        if old.as_ref() != Some(&edge) {
            changes.push(Change::Put { entry: Box::new(entry), edge, new: old.is_none() });
        }
    }
    changes.extend(there.into_keys().map(Change::Remove));
    Ok(changes)
}

fn apply(
    tx: &mut Transaction,
    relation: &str,
    unit: &str,
    change: &Change,
    stores: &BTreeSet<&str>,
) -> Result<(), kv::Error> {
    let look = match change {
        Change::Put { entry, edge, new } => {
            let fingerprint = &entry.certificate.fingerprint;
            tx.put_json(keys::edge(relation, unit, fingerprint), edge)?;
            if !new {
                return Ok(());
            }
            tx.put(keys::want(fingerprint, relation, unit), Vec::new());
            tx.put_json(keys::certificate(fingerprint), &entry.certificate)?;
            fingerprint
        }
        Change::Remove(fingerprint) => {
            tx.delete(keys::edge(relation, unit, fingerprint));
            tx.delete(keys::want(fingerprint, relation, unit));
            fingerprint
        }
    };
    for store in stores {
        tx.put(keys::todo(store, look), Vec::new());
    }
    Ok(())
}

/// The relation was broken: its units depart, a few in each commit.
fn forget_units(relation: &str, mark: &str, seen: u64, now: i64) -> Result<(), Problems> {
    loop {
        let page = kv::prefix(&keys::units(relation)).limit(16).page()?;
        let mut tx = Transaction::new();
        tx.check_version(mark, seen);
        let mut units = Vec::new();
        for entry in &page.entries {
            let unit = keys::last(&entry.key).to_owned();
            relations::forget_unit(&mut tx, relation, &unit, &entry.json::<Unit>()?.value);
            units.push(unit);
        }
        if page.entries.is_empty() {
            tx.delete(mark);
            tx.commit()?;
            return Ok(());
        }
        tx.commit()?;
        for unit in units {
            settle(relation, &unit, now)?;
        }
    }
}

/// Whether any unit of any relation wants a certificate.
///
/// # Errors
/// Those of the store.
pub fn is_wanted(fingerprint: &str) -> Result<bool, kv::Error> {
    Ok(!kv::prefix(&keys::wants(fingerprint)).limit(1).page()?.entries.is_empty())
}

/// Whether nothing of a broken relation is left to be taken off any store. What is not left is forgotten here.
///
/// # Errors
/// Those of the store.
pub fn is_torn_down(relation: &str) -> Result<bool, kv::Error> {
    if !kv::prefix(&keys::touched_of(relation)).limit(1).page()?.entries.is_empty() {
        return Ok(false);
    }
    let all = nodes::all()?;
    let stores = nodes::stores(&all);
    loop {
        let page = kv::prefix(&keys::all_left(relation)).limit(PAGE).page()?;
        let mut tx = Transaction::new();
        let mut owed = false;
        for entry in &page.entries {
            owed = is_owed(keys::last(&entry.key), &stores)?;
            if owed {
                break;
            }
            tx.delete(entry.key.as_str());
        }
        if tx.size() > 0 {
            tx.commit()?;
        }
        if owed || !page.more {
            return Ok(!owed);
        }
    }
}

/// Whether any store still has to give up a certificate that nobody wants.
fn is_owed(fingerprint: &str, stores: &BTreeSet<&str>) -> Result<bool, kv::Error> {
    if is_wanted(fingerprint)? {
        return Ok(false);
    }
    for store in stores {
        let ledger = kv::get_json::<Ledger>(&keys::ledger(store, fingerprint))?;
        if ledger.is_some_and(|ledger| ledger.value.is_owed()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The relations and units that want a certificate.
///
/// # Errors
/// Those of the store.
pub fn owners(fingerprint: &str) -> Result<Vec<(String, String)>, kv::Error> {
    let prefix = keys::wants(fingerprint);
    kv::prefix(&prefix)
        .into_iter()
        .filter_map(|entry| {
            entry
                .map(|entry| {
                    entry.key.strip_prefix(&prefix)?.split_once('/').map(|(id, unit)| (id.to_owned(), unit.to_owned()))
                })
                .transpose()
        })
        .collect()
}

/// The facts of a certificate go with the last that wants it and the last store that knows it.
///
/// # Errors
/// Those of the store.
pub fn forget_certificate(fingerprint: &str) -> Result<(), Problem> {
    let key = keys::certificate(fingerprint);
    // Who wants it anew writes the facts again, so that this loses the race.
    let Some(entry) = kv::get(&key)? else { return Ok(()) };
    if is_wanted(fingerprint)? {
        return Ok(());
    }
    for store in nodes::stores(&nodes::all()?) {
        if kv::get_json::<Ledger>(&keys::ledger(store, fingerprint))?.is_some() {
            return Ok(());
        }
    }
    let mut tx = Transaction::new();
    tx.check_version(key.as_str(), entry.version);
    tx.delete(key);
    match tx.commit() {
        Ok(_) | Err(kv::Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
