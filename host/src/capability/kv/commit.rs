//! A plugin's commit: keys, blobs and jobs in one transaction.
//!
//! The store's commit is the truth. Blobs and jobs are keys of their own areas written with it; what
//! has to follow it, letting go of pieces and waking jobs, is done in a task of its own, so that a
//! client that goes away in the middle cannot leave it half done.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{Error, KeySpace, MAX_BYTES, MAX_ITEMS, MAX_KEY, MAX_VALUE};
use crate::blob::{Attaching, PieceId};
use crate::capability::blobs::Attached;
use crate::jobs::NewJob;
use crate::plugin::bindings::kv::{Attachment, Check, Op};
use crate::plugin::{Call, Plugin};
use crate::store::{self, Charge, Commit, CommitError, Quota};

/// How often a commit is tried again when only its look at a dropped blob was out of date.
const ATTEMPTS: usize = 8;
/// Longest payload of a job, in bytes.
const MAX_PAYLOAD: usize = 64 * 1024;

/// Do the commit. Nothing is written unless the result is ok.
pub async fn run(plugin: &Arc<Plugin>, call: &Arc<Call>, checks: Vec<Check>, ops: Vec<Op>) -> Result<u64, Error> {
    let sorted = Sorted::new(&plugin.keys, checks, ops)?;
    if sorted.only_keys() {
        let commit = sorted.commit(&plugin.keys);
        return plugin.keys.store.commit(commit).await.map_err(|error| sorted.explain(error));
    }
    let (plugin, call) = (plugin.clone(), call.clone());
    let whole = tokio::spawn(async move { sorted.run(&plugin, &call).await });
    whole.await.unwrap_or_else(|_| Err(Error::Storage("the host is stopping".into())))
}

/// A commit taken apart by what its ops are about.
struct Sorted {
    checks: Vec<store::Check>,
    ops: Vec<store::Op>,
    attach: Vec<Attachment>,
    drop: Vec<String>,
    jobs: Vec<NewJob>,
}

impl Sorted {
    fn new(keys: &KeySpace, checks: Vec<Check>, ops: Vec<Op>) -> Result<Self, Error> {
        if checks.len() + ops.len() > MAX_ITEMS {
            return Err(Error::Invalid(format!("a commit has at most {MAX_ITEMS} checks and ops")));
        }
        let mut sorted =
            Self { checks: Vec::new(), ops: Vec::new(), attach: Vec::new(), drop: Vec::new(), jobs: Vec::new() };
        for check in checks {
            let (key, expect) = match check {
                Check::Version((key, version)) => (key, Some(version)),
                Check::Absent(key) => (key, None),
            };
            sorted.checks.push(store::Check { key: keys.key(&key)?, expect });
        }
        let mut size = 0;
        let mut written = HashSet::new();
        for op in ops {
            size += op_size(&op);
            let once = match op {
                Op::Put((key, value)) => {
                    if value.len() > MAX_VALUE {
                        return Err(Error::Invalid(format!(
                            "a value has at most {MAX_VALUE} bytes; larger ones are blobs"
                        )));
                    }
                    let key = keys.key(&key)?;
                    sorted.ops.push(store::Op::Put { key: key.clone(), value: value.into() });
                    written.insert(key)
                }
                Op::Delete(key) => {
                    let key = keys.key(&key)?;
                    sorted.ops.push(store::Op::Delete { key: key.clone() });
                    written.insert(key)
                }
                Op::AttachBlob(attachment) => {
                    let key = keys.blob_key(&attachment.name)?;
                    sorted.attach.push(attachment);
                    written.insert(key)
                }
                Op::DropBlob(name) => {
                    let key = keys.blob_key(&name)?;
                    sorted.drop.push(name);
                    written.insert(key)
                }
                Op::EnqueueJob(job) => {
                    if job.payload.len() > MAX_PAYLOAD || job.name.len() > MAX_KEY {
                        return Err(Error::Invalid(
                            "a job's payload has at most 64 KiB and its name 1,024 bytes".into(),
                        ));
                    }
                    sorted.jobs.push(NewJob {
                        name: job.name,
                        key: job.key,
                        payload: job.payload,
                        delay_ms: job.delay_ms,
                    });
                    true
                }
            };
            if !once {
                return Err(Error::Invalid("a commit writes the same key or blob twice".into()));
            }
        }
        if size > MAX_BYTES {
            return Err(Error::Invalid(format!("a commit has at most {MAX_BYTES} bytes of keys and values")));
        }
        Ok(sorted)
    }

    fn only_keys(&self) -> bool {
        self.attach.is_empty() && self.drop.is_empty() && self.jobs.is_empty()
    }

    fn commit(&self, keys: &KeySpace) -> Commit {
        let quota = Quota { prefix: keys.keys.bytes().clone(), max_bytes: keys.max_bytes, max_keys: keys.max_keys };
        Commit { checks: self.checks.clone(), ops: self.ops.clone(), quota: Some(quota), charges: Vec::new() }
    }

    /// What a refusal of the store means to the plugin, for the checks the plugin made itself.
    fn explain(&self, error: CommitError) -> Error {
        match error {
            CommitError::Conflict(position) if position < self.checks.len() => {
                Error::Conflict(u32::try_from(position).unwrap_or(u32::MAX))
            }
            CommitError::QuotaExceeded | CommitError::ChargeExceeded(_) => Error::QuotaExceeded,
            CommitError::Invalid(why) => Error::Invalid(why),
            error @ (CommitError::Conflict(_) | CommitError::Failed(_)) => Error::Storage(error.to_string()),
        }
    }

