//! The one place that talks to the key-value capability: reads, and commits that may lose a race.
//!
//! Owns what a commit may hold and how a lost race is told from a failure. It knows nothing of what
//! is kept. Invariant: whoever commits names in the same batch the versions it relied on.

use plugbay_sdk::kv::{self, Attachment, Check, Op, Range};
use serde::{Serialize, de::DeserializeOwned};

use crate::faults::{Fault, Kind};

pub use plugbay_sdk::kv::Page;

/// Most checks and ops of one commit.
pub const COMMIT: usize = 96;

/// Attempts before a writer gives up. Every lost race is someone else's success, so this is about
/// how many writers may meet at one key.
const ATTEMPTS: u32 = 100;

/// A value and the version of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    /// The value.
    pub value: T,
    /// The key's version.
    pub version: u64,
}

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

impl From<kv::Error> for Fault {
    fn from(error: kv::Error) -> Fault {
        match error {
            kv::Error::QuotaExceeded => Fault::new(Kind::EntityTooLarge, "The space given to this service is used up"),
            error => {
                plugbay_sdk::error!("key-value store: {error:?}");
                Fault::new(Kind::Internal, "The store failed")
            }
        }
    }
}

/// Counts what is read, for tests of what a request costs.
#[cfg(test)]
pub mod reads {
    use std::cell::Cell;

    thread_local! {
        static GETS: Cell<usize> = const { Cell::new(0) };
        static ENTRIES: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn got() {
        GETS.set(GETS.get() + 1);
    }

    pub(super) fn scanned(entries: usize) {
        ENTRIES.set(ENTRIES.get() + entries);
    }

    /// Keys read one by one and entries read by scans while this runs.
    pub fn of<T>(run: impl FnOnce() -> T) -> (T, (usize, usize)) {
        let (gets, entries) = (GETS.get(), ENTRIES.get());
        let done = run();
        (done, (GETS.get() - gets, ENTRIES.get() - entries))
    }
}

/// The value of a key.
pub fn get(key: &str) -> Result<Option<Kept<Vec<u8>>>, Fault> {
    #[cfg(test)]
    reads::got();
    Ok(kv::get(key)?.map(|entry| Kept { value: entry.value, version: entry.version }))
}

/// The value of a key, read as JSON.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<Kept<T>>, Fault> {
    #[cfg(test)]
    reads::got();
    Ok(kv::get_json(key)?.map(|stored| Kept { value: stored.value, version: stored.version }))
}

/// Read a value that came from a listing.
pub fn read_json<T: DeserializeOwned>(value: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(value).map_err(|error| broken(&error))
}

/// The value of a key that leads to another, read as text.
pub fn read_text(value: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(value).map_err(|error| broken(&error))
}

fn broken(cause: &dyn std::fmt::Display) -> Fault {
    plugbay_sdk::error!("a stored value does not read: {cause}");
    Fault::new(Kind::Internal, "The store failed")
}

/// A stretch of keys, `start` inclusive, `end` exclusive.
pub fn scan(start: &str, end: &str, limit: u32, reverse: bool) -> Result<Page, Fault> {
    let page = kv::scan(&Range { start: start.to_owned(), end: Some(end.to_owned()), limit, reverse })?;
    #[cfg(test)]
    reads::scanned(page.entries.len());
    Ok(page)
}

/// Checks and ops that are committed together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    checks: Vec<Check>,
    ops: Vec<Op>,
}

impl Batch {
    /// Number of checks and ops.
    pub fn size(&self) -> usize {
        self.checks.len() + self.ops.len()
    }

    /// Commit only if the key is still as it was read: of this version, or absent.
    pub fn unchanged(&mut self, key: &str, version: Option<u64>) {
        self.checks.push(match version {
            Some(version) => Check::Version((key.to_owned(), version)),
            None => Check::Absent(key.to_owned()),
        });
    }

    /// Write a key.
    pub fn put(&mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.ops.push(Op::Put((key.into(), value.into())));
    }

    /// Have a key that says something by being there. A commit writes no key twice, and names that begin
    /// alike share such keys.
    pub fn mark(&mut self, key: impl Into<String>) {
        let key = key.into();
        let there = |op: &Op| matches!(op, Op::Put((known, _)) if *known == key);
        if !self.ops.iter().any(there) {
            self.put(key, []);
        }
    }

