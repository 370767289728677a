//! Reading nodes and what was last seen of them.

use std::collections::BTreeSet;

use plugbay_sdk::kv;

use super::keys;
use super::records::{Node, NodeState, Status};
use crate::settings::Settings;

/// Most nodes. A commit has to hold a mark for each store.
pub const LIMIT: usize = 64;

/// A node and how it was last seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The node.
    pub node: Node,
    /// Version of its record.
    pub version: u64,
    /// How it was seen.
    pub status: Status,
}

/// All nodes, by name.
///
/// # Errors
/// Those of the store.
pub fn all() -> Result<Vec<Seen>, kv::Error> {
    kv::prefix(keys::NODES)
        .into_iter()
        .map(|entry| {
            let stored = entry?.json::<Node>()?;
            let status = kv::get_json::<Status>(&keys::seen(&stored.value.name))?;
            let status = status.map(|stored| stored.value).unwrap_or_default();
            Ok(Seen { node: stored.value, version: stored.version, status })
        })
        .collect()
}

/// One node.
///
/// # Errors
/// Those of the store.
pub fn get(name: &str) -> Result<Option<Seen>, kv::Error> {
    let Some(stored) = kv::get_json::<Node>(&keys::node(name))? else { return Ok(None) };
    let status = kv::get_json::<Status>(&keys::seen(name))?.map(|stored| stored.value).unwrap_or_default();
    Ok(Some(Seen { node: stored.value, version: stored.version, status }))
}

/// The stores of these nodes.
pub fn stores(nodes: &[Seen]) -> BTreeSet<&str> {
    nodes.iter().map(|seen| seen.node.store.as_str()).collect()
}

impl Seen {
    /// The state, the operator's will included.
    pub fn state(&self) -> NodeState {
        if self.node.enabled { self.status.state } else { NodeState::Disabled }
    }

    /// Whether it is one of the active nodes at this time, milliseconds since 1970. One that went away is for a while,
    /// so that a short outage is no storm of changes; one that shows another certificate is not.
    pub fn is_published(&self, settings: &Settings, now: i64) -> bool {
        if self.node.deleting || !self.node.enabled || self.status.server_name.is_none() {
            return false;
        }
        match (self.status.state, self.status.away_since) {
            (NodeState::Online, _) => true,
            (NodeState::Offline | NodeState::Untrusted, Some(since)) => now < since + settings.grace_ms(),
            _ => false,
        }
    }
}
