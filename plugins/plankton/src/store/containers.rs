//! Containers and their usage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    db::{self, Batch, Kept, Stop},
    keys::{self, Slot},
    names::Stream,
};
use crate::{
    faults::{Fault, Kind},
    listing::Names as _,
    object::{check_entries, overlay},
    time::Moment,
};

/// A container's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Random id, under which its objects are kept.
    pub id: String,
    /// When it was made.
    pub created: Moment,
    /// When its own metadata or policy was last changed.
    pub modified: Moment,
    /// Metadata by normal name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
    /// What the owner decided.
    #[serde(default)]
    pub policy: Policy,
}

/// What the owner of a container decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Most bytes; 0: no bound.
    #[serde(default)]
    pub quota: u64,
    /// What is overwritten or deleted is not kept.
    #[serde(default)]
    pub forget: bool,
    /// Whom the bytes count for; none: the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// A change of a policy; none: stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyChange {
    /// New bound.
    pub quota: Option<u64>,
    /// New way with history.
    pub forget: Option<bool>,
    /// New project.
    pub project: Option<String>,
}

impl PolicyChange {
    fn apply(&self, policy: &mut Policy) {
        if let Some(quota) = self.quota {
            policy.quota = quota;
        }
        if let Some(forget) = self.forget {
            policy.forget = forget;
        }
        if self.project.is_some() {
            policy.project.clone_from(&self.project);
        }
    }
}

/// Metadata and policy to be laid over a container's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// By normal name; empty deletes.
    pub meta: Vec<(String, String)>,
    /// Drop the metadata there is first.
    pub replace_meta: bool,
    /// The policy.
    pub policy: PolicyChange,
}

impl Change {
    fn is_empty(&self) -> bool {
        *self == Change::default()
    }

    fn apply(&self, container: &mut Container) -> Result<(), Fault> {
        if self.replace_meta {
            container.meta.clear();
        }
        overlay(&mut container.meta, self.meta.clone());
        check_entries(container.meta.len())?;
        self.policy.apply(&mut container.policy);
        container.modified = Moment::now();
        Ok(())
    }
}

/// What a container, or one shard of its usage, holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Objects.
    pub objects: u64,
    /// Bytes.
    pub bytes: u64,
    /// When the newest of them was written or removed.
    pub modified: Moment,
}

impl Usage {
    /// Both together.
    pub fn plus(self, other: Usage) -> Usage {
        Usage {
            objects: self.objects.saturating_add(other.objects),
            bytes: self.bytes.saturating_add(other.bytes),
            modified: self.modified.max(other.modified),
        }
    }
}

/// The fault for a container that is not there.
pub fn missing() -> Fault {
    Fault::not_found("Container does not exist")
}

fn slot(account: &str, name: &str) -> Slot {
    Slot::of(&keys::id(account), name)
}

/// Key of a container's record.
pub fn key(account: &str, name: &str) -> String {
    slot(account, name).container()
}

/// The container of this name.
pub fn get(account: &str, name: &str) -> Result<Option<Kept<Container>>, Fault> {
    if name.is_empty() || name.contains('\0') {
        return Ok(None);
    }
    db::get_json(&key(account, name))
}

/// All containers of an account, in the order of their names.
pub fn stream(account: &str) -> Stream {
    Stream::new('c', &keys::id(account))
}

/// Make a container, or lay the change over the one there is. True if it is new.
pub fn put(account: &str, name: &str, change: &Change) -> Result<bool, Fault> {
    db::attempt(|| {
        let slot = slot(account, name);
        let key = slot.container();
        let there = db::get_json::<Container>(&key)?;
        let new = there.is_none();
        let version = there.as_ref().map(|kept| kept.version);
        let mut container = match there {
            Some(_) if change.is_empty() => return Ok(false),
            Some(kept) => kept.value,
            None => {
                let now = Moment::now();
                Container {
                    id: db::random_hex(16)?,
                    created: now,
                    modified: now,
                    meta: BTreeMap::new(),
                    policy: Policy::default(),
                }
            }
        };
        change.apply(&mut container)?;
        let mut batch = Batch::default();
        batch.unchanged(&key, version);
        batch.put_json(&key, &container)?;
        for marker in slot.markers {
            batch.mark(format!("c/{marker}"));
        }
        batch.commit()?;
        Ok(new)
    })
}

/// Lay a change over a container that has to be there.
pub fn update(account: &str, name: &str, change: &Change) -> Result<(), Fault> {
    db::attempt(|| {
        let key = key(account, name);
        let mut kept = db::get_json::<Container>(&key)?.ok_or_else(missing)?;
        change.apply(&mut kept.value)?;
        let mut batch = Batch::default();
        batch.unchanged(&key, Some(kept.version));
        batch.put_json(&key, &kept.value)?;
        batch.commit()?;
        Ok(())
    })
}

/// What a container holds.
pub fn usage(account: &str, id: &str) -> Result<Usage, Fault> {
    let prefix = format!("{}{id}/", keys::account_usage(account));
    let page = db::scan(&prefix, &keys::end_of(&prefix), u32::from(keys::SHARDS), false)?;
    page.entries.iter().try_fold(Usage::default(), |sum, entry| Ok(sum.plus(db::read_json(&entry.value)?)))
}

/// Remove a container that holds nothing; 409 if it holds something. What its objects were goes to
/// the collector.
pub fn delete(account: &str, name: &str) -> Result<(), Fault> {
    db::attempt(|| {
        let key = key(account, name);
        let kept = db::get_json::<Container>(&key)?.ok_or_else(missing)?;
        let id = &kept.value.id;
        let mut batch = Batch::default();
        batch.unchanged(&key, Some(kept.version));
        // Read before the look inside: an object added after the look changes one of them.
        for shard in 0..keys::SHARDS {
            let key = keys::usage(account, id, shard);
            let version = db::get(&key)?.map(|kept| kept.version);
            batch.unchanged(&key, version);
            if version.is_some() {
                batch.delete(key);
            }
        }
        if Stream::new('o', id).next()?.is_some() {
            return Err(Stop::Fault(Fault::new(Kind::Conflict, "Container is not empty")));
        }
        batch.delete(key);
        batch.put_json(
            keys::garbage(Moment::now(), &format!("container-{id}")),
            &serde_json::json!({ "container": id }),
        )?;
        batch.commit()?;
        Ok(())
    })
}
