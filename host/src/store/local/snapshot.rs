//! A view of one revision for exports, while commits go on.
//!
//! The backend keeps one version of each key. So while an export runs, the writer keeps aside what
//! it overwrites beyond the export's position, and the export prefers what was kept. The bound on
//! that is in bytes; beyond it the export ends with an error and the writer is not held up.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use super::backend::Backend;
use super::layout::{COUNTER, FIRST, USAGE, decode, decode_number};
use super::shared::Shared;
use super::stage::Overlay;
use crate::store::engine::{Entry, Record, Snapshot, StoreError};

/// Most bytes kept aside for one export.
const KEPT_BYTES: usize = 64 * 1024 * 1024;
/// About the size of one part of an export, in bytes and in keys.
const PART_BYTES: usize = 256 * 1024;
const PART_KEYS: usize = 1024;

/// What the export has not read yet and the store has overwritten.
pub(super) struct Preserved {
    /// The first key not read yet.
    position: Bytes,
    kept: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
}

impl Preserved {
    /// Keep what this group overwrites. Beyond the bound, give everything up.
    pub(super) fn keep(&mut self, overlay: &Overlay) {
        for (key, slot) in overlay.range(self.position.clone()..) {
            if self.bytes <= KEPT_BYTES && !self.kept.contains_key(key) {
                self.bytes += size(key, slot.old.as_ref());
                self.kept.insert(key.clone(), slot.old.clone());
            }
        }
        if self.bytes > KEPT_BYTES {
            self.kept.clear();
        }
    }

    /// Move on past `last`; none: past everything.
    fn advance(&mut self, last: Option<&Bytes>) {
        let Some(last) = last else {
            self.kept.clear();
            return;
        };
        self.position = [&last[..], &[0]].concat().into();
        let rest = self.kept.split_off(&self.position);
        let passed = mem::replace(&mut self.kept, rest);
        self.bytes -= passed.iter().map(|(key, old)| size(key, old.as_ref())).sum::<usize>();
    }
}

fn size(key: &[u8], old: Option<&Bytes>) -> usize {
    key.len() + old.map_or(0, Bytes::len)
}

/// The view; it ends when dropped.
pub(super) struct LocalSnapshot<B: Backend> {
    shared: Arc<Shared<B>>,
    revision: u64,
    done: bool,
}

impl<B: Backend> LocalSnapshot<B> {
    pub(super) fn begin(shared: Arc<Shared<B>>) -> Result<Self, StoreError> {
        let mut view = shared.view.write();
        if view.preserved.is_some() {
            return Err(StoreError::ExportRunning);
        }
        view.preserved = Some(Preserved { position: Bytes::new(), kept: BTreeMap::new(), bytes: 0 });
        let revision = view.applied;
        drop(view);
        Ok(LocalSnapshot { shared, revision, done: false })
    }

    /// The next stretch of raw keys as of the revision; none at the end.
    fn part(&mut self) -> Result<Option<BTreeMap<Bytes, Bytes>>, StoreError> {
        if self.done {
            return Ok(None);
        }
        let mut view = self.shared.view.write();
        let preserved = view.preserved.as_mut().ok_or(StoreError::Closed)?;
        if preserved.bytes > KEPT_BYTES {
            return Err(StoreError::ExportOverrun);
        }
        let mut part = BTreeMap::new();
        let mut bytes = 0;
        let mut last = None;
        self.shared.backend.scan(&preserved.position, None, false, &mut |key, raw| {
            bytes += key.len() + raw.len();
            part.insert(key.clone(), raw);
            last = (bytes >= PART_BYTES || part.len() >= PART_KEYS).then_some(key);
            last.is_none()
        })?;
        let kept = preserved.kept.iter().take_while(|(key, _)| last.as_ref().is_none_or(|last| *key <= last));
        for (key, old) in kept {
            match old {
                Some(raw) => part.insert(key.clone(), raw.clone()),
                None => part.remove(key),
            };
        }
        preserved.advance(last.as_ref());
        self.done = last.is_none();
        Ok(Some(part))
    }
}

impl<B: Backend> Snapshot for LocalSnapshot<B> {
    fn revision(&self) -> u64 {
        self.revision
    }

    fn next(&mut self) -> Result<Option<Vec<Record>>, StoreError> {
        let Some(part) = self.part()? else {
            return Ok(None);
        };
        let records = part.into_iter().filter_map(|(key, raw)| record(key, raw).transpose());
        records.collect::<Result<_, _>>().map(Some)
    }
}

fn record(key: Bytes, raw: Bytes) -> Result<Option<Record>, StoreError> {
    let (version, value) = decode(raw)?;
    if key.starts_with(COUNTER) {
        let counter = key.slice(COUNTER.len()..);
        return Ok(Some(Record::Counter { counter, value: decode_number(value)? }));
    }
    if key.starts_with(USAGE) {
        return Ok(Some(Record::Prefix(key.slice(USAGE.len()..))));
    }
    Ok((&key[..] >= FIRST).then_some(Record::Entry(Entry { key, value, version })))
}

impl<B: Backend> Drop for LocalSnapshot<B> {
    fn drop(&mut self) {
        self.shared.view.write().preserved = None;
    }
}
