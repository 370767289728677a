//! Writes, all or nothing, with optimistic checks.
//!
//! Invariant: what a transaction read by `get` is what it commits against. If a key changed in between, the commit
//! says `conflict` and nothing was written.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Attachment, Check, Entry, Error, Op, Stored, commit, encode, get};
use crate::{NewJob, Piece};

/// How often [`transact`] runs its closure before it gives up. Each lost race is another writer's success, so this
/// is how many writers may meet at one key; the deadline of the request bounds it too.
const ATTEMPTS: u32 = 64;

/// Most checks and ops of one commit.
pub const COMMIT_LIMIT: usize = 96;

/// Checks and writes to be committed together: at most 96, and 1 MiB in all.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    checks: Vec<Check>,
    ops: Vec<Op>,
}

/// What a transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the closure returned.
    pub value: T,
    /// The version that every key written now has; 0 if nothing was written.
    pub version: u64,
}

/// Run a closure and commit what it put into the transaction. If another commit got in between, run it again on
/// what is there now, at most 64 times.
///
/// The closure may run more than once: it has no effects but on the transaction. If it returns an error, or writes
/// nothing, nothing is committed. Pieces may be attached in each attempt, a failed one leaves them as they were.
///
/// # Errors
/// The closure's, and those of the commit; `Conflict` only after the last attempt.
pub fn transact<T, E: From<Error>>(
    mut attempt: impl FnMut(&mut Transaction) -> Result<T, E>,
) -> Result<Committed<T>, E> {
    let mut left = ATTEMPTS;
    loop {
        let mut tx = Transaction::new();
        let value = attempt(&mut tx)?;
        if tx.ops.is_empty() {
            return Ok(Committed { value, version: 0 });
        }
        left -= 1;
        match tx.commit() {
            Ok(version) => return Ok(Committed { value, version }),
            Err(Error::Conflict(_)) if left > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Transaction {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Read a key, and have the commit check that it did not change since. Does not see this transaction's own
    /// writes.
    ///
    /// # Errors
    /// Those of the store.
    pub fn get(&mut self, key: &str) -> Result<Option<Entry>, Error> {
        let entry = get(key)?;
        // The first read of a key is the one to hold: if a second one differs, the commit is to fail.
        if !self.checks_key(key) {
            self.checks.push(match &entry {
                Some(entry) => Check::Version((key.to_owned(), entry.version)),
                None => Check::Absent(key.to_owned()),
            });
        }
        Ok(entry)
    }

    /// Like [`get`](Self::get), read as JSON.
    ///
    /// # Errors
    /// Those of the store, and `Invalid` if the value is not JSON of this shape.
    pub fn get_json<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<Stored<T>>, Error> {
        self.get(key)?.map(|entry| entry.json()).transpose()
    }

    /// Commit only if the key has this version.
    pub fn check_version(&mut self, key: impl Into<String>, version: u64) -> &mut Self {
        self.checks.push(Check::Version((key.into(), version)));
        self
    }

    /// Commit only if the key is absent.
    pub fn check_absent(&mut self, key: impl Into<String>) -> &mut Self {
        self.checks.push(Check::Absent(key.into()));
        self
    }

    /// Commit only if the key is as it was read: of this version, or absent.
    pub fn check_unchanged(&mut self, key: impl Into<String>, seen: Option<u64>) -> &mut Self {
        match seen {
            Some(version) => self.check_version(key, version),
            None => self.check_absent(key),
        }
    }

    /// Number of checks and ops so far; a commit takes [`COMMIT_LIMIT`].
    pub fn size(&self) -> usize {
        self.checks.len() + self.ops.len()
    }

    /// Write a key. Of several writes to one key the last counts.
    pub fn put(&mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Op::Put((key.into(), value.into())))
    }

    /// Write a key as JSON.
    ///
    /// # Errors
    /// `Invalid` if the value is not JSON.
    pub fn put_json<T: Serialize + ?Sized>(&mut self, key: impl Into<String>, value: &T) -> Result<&mut Self, Error> {
        let key = key.into();
        let value = encode(&key, value)?;
        Ok(self.put(key, value))
    }

    /// Delete a key, if it is there.
    pub fn delete(&mut self, key: impl Into<String>) -> &mut Self {
        self.op(Op::Delete(key.into()))
    }

    /// Enqueue a job.
    pub fn enqueue(&mut self, job: NewJob) -> &mut Self {
        self.op(Op::EnqueueJob(job))
    }

    /// Make a piece of this request or job permanent under a name that is free.
    pub fn attach(&mut self, name: impl Into<String>, piece: &Piece) -> &mut Self {
        self.op(Op::AttachBlob(Attachment { name: name.into(), piece: piece.id.clone() }))
    }

    /// Drop a blob, if it is there.
    pub fn drop_blob(&mut self, name: impl Into<String>) -> &mut Self {
        self.op(Op::DropBlob(name.into()))
    }

    /// Add any op of the contract.
    pub fn op(&mut self, op: Op) -> &mut Self {
        // A commit may write a key once only.
        if let Some(key) = key_of(&op) {
            self.ops.retain(|earlier| key_of(earlier) != Some(key));
        }
        self.ops.push(op);
        self
    }

    /// Commit: all or nothing, on disk when it returns. The version that every key written now has.
    ///
    /// # Errors
    /// Those of the contract's `commit`.
    pub fn commit(self) -> Result<u64, Error> {
        commit(&self.checks, &self.ops)
    }

    fn checks_key(&self, key: &str) -> bool {
        self.checks.iter().any(|check| match check {
            Check::Version((known, _)) | Check::Absent(known) => known == key,
        })
    }
}

fn key_of(op: &Op) -> Option<&str> {
    match op {
        Op::Put((key, _)) | Op::Delete(key) => Some(key),
        Op::EnqueueJob(_) | Op::AttachBlob(_) | Op::DropBlob(_) => None,
    }
}
