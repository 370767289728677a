//! How many bytes a container and an account may hold.
//!
//! Owns the arithmetic over all changes of one commit, so that moving an object within an account or
//! a container takes no room twice. A container's bound is its owner's policy, an account's is the
//! operator's setting. Invariant: a change that adds no bytes is never refused.
//!
//! Usage is read and not checked by the commit, so writers that meet may pass a bound by what they
//! write at that moment; a check on every shard would have them all wait for each other.

use std::collections::BTreeMap;

use super::{accounts, containers, objects::Counted};
use crate::{
    faults::{Fault, Kind},
    object::Object,
    settings::Settings,
};

/// Refuse changes that would make a container or an account too large.
pub(super) fn check(changes: &[Counted<'_>]) -> Result<(), Fault> {
    let size = |object: Option<&Object>| object.map_or(0, |object| i128::from(object.content.size));
    let mut containers = BTreeMap::new();
    let mut accounts = BTreeMap::new();
    for change in changes {
        let grown = size(change.new) - size(change.old);
        let (account, container) = (change.place.account.as_str(), &change.place.record.value);
        let entry = containers.entry(container.id.as_str()).or_insert((account, container.policy.quota, 0));
        entry.2 += grown;
        *accounts.entry(account).or_insert(0) += grown;
    }
    for (id, (account, quota, grown)) in containers {
        if quota > 0 && grown > 0 {
            fits("Container", quota, grown, containers::usage(account, id)?.bytes)?;
        }
    }
    accounts.retain(|_, grown| *grown > 0);
    if accounts.is_empty() {
        return Ok(());
    }
    let quota = Settings::load()?.account_quota;
    for (account, grown) in accounts {
        if quota > 0 {
            fits("Account", quota, grown, accounts::held(account)?.bytes)?;
        }
    }
    Ok(())
}

fn fits(what: &str, quota: u64, grown: i128, there: u64) -> Result<(), Fault> {
    if i128::from(there) + grown > i128::from(quota) {
        return Err(Fault::new(Kind::EntityTooLarge, format!("{what} quota exceeded: {quota} bytes")));
    }
    Ok(())
}
