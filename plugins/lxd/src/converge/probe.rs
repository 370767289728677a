//! How nodes are: asking each member of a store, and keeping what it said.

use plugbay_sdk::Problem;
use plugbay_sdk::kv::Transaction;

use super::Run;
use crate::outside::Fault;
use crate::store::keys;
use crate::store::nodes::Seen;
use crate::store::records::{NodeState, Status};
use crate::trust::{Client, Server, TrustError};

/// Ask every member.
///
/// # Errors
/// Those of the store.
pub fn probe(run: &mut Run<'_>) -> Result<(), Problem> {
    let members: Vec<Seen> = run.members().cloned().collect();
    let mut first: Option<Server> = None;
    for member in members {
        let mut status = match Client::new(run.outside, &member.node).server() {
            Ok(server) => {
                let stranger = first.as_ref().is_some_and(|first| !together(first, &server));
                let status = status_of(&member.status, &server, run.outside.now_ms());
                if stranger {
                    let error = "the node shows the certificate of another node, but is no member of its cluster";
                    away(&status, NodeState::Offline, error, run.outside.now_ms())
                } else {
                    first.get_or_insert(server);
                    status
                }
            }
            Err(error) => away(&member.status, state_after(&error), &error.to_string(), run.outside.now_ms()),
        };
        keep(run, &member, &mut status)?;
    }
    Ok(())
}

/// A node failed in the middle of the work.
///
/// # Errors
/// Those of the store.
pub fn fell(run: &mut Run<'_>, member: &Seen, error: &TrustError) -> Result<(), Problem> {
    let mut status = away(&member.status, state_after(error), &error.to_string(), run.outside.now_ms());
    keep(run, member, &mut status)
}

/// Whether two servers with one certificate share a trust store: members of one cluster, or one server by two addresses.
fn together(a: &Server, b: &Server) -> bool {
    (a.clustered && b.clustered) || (a.clustered == b.clustered && a.name == b.name)
}

fn state_after(error: &TrustError) -> NodeState {
    match error {
        TrustError::Fault(Fault::PinMismatch) => NodeState::PinMismatch,
        TrustError::Refused { status: 403, .. } => NodeState::Untrusted,
        _ => NodeState::Offline,
    }
}

fn status_of(old: &Status, server: &Server, now: i64) -> Status {
    if !server.trusted {
        let error = "the node does not trust our certificate: add it to the node's trust store";
        return away(&Status { last_seen: Some(now), ..old.clone() }, NodeState::Untrusted, error, now);
    }
    Status {
        state: NodeState::Online,
        error: None,
        server_name: server.name.clone(),
        server_version: server.version.clone(),
        clustered: Some(server.clustered),
        last_seen: Some(now),
        away_since: None,
        published: old.published,
    }
}

fn away(old: &Status, state: NodeState, error: &str, now: i64) -> Status {
    let away_since = old.away_since.or_else(|| old.server_name.is_some().then_some(now));
    Status { state, error: Some(error.to_owned()), away_since, ..old.clone() }
}

/// Keep a status, here and in the store. What is published of the node is looked at again if it may be different.
fn keep(run: &mut Run<'_>, member: &Seen, status: &mut Status) -> Result<(), Problem> {
    let now = run.outside.now_ms();
    let mut seen = Seen { status: status.clone(), ..member.clone() };
    seen.status.published = seen.is_published(&run.settings, now);
    let old = &member.status;
    let new = &seen.status;
    let stale = old.published != new.published
        || (new.published && (old.server_name != new.server_name || old.state != new.state));
    if let (true, Some(since)) = (new.published, new.away_since) {
        run.wake_at(since + run.settings.grace_ms());
    }
    if old != new {
        let mut tx = Transaction::new();
        tx.check_version(keys::node(&member.node.name), member.version);
        tx.put_json(keys::seen(&member.node.name), new)?;
        if stale {
            tx.put(keys::STALE, Vec::new());
        }
        match tx.commit() {
            // The operator changed the node, which also wakes this worker again.
            Ok(_) | Err(plugbay_sdk::kv::Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(known) = run.all.iter_mut().find(|known| known.node.name == member.node.name) {
        known.status = seen.status;
    }
    Ok(())
}
