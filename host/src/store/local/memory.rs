//! A backend that keeps everything in memory, for tests and for trying things out. Nothing of it
//! outlives the process.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use parking_lot::RwLock;

use super::backend::{Backend, Write};
use crate::store::engine::StoreError;

/// An ordered map behind a lock.
#[derive(Debug, Default)]
pub(crate) struct Memory(RwLock<BTreeMap<Bytes, Bytes>>);

impl Backend for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.read().get(key).cloned())
    }

    fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut dyn FnMut(Bytes, Bytes) -> bool,
    ) -> Result<(), StoreError> {
        if end.is_some_and(|end| end <= start) {
            return Ok(());
        }
        let map = self.0.read();
        let mut range = map.range::<[u8], _>((Bound::Included(start), end.map_or(Bound::Unbounded, Bound::Excluded)));
        let mut next = || {
            if reverse { range.next_back() } else { range.next() }
        };
        while let Some((key, value)) = next() {
            if !visit(key.clone(), value.clone()) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut map = self.0.write();
        for (key, value) in batch {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
