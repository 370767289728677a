//! The provider's bag of a relation: `version`, `nodes`, `registered_certificates`, all of them strings.
//!
//! Sections 1.1, 1.4 and 1.7. Made on each read from what the stores confirmed; what is kept is its entity tag, whose
//! key wakes who waits for a change. Invariant: nothing is in it that a store did not confirm, or that has run out.

use std::collections::BTreeMap;

use plugbay_sdk::Problem;
use plugbay_sdk::kv::{self, Stored};
use serde::Serialize;

use crate::bag::{self, Bag};
use crate::settings::Settings;
use crate::store::nodes::Seen;
use crate::store::records::{Edge, Ledger, NodeState, State};
use crate::store::{keys, nodes, relations};

/// What this provider speaks.
pub const VERSION: &str = "1.0";

/// A node in `nodes`.
#[derive(Debug, Serialize)]
struct Published<'a> {
    endpoint: &'a str,
    name: &'a str,
    trusted_certs_fp: Vec<&'a str>,
}

/// What a relation wants, each certificate once: by fingerprint, with its first spelling and the order of spellings.
#[derive(Debug, Default)]
pub struct Wanted {
    by_fingerprint: BTreeMap<String, (usize, Edge)>,
}

impl Wanted {
    /// What the units of a relation want.
    ///
    /// # Errors
    /// Those of the store.
    pub fn by(relation: &str) -> Result<Wanted, kv::Error> {
        let mut edges = Vec::new();
        let prefix = keys::edges(relation);
        for entry in kv::prefix(&prefix) {
            let entry = entry?;
            let unit =
                entry.key.strip_prefix(&prefix).and_then(|rest| rest.split_once('/')).map(|(unit, _)| unit.to_owned());
            let edge: Edge = entry.json()?.value;
            edges.push((unit.unwrap_or_default(), edge.place, keys::last(&entry.key).to_owned(), edge));
        }
        edges.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let mut wanted = Wanted::default();
        for (order, (_, _, fingerprint, edge)) in edges.into_iter().enumerate() {
            wanted.by_fingerprint.entry(fingerprint).or_insert((order, edge));
        }
        Ok(wanted)
    }

    /// The fingerprints, sorted.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        self.by_fingerprint.keys().map(String::as_str)
    }
}

/// The bag of a relation at this time, milliseconds since 1970.
///
/// # Errors
/// Those of the store.
pub fn compute(relation: &str, all: &[Seen], settings: &Settings, now: i64) -> Result<Bag, Problem> {
    let wanted = Wanted::by(relation)?;
    let active: Vec<&Seen> = all.iter().filter(|seen| seen.is_published(settings, now)).collect();
    let mut ledgers: BTreeMap<(&str, &str), Ledger> = BTreeMap::new();
    for store in active.iter().map(|seen| seen.node.store.as_str()) {
        for fingerprint in wanted.fingerprints() {
            if !ledgers.contains_key(&(store, fingerprint))
                && let Some(Stored { value, .. }) = kv::get_json::<Ledger>(&keys::ledger(store, fingerprint))?
            {
                ledgers.insert((store, fingerprint), value);
            }
        }
    }
    let confirmed = |seen: &Seen, fingerprint: &str| {
        ledgers.get(&(seen.node.store.as_str(), fingerprint)).is_some_and(|ledger| holds(ledger, seen, now))
    };
    let published: Vec<Published<'_>> = active
        .iter()
        .map(|seen| Published {
            endpoint: &seen.node.endpoint,
            name: seen.status.server_name.as_deref().unwrap_or(&seen.node.name),
            trusted_certs_fp: wanted.fingerprints().filter(|fingerprint| confirmed(seen, fingerprint)).collect(),
        })
        .collect();
    let everywhere = |fingerprint: &str| !active.is_empty() && active.iter().all(|seen| confirmed(seen, fingerprint));
    let mut registered: Vec<&(usize, Edge)> =
        wanted.by_fingerprint.iter().filter(|(fingerprint, _)| everywhere(fingerprint)).map(|(_, edge)| edge).collect();
    registered.sort_by_key(|(order, _)| *order);
    let registered: Vec<&str> = registered.into_iter().map(|(_, edge)| edge.pem.as_str()).collect();
    Ok(Bag::from([
        ("version".to_owned(), VERSION.to_owned()),
        ("nodes".to_owned(), json(&published)?),
        ("registered_certificates".to_owned(), json(&registered)?),
    ]))
}

/// Whether a node confirmed a certificate that is still good. One that is away has confirmed what its store had before.
fn holds(ledger: &Ledger, seen: &Seen, now: i64) -> bool {
    let known = match (seen.status.state, seen.status.away_since) {
        (NodeState::Online, _) => true,
        (_, Some(since)) => ledger.since < since,
        _ => false,
    };
    known && ledger.state == State::Registered && now <= ledger.not_after * 1000 + 999
}

fn json<T: Serialize>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(Problem::internal)
}

/// Wake who waits for the bag of a relation, if it is another one now.
///
/// # Errors
/// Those of the store.
pub fn publish(relation: &str, now: i64) -> Result<(), Problem> {
    publish_with(relation, &nodes::all()?, &Settings::load()?, now)
}

/// Like [`publish`], with nodes and settings at hand.
///
/// # Errors
/// Those of the store.
pub fn publish_with(relation: &str, all: &[Seen], settings: &Settings, now: i64) -> Result<(), Problem> {
    let key = keys::published(relation);
    kv::transact(|tx| {
        let old = tx.get(&key)?;
        match relations::get(relation)? {
            Some(stored) if stored.value.broken.is_none() => {
                // A relation that is broken meanwhile has no bag.
                tx.check_version(keys::relation(relation), stored.version);
            }
            _ => return Ok(()),
        }
        let etag = bag::etag(&bag::text(&compute(relation, all, settings, now)?));
        if old.is_none_or(|entry| entry.value != etag.as_bytes()) {
            tx.put(key.as_str(), etag);
        }
        Ok::<_, Problem>(())
    })?;
    Ok(())
}

/// Wake who waits for the bag of any relation that has another one now.
///
/// # Errors
/// Those of the store.
pub fn publish_all(all: &[Seen], settings: &Settings, now: i64) -> Result<(), Problem> {
    for entry in kv::prefix(keys::RELATIONS) {
        publish_with(keys::last(&entry?.key), all, settings, now)?;
    }
    Ok(())
}
