//! The key space.
//!
//! | key | value | truth |
//! | --- | --- | --- |
//! | `node/{name}` | [`Node`](super::records::Node) | the operator's |
//! | `seen/{name}` | [`Status`](super::records::Status) | the store's worker's |
//! | `rel/{id}` | [`Relation`](super::records::Relation) | |
//! | `token/{sha256}` | id of the relation | follows `rel/` in the same commit |
//! | `unit/{id}/{unit}` | [`Unit`](super::records::Unit) | the requirer's |
//! | `bag/{id}/{unit}` | the bag's text | same commit as `unit/` |
//! | `touch/{id}/{unit}` | empty | the unit's index is behind; without a unit: the relation was broken |
//! | `left/{id}/{fp}` | empty | index: what a broken relation was the last to want, until no store owes its removal |
//! | `edge/{id}/{unit}/{fp}` | [`Edge`](super::records::Edge) | index: what a unit wants |
//! | `want/{fp}/{id}/{unit}` | empty | index: who wants a certificate |
//! | `cert/{fp}` | [`Certificate`](crate::certificate::Certificate) | index |
//! | `todo/{store}/{fp}` | empty | the certificate's state in the store is to be looked at |
//! | `led/{store}/{fp}` | [`Ledger`](super::records::Ledger) | what the store holds for us, owes and was told |
//! | `work/{store}` | [`Work`](super::records::Work) | when the worker lists again |
//! | `poke/{store}` | empty | wakes the worker |
//! | `pub/{id}` | entity tag of the provider's bag | wakes who waits for it |
//! | `stale` | empty | every provider's bag is to be looked at |
//!
//! A store is named by the SHA-256 of its server certificate: the members of a cluster share both. Ids, unit numbers and
//! fingerprints hold no `/`.

/// Prefix of nodes.
pub const NODES: &str = "node/";
/// Prefix of relations.
pub const RELATIONS: &str = "rel/";
/// Prefix of units whose index is behind.
pub const TOUCHED: &str = "touch/";
/// Prefix of who wants what.
pub const WANTS: &str = "want/";
/// Every provider's bag is to be looked at.
pub const STALE: &str = "stale";
/// The unit under which certificates come through the facade.
pub const FACADE_UNIT: &str = "facade";

/// A node's record.
pub fn node(name: &str) -> String {
    format!("{NODES}{name}")
}

/// How a node was last seen.
pub fn seen(name: &str) -> String {
    format!("seen/{name}")
}

/// A relation's record.
pub fn relation(id: &str) -> String {
    format!("{RELATIONS}{id}")
}

/// The relation of a token.
pub fn token(hash: &str) -> String {
    format!("token/{hash}")
}

/// A unit's name in keys: its number in ten digits, so that order is that of numbers.
pub fn unit_name(number: u32) -> String {
    format!("{number:010}")
}

/// The units of a relation.
pub fn units(relation: &str) -> String {
    format!("unit/{relation}/")
}

/// A unit's record.
pub fn unit(relation: &str, unit: &str) -> String {
    format!("unit/{relation}/{unit}")
}

/// A unit's bag.
pub fn bag(relation: &str, unit: &str) -> String {
    format!("bag/{relation}/{unit}")
}

/// The mark of a unit whose index is behind; of a broken relation if the unit's name is empty.
pub fn touched(relation: &str, unit: &str) -> String {
    format!("{TOUCHED}{relation}/{unit}")
}

/// The units of a relation whose index is behind.
pub fn touched_of(relation: &str) -> String {
    format!("{TOUCHED}{relation}/")
}

/// What a broken relation wanted.
pub fn all_left(relation: &str) -> String {
    format!("left/{relation}/")
}

/// That a broken relation wanted a certificate.
pub fn left(relation: &str, fingerprint: &str) -> String {
    format!("left/{relation}/{fingerprint}")
}

/// What a relation's units want.
pub fn edges(relation: &str) -> String {
    format!("edge/{relation}/")
}

/// What a unit wants.
pub fn unit_edges(relation: &str, unit: &str) -> String {
    format!("edge/{relation}/{unit}/")
}

/// That a unit wants a certificate.
pub fn edge(relation: &str, unit: &str, fingerprint: &str) -> String {
    format!("edge/{relation}/{unit}/{fingerprint}")
}

/// Who wants a certificate.
pub fn wants(fingerprint: &str) -> String {
    format!("{WANTS}{fingerprint}/")
}

/// That a certificate is wanted by a unit.
pub fn want(fingerprint: &str, relation: &str, unit: &str) -> String {
    format!("{WANTS}{fingerprint}/{relation}/{unit}")
}

/// A certificate's facts.
pub fn certificate(fingerprint: &str) -> String {
    format!("cert/{fingerprint}")
}

/// What is to be looked at in a store.
pub fn todos(store: &str) -> String {
    format!("todo/{store}/")
}

/// That a certificate is to be looked at in a store.
pub fn todo(store: &str, fingerprint: &str) -> String {
    format!("todo/{store}/{fingerprint}")
}

/// Everything about a store.
pub fn ledgers(store: &str) -> String {
    format!("led/{store}/")
}

/// A certificate in a store.
pub fn ledger(store: &str, fingerprint: &str) -> String {
    format!("led/{store}/{fingerprint}")
}

/// The state of a store's worker.
pub fn work(store: &str) -> String {
    format!("work/{store}")
}

/// Wakes a store's worker.
pub fn poke(store: &str) -> String {
    format!("poke/{store}")
}

/// Wakes who waits for a provider's bag.
pub fn published(relation: &str) -> String {
    format!("pub/{relation}")
}

/// The last segment of a key.
pub fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
