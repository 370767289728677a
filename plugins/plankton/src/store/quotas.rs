//! How many bytes a container and an account may hold.
//!
//! Owns the arithmetic over all changes of one commit, so that moving an object within an account or
//! a container takes no room twice. A container's bound is its owner's policy, an account's is the
//! operator's setting. Invariant: a change that adds no bytes is never refused.
//!
//! Usage is read and not checked by the commit, so writers that meet may pass a bound by what they
//! write at that moment; a check on every shard would have them all wait for each other.

use std::collections::BTreeMap;

use super::{accounts, containers, objects::Counted, places::Place};
use crate::{
    faults::{Fault, Kind},
    object::Object,
    settings::Settings,
};

/// Refuse changes that would make a container or an account too large.
pub(super) fn check(changes: &[Counted<'_>]) -> Result<(), Fault> {
    let size = |object: Option<&Object>| object.map_or(0, |object| object.content.size);
    let growth = |change: &Counted<'_>| i128::from(size(change.new)) - i128::from(size(change.old));
    refuse(changes.iter().map(|change| (change.place, growth(change))))
}

/// Refuse this many bytes at a place before anything is taken or kept of them.
pub fn admit(place: &Place, there: Option<&Object>, bytes: u64) -> Result<(), Fault> {
    let old = there.map_or(0, |object| object.content.size);
    refuse(std::iter::once((place, i128::from(bytes) - i128::from(old))))
}

fn refuse<'a>(changes: impl Iterator<Item = (&'a Place, i128)>) -> Result<(), Fault> {
    let mut containers = BTreeMap::new();
    let mut accounts = BTreeMap::new();
    for (place, grown) in changes {
        let (account, container) = (place.account.as_str(), &place.record.value);
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
