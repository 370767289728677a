//! One group of commits being worked out: what each sees, whether it holds, what it writes.
//!
//! Owns the rules (checks, versions, quotas, charges). Nothing here touches the backend but to read;
//! a later commit of the group sees what an earlier one wrote. The result is one set of writes for
//! the whole group, because sled writes and waits for the disk once for each batch.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::backend::{Backend, Write};
use super::layout::{
    COUNTER, IMPORTING, REVISION, USAGE, cost, decode, decode_number, encode, encode_number, encode_usage, own_key,
};
use crate::store::engine::{Change, Commit, CommitError, Op, Quota, Record, StoreError, Usage};
use crate::store::prefix::{self, PrefixMap};

/// A key the group writes: what the backend holds, and what it will hold.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) old: Option<Bytes>,
    pub(super) new: Option<Bytes>,
}

/// All keys a group writes, the engine's own among them.
pub(super) type Overlay = BTreeMap<Bytes, Slot>;

/// The usage of every measured prefix. A prefix is measured from the first quota that names it, and
/// then by every commit, whether that names it or not.
pub(super) type Measured = PrefixMap<Usage>;

/// A group in the making.
pub(super) struct Stage<'a, B> {
    backend: &'a B,
    measured: &'a mut Measured,
    overlay: Overlay,
    changes: Vec<Change>,
    revision: u64,
}

impl<'a, B: Backend> Stage<'a, B> {
    /// Begin after `revision`.
    pub(super) fn new(backend: &'a B, measured: &'a mut Measured, revision: u64) -> Self {
        Stage { backend, measured, overlay: Overlay::new(), changes: Vec::new(), revision }
    }

    /// The writes, the changed keys of callers, and the revision they lead to.
    pub(super) fn finish(mut self) -> (Overlay, Vec<Change>, u64) {
        if !self.overlay.is_empty() {
            // No reader and no export looks for the old one.
            let slot = Slot { old: None, new: Some(encode(self.revision, &[])) };
            self.overlay.insert(Bytes::from_static(REVISION), slot);
        }
        (self.overlay, self.changes, self.revision)
    }

    /// Take the commit into the group, or refuse it and leave the group as it was.
    pub(super) fn add(&mut self, commit: &Commit) -> Result<u64, CommitError> {
        for (position, check) in commit.checks.iter().enumerate() {
            let version = self.read(&check.key)?.map(decode).transpose()?.map(|(version, _)| version);
            if version != check.expect {
                return Err(CommitError::Conflict(position));
            }
        }
        if let Some(quota) = &commit.quota {
            self.measure(&quota.prefix)?;
        }
        let revision = self.revision + 1;
        let mut usage = BTreeMap::new();
        let mut writes = Vec::with_capacity(commit.ops.len());
        for op in &commit.ops {
            let key = op.key();
            let slot = self.slot(key)?;
            let new = match op {
                Op::Put { value, .. } => Some(encode(revision, value)),
                Op::Delete { .. } if slot.new.is_some() => None,
                Op::Delete { .. } => continue,
            };
            self.account(&mut usage, key, slot.new.as_deref(), new.as_deref());
            writes.push((key.clone(), Slot { new, ..slot }));
        }
        if let Some(quota) = &commit.quota {
            self.within(quota, &usage)?;
        }
        let changed = writes.len();
        for (counter, value) in self.charge(commit)? {
            let key = own_key(COUNTER, &counter);
            let slot = self.slot(&key)?;
            let new = (value > 0).then(|| encode_number(revision, value));
            writes.push((key, Slot { new, ..slot }));
        }
        if writes.is_empty() {
            return Ok(self.revision);
        }
        for (prefix, usage) in &usage {
            let key = own_key(USAGE, prefix);
            let slot = self.slot(&key)?;
            writes.push((key, Slot { new: Some(encode_usage(revision, *usage)), ..slot }));
        }

        // Nothing fails from here on: the commit is in the group as a whole.
        let keys = writes.iter().take(changed);
        self.changes.extend(keys.map(|(key, _)| Change { key: key.clone(), revision }));
        self.overlay.extend(writes);
        for (prefix, usage) in usage {
            self.measured.insert(prefix, usage);
        }
        self.revision = revision;
        Ok(revision)
    }

    /// Take a record of an import as it is.
    pub(super) fn restore(&mut self, record: Record) -> Result<(), StoreError> {
        match record {
            Record::Counter { counter, value } => {
                self.write(own_key(COUNTER, &counter), Some(encode_number(self.revision, value)))
            }
            Record::Prefix(prefix) => {
                self.measured.insert(prefix, Usage::default());
                Ok(())
            }
            Record::Entry(entry) => {
                let raw = encode(entry.version, &entry.value);
                let mut usage = BTreeMap::new();
                self.account(&mut usage, &entry.key, None, Some(&raw));
                for (prefix, usage) in usage {
                    self.measured.insert(prefix, usage);
                }
                self.write(entry.key, Some(raw))
            }
        }
    }

