//! Commits: what is written together, and what happens to postings that do not fit.

use std::collections::BTreeSet;

use plugbay_sdk::{
    NewJob, Piece,
    kv::{self, COMMIT_LIMIT, Check, Op},
};
use serde::Serialize;

use crate::fault::Fault;

/// Why an attempt at a write ended.
#[derive(Debug)]
pub enum Stop {
    /// Someone else was faster; what was read is no longer true.
    Raced,
    /// The request is refused, or the store failed.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

impl From<kv::Error> for Stop {
    fn from(error: kv::Error) -> Stop {
        match error {
            kv::Error::Conflict(_) => Stop::Raced,
            error => Stop::Fault(error.into()),
        }
    }
}

/// How often a writer tries. Each lost race is someone else's success.
const ATTEMPTS: u32 = 64;

/// Try a write until it does not lose a race.
///
/// # Errors
/// What the write was refused for; 503 after the last attempt.
pub fn attempt<T>(mut write: impl FnMut() -> Result<T, Stop>) -> Result<T, Fault> {
    for _ in 0..ATTEMPTS {
        match write() {
            Ok(done) => return Ok(done),
            Err(Stop::Raced) => {}
            Err(Stop::Fault(fault)) => return Err(fault),
        }
    }
    Err(Fault::new(503, "Too many others are writing here; try again."))
}

/// Longest record, the store's own bound.
const VALUE: usize = 256 * 1024;

/// Most bytes of records in one commit; its bound is 1 MiB, and keys count too.
const BYTES: usize = 900 * 1024;

/// Checks and ops that are committed together, and the postings that go with them.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    checks: Vec<Check>,
    ops: Vec<Op>,
    add: Vec<(String, String)>,
    remove: Vec<String>,
    remove_dead: Vec<(String, Option<String>)>,
    changed: BTreeSet<String>,
    bytes: usize,
}

impl Batch {
    /// Number of checks and ops that have to be in one commit.
    pub fn size(&self) -> usize {
        self.checks.len() + self.ops.len()
    }

    /// Commit only if the key is as it was read: of this version, or absent.
    pub fn unchanged(&mut self, key: &str, version: Option<u64>) {
        let check = match version {
            Some(version) => Check::Version((key.to_owned(), version)),
            None => Check::Absent(key.to_owned()),
        };
        if !self.checks.contains(&check) {
            self.checks.push(check);
        }
    }

    /// Write a key as JSON.
    ///
    /// # Errors
    /// 500 if the value is not JSON.
    pub fn put_json<T: Serialize>(&mut self, key: String, value: &T) -> Result<(), Fault> {
        let value = serde_json::to_vec(value).map_err(Fault::internal)?;
        self.bytes += value.len();
        if value.len() > VALUE || self.bytes > BYTES {
            return Err(Fault::new(413, "That is too much for one entity, or for one request."));
        }
        self.op(key.clone(), Op::Put((key, value)));
        Ok(())
    }

    /// Write a key as text.
    pub fn put(&mut self, key: String, value: &str) {
        self.op(key.clone(), Op::Put((key, value.as_bytes().to_vec())));
    }

    /// Delete a key.
    pub fn delete(&mut self, key: String) {
        self.op(key.clone(), Op::Delete(key));
    }

    /// Make a piece of this request permanent under a name that is free.
    pub fn attach(&mut self, name: &str, piece: &Piece) {
        self.ops.push(Op::AttachBlob(kv::Attachment { name: name.to_owned(), piece: piece.id.clone() }));
    }

    /// Drop a blob, if it is there.
    pub fn drop_blob(&mut self, name: &str) {
        self.ops.push(Op::DropBlob(name.to_owned()));
    }

    /// Have a job run.
    pub fn enqueue(&mut self, job: NewJob) {
        self.ops.push(Op::EnqueueJob(job));
    }

    /// Add any op; of several to one key the last counts.
    pub fn op(&mut self, key: String, op: Op) {
        self.ops.retain(|earlier| !matches!(earlier, Op::Put((known, _)) | Op::Delete(known) if *known == key));
        self.ops.push(op);
    }

    /// Add a posting.
    pub fn add(&mut self, key: String, value: &str) {
        self.add.push((key, value.to_owned()));
    }

    /// Remove a posting of an entity that goes on. If there is no room it stays and misleads nobody: a late removal
    /// could take back what another writer has just added.
    pub fn remove(&mut self, key: String) {
        self.remove.push(key);
    }

    /// Remove a posting of an entity that ends with this commit; nobody adds it again. `list` is the key by which
    /// changes of its list are known.
    pub fn remove_dead(&mut self, key: String, list: Option<String>) {
        self.changed.extend(list.clone());
        self.remove_dead.push((key, list));
    }

    /// Something of this list comes or goes elsewhere than at its end.
    pub fn changed(&mut self, list: String) {
        self.changed.insert(list);
    }

    /// All or nothing, apart from postings that do not fit: they are added before and removed after.
    ///
    /// # Errors
    /// `Raced` if a check fails; a fault if the store fails, or if too much has to be written at once.
    pub fn commit(mut self) -> Result<(), Stop> {
        if self.size() > COMMIT_LIMIT {
            return Err(Fault::new(413, "That is too much for one request.").into());
        }
        let put = |(key, value): (String, String)| Op::Put((key, value.into_bytes()));
        let mark = |list: &String| Op::Put((list.clone(), Vec::new()));
        // With what is removed, or after it: who counts a list in between counts what is still there.
        let mut marks = self.changed.iter();
        self.ops.extend(marks.by_ref().take(COMMIT_LIMIT - self.size()).map(mark));
        let more_marks: Vec<Op> = marks.map(mark).collect();
        let room = COMMIT_LIMIT - self.size();
        let early = self.add.split_off(room.min(self.add.len()));
        for some in early.chunks(COMMIT_LIMIT) {
            kv::commit(&[], &some.iter().cloned().map(put).collect::<Vec<_>>())?;
        }
        self.ops.extend(self.add.into_iter().map(put));
        let room = COMMIT_LIMIT - (self.checks.len() + self.ops.len());
        self.ops.extend(self.remove.into_iter().take(room).map(Op::Delete));
        let room = COMMIT_LIMIT - (self.checks.len() + self.ops.len());
        let late = self.remove_dead.split_off(room.min(self.remove_dead.len()));
        self.ops.extend(self.remove_dead.into_iter().map(|(key, _)| Op::Delete(key)));
        if !self.ops.is_empty() {
            kv::commit(&self.checks, &self.ops)?;
        }
        for some in late.chunks(COMMIT_LIMIT / 2) {
            let lists: BTreeSet<&String> = some.iter().filter_map(|(_, list)| list.as_ref()).collect();
            let ops = some.iter().map(|(key, _)| Op::Delete(key.clone())).chain(lists.into_iter().map(mark));
            kv::commit(&[], &ops.collect::<Vec<_>>())?;
        }
        for some in more_marks.chunks(COMMIT_LIMIT) {
            kv::commit(&[], some)?;
        }
        Ok(())
    }
}
