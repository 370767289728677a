//! What is said of nodes, relations and certificates: sections 3.1 and 3.5.

use std::collections::BTreeMap;

use plugbay_sdk::Problem;
use plugbay_sdk::kv;
use serde_json::{Value, json};

use crate::certificate::Certificate;
use crate::published::Wanted;
use crate::store::nodes::{self, Seen};
use crate::store::records::{Edge, Ledger, Relation, State};
use crate::store::{index, keys, relations};
use crate::time::{rfc3339, rfc3339_ms};

/// A node; never its key.
pub fn node(seen: &Seen) -> Value {
    let (node, status) = (&seen.node, &seen.status);
    json!({
        "name": node.name,
        "endpoint": node.endpoint,
        "server_name": status.server_name,
        "server_version": status.server_version,
        "clustered": status.clustered,
        "state": seen.state(),
        "error": status.error,
        "last_seen": status.last_seen.map(rfc3339_ms),
        "certificate_fingerprint": node.store,
        "client_fingerprint": node.own,
        "projects": node.projects,
        "enabled": node.enabled,
        "deleting": node.deleting,
    })
}

/// A relation; its token is told once, when it is made.
pub fn relation(relation: &Relation) -> Value {
    json!({
        "id": relation.id,
        "interface": "lxd",
        "remote_app": relation.remote_app,
        "label": relation.label,
        "created": rfc3339_ms(relation.created),
    })
}

/// A unit's name as Juju has it.
pub fn unit_name(relation: &Relation, unit: &str) -> String {
    let number = unit.parse::<u32>().map_or_else(|_| unit.to_owned(), |number| number.to_string());
    format!("{}/{number}", relation.remote_app)
}

/// The certificates that a relation wants; of other relations nothing is said.
///
/// # Errors
/// Those of the store.
pub fn of_relation(relation: &Relation) -> Result<Vec<Value>, Problem> {
    let all = nodes::all()?;
    let wanted = Wanted::by(&relation.id)?;
    let mut views = Vec::new();
    for fingerprint in wanted.fingerprints() {
        let mut owners = index::owners(fingerprint)?;
        owners.retain(|(id, _)| *id == relation.id);
        views.extend(certificate(fingerprint, &owners, &all)?);
    }
    Ok(views)
}

/// One certificate with all its owners; none if it is not known.
///
/// # Errors
/// Those of the store.
pub fn of_all(fingerprint: &str, all: &[Seen]) -> Result<Option<Value>, Problem> {
    certificate(fingerprint, &index::owners(fingerprint)?, all)
}

fn certificate(fingerprint: &str, owners: &[(String, String)], all: &[Seen]) -> Result<Option<Value>, Problem> {
    let Some(facts) = kv::get_json::<Certificate>(&keys::certificate(fingerprint))? else { return Ok(None) };
    let facts = facts.value;
    let mut units = Vec::new();
    let mut ignored = 0;
    let mut known: BTreeMap<&str, Option<Relation>> = BTreeMap::new();
    for (id, unit) in owners {
        if !known.contains_key(id.as_str()) {
            known.insert(id, relations::get(id)?.map(|stored| stored.value));
        }
        if let Some(Some(relation)) = known.get(id.as_str()) {
            units.push(json!({ "relation": id, "unit": unit_name(relation, unit) }));
        }
        if let Some(edge) = kv::get_json::<Edge>(&keys::edge(id, unit, fingerprint))? {
            ignored = ignored.max(edge.value.ignored);
        }
    }
    let mut stores: BTreeMap<&str, Option<Ledger>> = BTreeMap::new();
    let mut states = Vec::new();
    for seen in all {
        let store = seen.node.store.as_str();
        if !stores.contains_key(store) {
            let ledger = kv::get_json::<Ledger>(&keys::ledger(store, fingerprint))?;
            stores.insert(store, ledger.map(|stored| stored.value));
        }
        let ledger = stores.get(store).cloned().flatten();
        if ledger.is_some() || !owners.is_empty() {
            let mut ledger = ledger.unwrap_or_default();
            if owners.is_empty() && ledger.is_owed() {
                // So it is from the moment on in which nobody wants it, whenever its worker comes to it.
                ledger.state = State::Removing;
            }
            states.push(state(&seen.node.name, &ledger));
        }
    }
    Ok(Some(json!({
        "fingerprint": fingerprint,
        "subject": facts.subject,
        "not_before": rfc3339(facts.not_before),
        "not_after": rfc3339(facts.not_after),
        "key": { "kind": facts.key_kind, "bits": facts.key_bits },
        "ignored_blocks": ignored,
        "owners": units,
        "nodes": states,
    })))
}

fn state(node: &str, ledger: &Ledger) -> Value {
    json!({
        "node": node,
        "state": ledger.state,
        "owned": ledger.owned,
        "attempts": ledger.attempts,
        "next_attempt": (ledger.next_attempt > 0).then(|| rfc3339_ms(ledger.next_attempt)),
        "error": ledger.error.as_ref().map(|error| json!({
            "code": error.code,
            "message": error.message,
            "http_status": error.http_status,
        })),
    })
}

/// What of a relation's certificates is still to be registered, and where. Nodes that are disabled or going do not count.
///
/// # Errors
/// Those of the store.
pub fn pending(relation: &str) -> Result<Vec<Value>, Problem> {
    let all = nodes::all()?;
    let wanted = Wanted::by(relation)?;
    let mut pending = Vec::new();
    for seen in all.iter().filter(|seen| seen.node.enabled && !seen.node.deleting) {
        for fingerprint in wanted.fingerprints() {
            let ledger = kv::get_json::<Ledger>(&keys::ledger(&seen.node.store, fingerprint))?;
            let state = ledger.map(|stored| stored.value.state).unwrap_or_default();
            if matches!(state, State::Pending | State::Removing) {
                pending.push(json!({ "node": seen.node.name, "fingerprint": fingerprint }));
            }
        }
    }
    Ok(pending)
}
