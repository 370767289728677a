//! Where the secrets of one plugin lie: in the store, sealed.
//!
//! Owns their place and their sealing. In the store, because a commit is durable and atomic there already, and because
//! they then travel with an export, useless without the host key. Each plugin has a sealing key of its own
//! in the key ring, under the empty name of the host, where no plugin can use it; the place of a record is
//! authenticated with it, so that one that was moved to another name or plugin does not open.

use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::error::SecretError;
use super::{MAX_RECORD, MAX_SECRETS};
use crate::capability::crypto::{KeyError, KeyRing, RingKeyKind};
use crate::layout::{Area, Prefix};
use crate::store::{Check, Commit, CommitError, Op, Quota, Scan, Store};

/// The plugin that the host is in the key ring.
const HOST: &str = "";

pub(super) struct Vault {
    store: Store,
    ring: Arc<KeyRing>,
    prefix: Prefix,
    /// Name of the sealing key.
    key: String,
}

/// What to do with a secret of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    Keep,
}

impl Vault {
    pub(super) fn new(store: Store, ring: Arc<KeyRing>, plugin: &str) -> Self {
        Self { store, ring, prefix: Prefix::new(Area::Vault, plugin), key: format!("secrets of {plugin}") }
    }

    /// The record of a name.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        let place = self.prefix.key(name.as_bytes());
        let Some(entry) = self.store.get(&place).await? else { return Ok(None) };
        let opened = self.ring.open_sealed(&self.store, HOST, &self.key, &place, &entry.value).await;
        let opened = opened.map_err(|error| match error {
            KeyError::NotAuthentic => SecretError::Storage(format!("the stored secret `{name}` is damaged")),
            error => error.into(),
        })?;
        Ok(Some(Zeroizing::new(opened)))
    }

    /// Write a record; durable when it returns. False if there is one that was to be kept.
    pub(super) async fn put(&self, name: &str, record: &[u8], existing: Existing) -> Result<bool, SecretError> {
        if record.len() > MAX_RECORD {
            return Err(SecretError::Invalid(format!("a secret has at most {MAX_RECORD} bytes")));
        }
        let place = self.prefix.key(name.as_bytes());
        self.ring.ensure(&self.store, HOST, &self.key, RingKeyKind::Sealing).await?;
        let sealed = self.ring.seal(&self.store, HOST, &self.key, &place, record).await?;
        let absent = Check { key: place.clone(), expect: None };
        let commit = Commit {
            checks: if existing == Existing::Keep { vec![absent] } else { Vec::new() },
            ops: vec![Op::Put { key: place, value: sealed.into() }],
            quota: Some(Quota {
                prefix: self.prefix.bytes().clone(),
                max_bytes: MAX_SECRETS * (MAX_RECORD as u64 + 1024),
                max_keys: MAX_SECRETS,
            }),
            charges: Vec::new(),
        };
        match self.store.commit(commit).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Remove a record; whether there was one. Durable when it returns.
    pub(super) async fn remove(&self, name: &str) -> Result<bool, SecretError> {
        let place: Bytes = self.prefix.key(name.as_bytes());
        let existed = self.store.get(&place).await?.is_some();
        if existed {
            self.store.commit(Commit { ops: vec![Op::Delete { key: place }], ..Commit::default() }).await?;
        }
        Ok(existed)
    }

    /// All names, in order.
    pub(super) async fn names(&self) -> Result<Vec<String>, SecretError> {
        // One page holds them: the quota is far below its bounds in number, and its bytes are asked for anew.
        let mut names = Vec::new();
        let mut scan = Scan::prefix(self.prefix.bytes().clone());
        loop {
            let page = self.store.scan(scan.clone()).await?;
            let text = |key: &Bytes| String::from_utf8_lossy(self.prefix.rest(key)).into_owned();
            names.extend(page.entries.iter().map(|entry| text(&entry.key)));
            match page.entries.last().filter(|_| page.more) {
                // The first key behind this one.
                Some(last) => scan.start = [&last.key[..], &[0]].concat().into(),
                None => return Ok(names),
            }
        }
    }
}
