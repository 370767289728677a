//! `kv` in memory, with the contract's limits.

use std::collections::BTreeSet;

use crate::jobs::{JobStatus, State as JobState};
use crate::kv::{Check, Entry, Error, Op, Page, Range};
use crate::testing::Host;
use crate::testing::host::{KeptJob, State};

const KEY: usize = 1024;
const VALUE: usize = 256 * 1024;
const ITEMS: usize = 96;
const BYTES: usize = 1024 * 1024;
const PAYLOAD: usize = 64 * 1024;

/// The entry of one key.
pub fn get(key: &str) -> Result<Option<Entry>, Error> {
    let host = Host::current();
    host.reading();
    host.state(|state| {
        granted(state)?;
        checked_key(key)?;
        Ok(state.entries.get(key).map(|(value, version)| entry(key, value, *version)))
    })
}

/// A stretch of keys.
pub fn scan(range: &Range) -> Result<Page, Error> {
    let host = Host::current();
    host.reading();
    host.state(|state| {
        granted(state)?;
        let within = state
            .entries
            .iter()
            .filter(|(key, _)| **key >= range.start && range.end.as_ref().is_none_or(|end| *key < end))
            .map(|(key, (value, version))| entry(key, value, *version));
        let mut within: Vec<Entry> = within.collect();
        if range.reverse {
            within.reverse();
        }
        let mut bytes = 0;
        let fitting = within
            .iter()
            .take(usize::try_from(range.limit).unwrap_or(usize::MAX))
            .take_while(|entry| {
                bytes += entry.key.len() + entry.value.len();
                bytes <= BYTES
            })
            .count();
        let more = fitting < within.len();
        within.truncate(fitting);
        Ok(Page { entries: within, more, revision: state.revision })
    })
}

/// Write, all or nothing.
pub fn commit(checks: &[Check], ops: &[Op]) -> Result<u64, Error> {
    let host = Host::current();
    let interruption = host.state(|state| {
        granted(state)?;
        checked(checks, ops)?;
        Ok(state.before_commit.pop_front())
    })?;
    if let Some(interruption) = interruption {
        interruption(&host);
    }
    host.state(|state| {
        if let Some(error) = state.failing_commits.pop_front() {
            return Err(error);
        }
        for (position, check) in checks.iter().enumerate() {
            if !holds(state, check) {
                return Err(Error::Conflict(u32::try_from(position).unwrap_or(u32::MAX)));
            }
        }
        for op in ops {
            possible(state, op)?;
        }
        state.revision += 1;
        for op in ops {
            apply(state, op);
        }
        Ok(state.revision)
    })
}

fn granted(state: &State) -> Result<(), Error> {
    if state.describing { Err(Error::Denied) } else { Ok(()) }
}

fn entry(key: &str, value: &[u8], version: u64) -> Entry {
    Entry { key: key.to_owned(), value: value.to_vec(), version }
}

fn checked_key(key: &str) -> Result<(), Error> {
    match key.len() {
        1..=KEY => Ok(()),
        length => Err(Error::Invalid(format!("a key or name has 1 to {KEY} bytes, this one has {length}"))),
    }
}

fn checked(checks: &[Check], ops: &[Op]) -> Result<(), Error> {
    if checks.len() + ops.len() > ITEMS {
        return Err(Error::Invalid(format!("a commit has at most {ITEMS} checks and ops")));
    }
    for check in checks {
        let (Check::Version((key, _)) | Check::Absent(key)) = check;
        checked_key(key)?;
    }
    let mut written = BTreeSet::new();
    let mut bytes = 0;
    for op in ops {
        let (kind, name, size) = match op {
            Op::Put((key, value)) if value.len() > VALUE => {
                return Err(Error::Invalid(format!(
                    "the value of `{key}` is over {VALUE} bytes; larger ones are blobs"
                )));
            }
            Op::Put((key, value)) => ("key", key, value.len()),
            Op::Delete(key) => ("key", key, 0),
            Op::AttachBlob(attachment) => ("blob", &attachment.name, 0),
            Op::DropBlob(name) => ("blob", name, 0),
            Op::EnqueueJob(job) if job.payload.len() > PAYLOAD => {
                return Err(Error::Invalid(format!("the payload of job `{}` is over 64 KiB", job.name)));
            }
            Op::EnqueueJob(job) => {
                bytes += job.name.len() + job.payload.len();
                continue;
            }
        };
        checked_key(name)?;
        bytes += name.len() + size;
        if !written.insert((kind, name)) {
            return Err(Error::Invalid(format!("the commit writes the {kind} `{name}` twice")));
        }
    }
    if bytes > BYTES {
        return Err(Error::Invalid(format!("a commit has at most {BYTES} bytes")));
    }
    Ok(())
}

fn holds(state: &State, check: &Check) -> bool {
    match check {
        Check::Version((key, version)) => state.entries.get(key).is_some_and(|(_, current)| current == version),
        Check::Absent(key) => !state.entries.contains_key(key),
    }
}

fn possible(state: &State, op: &Op) -> Result<(), Error> {
    let Op::AttachBlob(attachment) = op else { return Ok(()) };
    if !state.pieces.contains_key(&attachment.piece) {
        return Err(Error::NotFound(format!("there is no piece `{}` to attach", attachment.piece)));
    }
    if state.blobs.contains_key(&attachment.name) {
        return Err(Error::Invalid(format!("a blob named `{}` is there already", attachment.name)));
    }
    Ok(())
}

fn apply(state: &mut State, op: &Op) {
    let revision = state.revision;
    match op {
        Op::Put((key, value)) => {
            state.touched.insert(key.clone(), revision);
            state.entries.insert(key.clone(), (value.clone(), revision));
        }
        Op::Delete(key) => {
            state.touched.insert(key.clone(), revision);
            state.entries.remove(key);
        }
        Op::AttachBlob(attachment) => {
            if let Some(bytes) = state.pieces.remove(&attachment.piece) {
                state.blobs.insert(attachment.name.clone(), bytes);
            }
        }
        Op::DropBlob(name) => {
            state.blobs.remove(name);
        }
        Op::EnqueueJob(job) => {
            let status = JobStatus {
                id: state.new_id("job"),
                name: job.name.clone(),
                key: job.key.clone(),
                state: JobState::Waiting,
                attempts: 0,
                last_error: None,
            };
            state.jobs.push(KeptJob { status, payload: job.payload.clone() });
        }
    }
}