    /// Mark the store as being imported into.
    pub(super) fn begin_restore(&mut self) -> Result<(), StoreError> {
        self.write(Bytes::from_static(IMPORTING), Some(encode(self.revision, &[])))
    }

    /// Complete an import: usage, revision, and the mark goes.
    pub(super) fn end_restore(&mut self) -> Result<(), StoreError> {
        let measured: Vec<_> = self.measured.iter().map(|(prefix, usage)| (own_key(USAGE, prefix), *usage)).collect();
        for (key, usage) in measured {
            self.write(key, Some(encode_usage(self.revision, usage)))?;
        }
        self.write(Bytes::from_static(IMPORTING), None)
    }

    /// A stored value as this group sees it.
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.overlay.get(key) {
            Some(slot) => Ok(slot.new.clone()),
            None => self.backend.get(key),
        }
    }

    /// What the backend holds, and what this group has made of it.
    fn slot(&self, key: &[u8]) -> Result<Slot, StoreError> {
        if let Some(slot) = self.overlay.get(key) {
            return Ok(slot.clone());
        }
        let old = self.backend.get(key)?;
        Ok(Slot { new: old.clone(), old })
    }

    fn write(&mut self, key: Bytes, new: Option<Bytes>) -> Result<(), StoreError> {
        let slot = self.slot(&key)?;
        self.overlay.insert(key, Slot { new, ..slot });
        Ok(())
    }

    /// See that the usage of `prefix` is known, counting it the first time.
    fn measure(&mut self, prefix: &Bytes) -> Result<(), StoreError> {
        if self.measured.get(prefix).is_some() {
            return Ok(());
        }
        let mut usage = Usage::default();
        let mut add = |key: &[u8], raw: &[u8]| {
            usage.bytes += cost(key, raw);
            usage.keys += 1;
        };
        let end = prefix::end(prefix);
        self.backend.scan(prefix, end.as_deref(), false, &mut |key, raw| {
            if !self.overlay.contains_key(&key) {
                add(&key, &raw);
            }
            true
        })?;
        for (key, slot) in self.overlay.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(prefix)) {
            if let Some(raw) = &slot.new {
                add(key, raw);
            }
        }
        self.measured.insert(prefix.clone(), usage);
        Ok(())
    }

    /// Note what one write does to the usage of every measured prefix of its key.
    fn account(&self, usage: &mut BTreeMap<Bytes, Usage>, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        self.measured.matches(key, |prefix, before| {
            let after = usage.entry(prefix.clone()).or_insert(*before);
            if let Some(old) = old {
                after.bytes = after.bytes.saturating_sub(cost(key, old));
                after.keys = after.keys.saturating_sub(1);
            }
            if let Some(new) = new {
                after.bytes += cost(key, new);
                after.keys += 1;
            }
        });
    }

    /// Only growth is refused, so that a plugin over its bound can still tidy up.
    fn within(&self, quota: &Quota, usage: &BTreeMap<Bytes, Usage>) -> Result<(), CommitError> {
        let (Some(after), Some(before)) = (usage.get(&quota.prefix), self.measured.get(&quota.prefix)) else {
            return Ok(());
        };
        let grows = |after, before, most| after > before && after > most;
        if grows(after.bytes, before.bytes, quota.max_bytes) || grows(after.keys, before.keys, quota.max_keys) {
            return Err(CommitError::QuotaExceeded);
        }
        Ok(())
    }

    /// The counters after the charges.
    fn charge(&self, commit: &Commit) -> Result<BTreeMap<Bytes, u64>, CommitError> {
        let mut counters = BTreeMap::new();
        for (position, charge) in commit.charges.iter().enumerate() {
            let before = match counters.get(&charge.counter) {
                Some(value) => *value,
                None => self.counter(&charge.counter)?,
            };
            let after = before.saturating_add_signed(charge.delta);
            if charge.delta > 0 && after > charge.limit {
                return Err(CommitError::ChargeExceeded(position));
            }
            counters.insert(charge.counter.clone(), after);
        }
        Ok(counters)
    }

    fn counter(&self, counter: &[u8]) -> Result<u64, StoreError> {
        match self.read(&own_key(COUNTER, counter))? {
            Some(raw) => decode_number(decode(raw)?.1),
            None => Ok(0),
        }
    }
}

/// The writes of a group as a backend takes them.
pub(super) fn batch(overlay: &Overlay) -> Vec<Write> {
    overlay.iter().map(|(key, slot)| (key.clone(), slot.new.clone())).collect()
}