    async fn run(self, plugin: &Plugin, call: &Call) -> Result<u64, Error> {
        let attaching = self.take_pieces(plugin, call)?;
        let result = self.attempt(plugin, attaching.as_ref()).await;
        match (&result, attaching) {
            (Ok(_), Some(attaching)) => attaching.keep(),
            // Whether it was written is not known: the pieces stay, and the next start asks.
            (Err(Error::Storage(_)), attaching) => drop(attaching),
            (Err(_), Some(attaching)) => attaching.give_back(),
            (_, None) => {}
        }
        result
    }

    fn take_pieces(&self, plugin: &Plugin, call: &Call) -> Result<Option<Attaching>, Error> {
        if self.attach.is_empty() {
            return Ok(None);
        }
        let unknown =
            |piece: &str| Error::NotFound(format!("there is no piece {piece} of this request or job to attach"));
        let ids = self.attach.iter().map(|wanted| wanted.piece.parse().map_err(|_| unknown(&wanted.piece)));
        let ids: Vec<PieceId> = ids.collect::<Result<_, _>>()?;
        let attaching = call.staging(plugin).attach(&ids).map_err(|missing| unknown(&missing.0.to_string()))?;
        Ok(Some(attaching))
    }

    async fn attempt(&self, plugin: &Plugin, attaching: Option<&Attaching>) -> Result<u64, Error> {
        let keys = &plugin.keys;
        let sizes: std::collections::HashMap<PieceId, u64> =
            attaching.into_iter().flat_map(Attaching::pieces).collect();
        for _ in 0..ATTEMPTS {
            let mut commit = self.commit(keys);
            let mut grown: i64 = 0;
            for wanted in &self.attach {
                let key = keys.blob_key(&wanted.name)?;
                let Some((piece, size)) = wanted.piece.parse().ok().and_then(|id| Some((id, *sizes.get(&id)?))) else {
                    return Err(Error::NotFound(format!("there is no piece {} to attach", wanted.piece)));
                };
                grown = grown.saturating_add(i64::try_from(size).unwrap_or(i64::MAX));
                commit.checks.push(store::Check { key: key.clone(), expect: None });
                commit.ops.push(store::Op::Put { key, value: Attached { piece, size }.encode() });
            }
            let mut dropped = Vec::new();
            for name in &self.drop {
                let Some((version, blob)) = keys.blob(name).await? else { continue };
                let key = keys.blob_key(name)?;
                grown = grown.saturating_sub(i64::try_from(blob.size).unwrap_or(i64::MAX));
                commit.checks.push(store::Check { key: key.clone(), expect: Some(version) });
                commit.ops.push(store::Op::Delete { key });
                dropped.push(blob.piece);
            }
            if grown != 0 {
                let counter = keys.blobs.bytes().clone();
                commit.charges.push(Charge { counter, delta: grown, limit: keys.max_blob_bytes });
            }
            let enqueued = plugin.jobs.add_to(&mut commit, &self.jobs);
            match keys.store.commit(commit).await {
                Ok(version) => {
                    plugin.blobs.remove(dropped);
                    plugin.jobs.enqueued(enqueued);
                    return Ok(version);
                }
                Err(CommitError::Conflict(position)) if position >= self.checks.len() => {
                    let taken = position - self.checks.len();
                    if let Some(wanted) = self.attach.get(taken) {
                        return Err(Error::Invalid(format!("a blob named {:?} is there already", wanted.name)));
                    }
                    // A blob to be dropped changed since it was looked at: look again.
                }
                Err(error) => return Err(self.explain(error)),
            }
        }
        Err(Error::Storage("blobs to be dropped kept changing; nothing was written".into()))
    }
}

fn op_size(op: &Op) -> usize {
    match op {
        Op::Put((key, value)) => key.len() + value.len(),
        Op::Delete(key) | Op::DropBlob(key) => key.len(),
        Op::AttachBlob(attachment) => attachment.name.len() + attachment.piece.len(),
        Op::EnqueueJob(job) => job.name.len() + job.payload.len() + job.key.as_ref().map_or(0, String::len),
    }
}

impl KeySpace {
    /// The key of a blob's name.
    pub(crate) fn blob_key(&self, name: &str) -> Result<Bytes, Error> {
        match name.len() {
            1..=MAX_KEY => Ok(self.blobs.key(name.as_bytes())),
            length => Err(Error::Invalid(format!("a blob's name has 1 to {MAX_KEY} bytes, this one has {length}"))),
        }
    }

    /// The piece behind a blob's name, and the version of that fact.
    pub(crate) async fn blob(&self, name: &str) -> Result<Option<(u64, Attached)>, Error> {
        let Some(entry) = self.store.get(&self.blob_key(name)?).await.map_err(super::failed)? else {
            return Ok(None);
        };
        match Attached::decode(&entry.value) {
            Some(blob) => Ok(Some((entry.version, blob))),
            None => Err(Error::Storage(format!("the record of blob {name:?} cannot be read"))),
        }
    }
}
