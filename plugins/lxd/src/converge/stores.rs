//! The end of a store: what is owed is paid, the rest is forgotten, the nodes go.

use plugbay_sdk::kv::{self, Transaction};
use plugbay_sdk::{Problem, warn};

use crate::outside::Outside;
use crate::store::records::{Ledger, Node};
use crate::store::{index, keys, nodes};

/// Whether anything is owed by a store.
///
/// # Errors
/// Those of our own store.
pub fn owes(store: &str) -> Result<bool, kv::Error> {
    for entry in kv::prefix(&keys::ledgers(store)) {
        if entry?.json::<Ledger>()?.value.is_owed() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Forget what does not have to be deleted from a store that goes.
///
/// # Errors
/// Those of our own store.
pub fn forget_unowed(store: &str) -> Result<(), Problem> {
    for entry in kv::prefix(&keys::ledgers(store)) {
        let entry = entry?;
        if !entry.json::<Ledger>()?.value.is_owed() {
            forget_one(&entry.key)?;
        }
    }
    Ok(())
}

fn forget_one(key: &str) -> Result<(), Problem> {
    let mut tx = Transaction::new();
    tx.delete(key);
    tx.commit()?;
    index::forget_certificate(keys::last(key))
}

/// Forget a store that owes nothing and whose nodes are all to go, and the nodes; false if it is not so far.
///
/// # Errors
/// Those of our own store.
pub fn finish(outside: &Outside, store: &str) -> Result<bool, Problem> {
    let all = nodes::all()?;
    let mine: Vec<_> = all.iter().filter(|seen| seen.node.store == store).collect();
    if owes(store)? || !mine.iter().all(|seen| seen.node.deleting) {
        return Ok(false);
    }
    for seen in mine {
        remove_node(outside, &seen.node, seen.version)?;
    }
    forget(store)?;
    Ok(true)
}

/// Remove a node and its credential. Its store stays.
///
/// # Errors
/// Those of our own store; 409 if the node changed.
pub fn remove_node(outside: &Outside, node: &Node, version: u64) -> Result<(), Problem> {
    let mut tx = Transaction::new();
    tx.check_version(keys::node(&node.name), version);
    tx.delete(keys::node(&node.name));
    tx.delete(keys::seen(&node.name));
    tx.put(keys::STALE, Vec::new());
    tx.commit()?;
    if let Err(fault) = outside.secrets.delete(&node.identity) {
        warn!("the credential of node {} is kept: {fault}", node.name);
    }
    Ok(())
}

/// Forget everything about a store that has no nodes.
///
/// # Errors
/// Those of our own store.
pub fn forget(store: &str) -> Result<(), Problem> {
    for prefix in [keys::todos(store), keys::ledgers(store)] {
        for entry in kv::prefix(&prefix) {
            forget_one(&entry?.key)?;
        }
    }
    let mut tx = Transaction::new();
    tx.delete(keys::work(store));
    tx.delete(keys::poke(store));
    tx.commit()?;
    Ok(())
}