    /// Write a key as JSON.
    pub fn put_json<T: Serialize>(&mut self, key: impl Into<String>, value: &T) -> Result<(), Fault> {
        let value = serde_json::to_vec(value).map_err(|error| broken(&error))?;
        self.put(key, value);
        Ok(())
    }

    /// Delete a key, if it is there.
    pub fn delete(&mut self, key: impl Into<String>) {
        self.ops.push(Op::Delete(key.into()));
    }

    /// Make a piece of this request permanent.
    pub fn attach(&mut self, name: String, piece: &str) {
        self.ops.push(Op::AttachBlob(Attachment { name, piece: piece.to_owned() }));
    }

    /// Drop the blob of this name, if there is one.
    pub fn drop_blob(&mut self, name: String) {
        self.ops.push(Op::DropBlob(name));
    }

    /// All or nothing; the version that every key written now has.
    pub fn commit(self) -> Result<u64, Stop> {
        kv::commit(&self.checks, &self.ops).map_err(|error| match error {
            kv::Error::Conflict(_) => Stop::Raced,
            error => Stop::Fault(error.into()),
        })
    }
}

/// Keys that follow from one other key, the truth, and may be more than fit into its commit.
#[derive(Debug, Default)]
pub struct Following {
    /// To be written, with values.
    pub add: Vec<(String, String)>,
    /// To be deleted.
    pub remove: Vec<String>,
}

impl Following {
    /// Commit the batch with what follows from it. What does not fit is added before and removed
    /// after, so that the keys are at all times a superset of what the truth implies.
    ///
    /// A late removal writes the truth again: a writer who has just added such a key, and is about
    /// to commit a truth that needs it, then loses the race and adds it anew. `truth` is none when
    /// no later truth can need the removed keys.
    pub fn commit(mut self, mut batch: Batch, truth: Option<(&str, &[u8])>) -> Result<(), Stop> {
        let fits = |batch: &Batch| COMMIT.saturating_sub(batch.size());
        while self.add.len() > fits(&batch) {
            let rest = self.add.len().saturating_sub(COMMIT);
            let mut before = Batch::default();
            for (key, value) in self.add.split_off(rest) {
                before.put(key, value);
            }
            before.commit()?;
        }
        for (key, value) in self.add {
            batch.put(key, value);
        }
        let late = self.remove.split_off(fits(&batch).min(self.remove.len()));
        for key in self.remove {
            batch.delete(key);
        }
        let mut version = batch.commit()?;
        for keys in late.chunks(COMMIT - 2) {
            let mut after = Batch::default();
            if let Some((key, value)) = truth {
                after.unchanged(key, Some(version));
                after.put(key, value);
            }
            for key in keys {
                after.delete(key.as_str());
            }
            match after.commit() {
                Ok(next) => version = next,
                // The truth has moved on; what is left over misleads nobody.
                Err(Stop::Raced) => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }
}

/// Try a write until it does not lose a race.
pub fn attempt<T>(mut write: impl FnMut() -> Result<T, Stop>) -> Result<T, Fault> {
    for _ in 0..ATTEMPTS {
        match write() {
            Ok(done) => return Ok(done),
            Err(Stop::Raced) => {}
            Err(Stop::Fault(fault)) => return Err(fault),
        }
    }
    Err(Fault::new(Kind::Unavailable, "Too many others are writing here; try again"))
}

/// That many random bytes, hexadecimal.
pub fn random_hex(bytes: u32) -> Result<String, Fault> {
    let random = plugbay_sdk::crypto::random(bytes).map_err(|error| {
        plugbay_sdk::error!("randomness: {error:?}");
        Fault::new(Kind::Internal, "The store failed")
    })?;
    Ok(crate::merkle::hex(&random))
}

/// A random uuid of version 4.
pub fn random_uuid() -> Result<String, Fault> {
    let digits = random_hex(16)?;
    let part = |range| digits.get(range).unwrap_or_default();
    let variant = match part(16..17) {
        "0" | "4" | "8" | "c" => "8",
        "1" | "5" | "9" | "d" => "9",
        "2" | "6" | "a" | "e" => "a",
        _ => "b",
    };
    Ok(format!("{}-{}-4{}-{variant}{}-{}", part(0..8), part(8..12), part(13..16), part(17..20), part(20..32)))
}
