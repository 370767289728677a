//! How nodes are: asking each member of a store, and keeping what it said.

use std::collections::BTreeSet;

use plugbay_sdk::Problem;
use plugbay_sdk::kv::Transaction;

use super::Run;
use crate::outside::Fault;
use crate::store::keys;
use crate::store::nodes::Seen;
use crate::store::records::{NodeState, Status};
use crate::trust::{Client, Server, TrustError};

/// Milliseconds after which no further member is asked.
const LONGEST: i64 = 60_000;

/// Who was asked in this run.
#[derive(Debug, Default)]
pub struct Probed {
    /// Names of nodes.
    names: BTreeSet<String>,
    /// What the first that answered and trusts us is.
    server: Option<Server>,
}

/// Ask the members that were online; if none of them is any more, the others.
///
/// # Errors
/// Those of the store.
pub fn first(run: &mut Run<'_>) -> Result<(), Problem> {
    probe(run, |seen| seen.status.state == NodeState::Online)?;
    if run.leader().is_none() { rest(run) } else { Ok(()) }
}

/// Ask the members that were not asked yet. They may keep silent for long, so the work is done before.
///
/// # Errors
/// Those of the store.
pub fn rest(run: &mut Run<'_>) -> Result<(), Problem> {
    probe(run, |_| true)
}

fn probe(run: &mut Run<'_>, which: impl Fn(&Seen) -> bool) -> Result<(), Problem> {
    let asked = |seen: &&Seen| which(seen) && !run.probed.names.contains(&seen.node.name);
    let members: Vec<Seen> = run.members().filter(asked).cloned().collect();
    let began = run.outside.now_ms();
    for member in members {
        // The rest of a large cluster of silent members has its turn in the next run.
        if run.outside.now_ms() > began + LONGEST {
            break;
        }
        let status = match Client::new(run.outside, &member.node).server() {
            Ok(server) => answered(run, &member, server),
            Err(error) => away(&member.status, state_after(&error), &error.to_string(), run.outside.now_ms()),
        };
        run.probed.names.insert(member.node.name.clone());
        keep(run, &member, &status)?;
    }
    Ok(())
}

fn answered(run: &mut Run<'_>, member: &Seen, server: Server) -> Status {
    let (now, old) = (run.outside.now_ms(), &member.status);
    let status = status_of(old, &server, now);
    // Who does not trust us does not say who it is.
    let stranger = server.trusted && run.probed.server.as_ref().is_some_and(|first| !together(first, &server));
    if stranger {
        let error = "the node shows the certificate of another node, but is no member of its cluster";
        // Without a name it is not published, and what its store holds is not known.
        let nobody = Status { server_name: None, away_since: None, ..status };
        return away(&nobody, NodeState::Offline, error, now);
    }
    let back = status.state == NodeState::Online && old.state != NodeState::Online;
    if back && server.clustered {
        let behind = match Client::new(run.outside, &member.node).catch_up(&member.node.own) {
            Ok(true) => None,
            Ok(false) => Some((NodeState::Offline, "the node does not go by what its cluster trusts".to_owned())),
            Err(error) => Some((state_after(&error), error.to_string())),
        };
        if let Some((state, error)) = behind {
            return away(&Status { last_seen: Some(now), ..old.clone() }, state, &error, now);
        }
    }
    if server.trusted {
        run.probed.server.get_or_insert(server);
    }
    status
}

/// A node failed in the middle of the work.
///
/// # Errors
/// Those of the store.
pub fn fell(run: &mut Run<'_>, member: &Seen, error: &TrustError) -> Result<(), Problem> {
    let status = away(&member.status, state_after(error), &error.to_string(), run.outside.now_ms());
    keep(run, member, &status)
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
fn keep(run: &mut Run<'_>, member: &Seen, status: &Status) -> Result<(), Problem> {
    let now = run.outside.now_ms();
    let mut seen = Seen { status: status.clone(), ..member.clone() };
    seen.status.published = seen.is_published(&run.settings, now);
    let old = &member.status;
    let new = &seen.status;
    let stale = old.published != new.published
        || (new.published && (old.server_name != new.server_name || old.state != new.state));
    if let (true, Some(since)) = (new.published, new.away_since) {
        run.grace = run.grace.min(since + run.settings.grace_ms());
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
