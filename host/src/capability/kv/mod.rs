//! `kv`: ordered keys in the plugin's own space, and the only way to write anything durable.
//!
//! Owns the contract's limits and the prefix that keeps plugins apart. What a commit does besides
//! writing keys, attaching and dropping blobs and enqueueing jobs, is in `commit`.

mod commit;

use bytes::Bytes;

use crate::layout::{Area, Prefix};
use crate::plugin::GuestState;
use crate::plugin::bindings::kv::{Check, Entry, Error, Host, Op, Page, Range};
use crate::plugin::bindings::types;
use crate::store::{self, Scan, Store};

/// Longest key, in bytes.
const MAX_KEY: usize = 1024;
/// Longest value, in bytes.
const MAX_VALUE: usize = 256 * 1024;
/// Most checks and ops of a commit, and most watches of a park.
pub const MAX_ITEMS: usize = 96;
/// Bytes of a commit, and of a page.
const MAX_BYTES: usize = 1024 * 1024;
/// Most entries of a page.
const MAX_PAGE: u32 = 10_000;

/// The keys of one plugin.
#[derive(Clone)]
pub struct KeySpace {
    store: Store,
    keys: Prefix,
    blobs: Prefix,
    max_bytes: u64,
    max_keys: u64,
    max_blob_bytes: u64,
}

impl KeySpace {
    /// The keys of `plugin`, at most so many and so large.
    pub fn new(store: Store, plugin: &str, limits: &crate::config::Limits) -> Self {
        Self {
            store,
            keys: Prefix::new(Area::Keys, plugin),
            blobs: Prefix::new(Area::Blobs, plugin),
            max_bytes: limits.store_bytes.get(),
            max_keys: limits.store_keys,
            max_blob_bytes: limits.blob_bytes.get(),
        }
    }

    /// The store the keys are in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A plugin's watch in the store's terms.
    pub fn watch(&self, watch: &types::Watch) -> Result<store::Watch, Error> {
        Ok(match watch {
            types::Watch::Key((key, seen)) => store::Watch::Key { key: self.key(key)?, seen: *seen },
            types::Watch::Prefix((prefix, seen)) => {
                if prefix.len() > MAX_KEY {
                    return Err(Error::Invalid("a watched prefix is at most 1,024 bytes".into()));
                }
                store::Watch::Prefix { prefix: self.keys.key(prefix.as_bytes()), seen: *seen }
            }
        })
    }

    fn key(&self, key: &str) -> Result<Bytes, Error> {
        match key.len() {
            1..=MAX_KEY => Ok(self.keys.key(key.as_bytes())),
            length => Err(Error::Invalid(format!("a key has 1 to {MAX_KEY} bytes, this one has {length}"))),
        }
    }

    fn entry(&self, entry: &store::Entry) -> Entry {
        Entry {
            key: String::from_utf8_lossy(self.keys.rest(&entry.key)).into_owned(),
            value: entry.value.to_vec(),
            version: entry.version,
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let found = self.store.get(&self.key(key)?).await.map_err(failed)?;
        Ok(found.map(|entry| self.entry(&entry)))
    }

    async fn scan(&self, range: Range) -> Result<Page, Error> {
        let end = match &range.end {
            Some(end) => self.keys.key(end.as_bytes()),
            None => self.keys.end(),
        };
        let scan = Scan {
            start: self.keys.key(range.start.as_bytes()),
            end: Some(end),
            limit: range.limit.clamp(1, MAX_PAGE) as usize,
            max_bytes: MAX_BYTES,
            reverse: range.reverse,
        };
        let page = self.store.scan(scan).await.map_err(failed)?;
        Ok(Page {
            entries: page.entries.iter().map(|entry| self.entry(entry)).collect(),
            more: page.more,
            revision: page.revision,
        })
    }
}

fn failed(error: store::StoreError) -> Error {
    Error::Storage(error.to_string())
}

impl Host for GuestState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Entry>, Error>> {
        let keys = &self.plugin.keys;
        Ok(self.cpu.waiting(keys.get(&key)).await)
    }

    async fn scan(&mut self, range: Range) -> wasmtime::Result<Result<Page, Error>> {
        let keys = &self.plugin.keys;
        Ok(self.cpu.waiting(keys.scan(range)).await)
    }

    async fn commit(&mut self, checks: Vec<Check>, ops: Vec<Op>) -> wasmtime::Result<Result<u64, Error>> {
        let commit = commit::run(&self.plugin, &self.call, checks, ops);
        Ok(self.cpu.waiting(commit).await)
    }
}
