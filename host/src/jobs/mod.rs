//! Durable jobs: what a plugin wants done later, at least once, with backoff.
//!
//! A job is a key of the store, written by the same commit as the data it is about. [`Queue`] is one
//! plugin's jobs; `schedule` decides in memory which is next; `runner` runs them on the plugin's newest
//! version. After a restart the schedule is read back from the store, so nothing enqueued is lost,
//! and what was running runs again.

mod record;
mod runner;
mod schedule;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::layout::{Area, Prefix};
use crate::store::{Charge, Check, Commit, CommitError, Op, Scan, Store, StoreError};
use record::{Record, State};
use schedule::Schedule;

pub use runner::run;

/// A job to be enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Passed to `run-job`.
    pub name: String,
    /// Jobs with one key run one at a time, in the order enqueued.
    pub key: Option<String>,
    /// Passed to `run-job`.
    pub payload: Vec<u8>,
    /// Milliseconds before the first run.
    pub delay_ms: u32,
}

/// What is known of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStatus {
    /// Opaque id.
    pub id: String,
    /// As enqueued.
    pub name: String,
    /// As enqueued.
    pub key: Option<String>,
    /// Whether it is under way now.
    pub running: bool,
    /// Whether it waits for a change.
    pub parked: bool,
    /// Whether it was given up.
    pub failed: bool,
    /// Attempts that failed.
    pub attempts: u32,
    /// What the last one said.
    pub last_error: Option<String>,
}

/// The jobs of one plugin. Clones are the same queue.
#[derive(Clone)]
pub struct Queue {
    store: Store,
    prefix: Prefix,
    limit: u64,
    shared: Arc<Shared>,
}

struct Shared {
    schedule: Mutex<Schedule>,
    changed: Notify,
    ids: AtomicU64,
}

/// Jobs that a commit under way will have enqueued. Who asks for those with a key learns of them with the commit.
pub struct Enqueued {
    shared: Arc<Shared>,
    jobs: Vec<Coming>,
}

struct Coming {
    id: String,
    due: i64,
    key: Option<String>,
}

impl Drop for Enqueued {
    fn drop(&mut self) {
        let mut schedule = None;
        for job in self.jobs.drain(..) {
            if let Some(key) = &job.key {
                schedule.get_or_insert_with(|| self.shared.schedule.lock()).retract(&job.id, key);
            }
        }
    }
}

impl Queue {
    /// The queue of `plugin`, at most `limit` jobs long, as the store has it.
    pub async fn open(store: Store, plugin: &str, limit: u32) -> Result<Self, StoreError> {
        let prefix = Prefix::new(Area::Jobs, plugin);
        let mut schedule = Schedule::default();
        let mut scan = Scan::prefix(prefix.bytes().clone());
        loop {
            let page = store.scan(scan.clone()).await?;
            for entry in &page.entries {
                let id = String::from_utf8_lossy(prefix.rest(&entry.key)).into_owned();
                match Record::decode(&entry.value) {
                    Some(record) => schedule.add_stored(id, &record),
                    None => tracing::error!(plugin, id, "a job's record cannot be read: it is left alone"),
                }
            }
            match page.entries.last() {
                Some(last) if page.more => scan.start = [&last.key[..], &[0]].concat().into(),
                _ => break,
            }
        }
        let shared = Shared { schedule: Mutex::new(schedule), changed: Notify::new(), ids: AtomicU64::new(0) };
        Ok(Self { store, prefix, limit: u64::from(limit), shared: Arc::new(shared) })
    }

    /// Make `commit` enqueue these jobs, within the plugin's bound.
    pub fn add_to(&self, commit: &mut Commit, jobs: &[NewJob]) -> Enqueued {
        if !jobs.is_empty() {
            commit.charges.push(self.charge(i64::try_from(jobs.len()).unwrap_or(i64::MAX)));
        }
        let now = now_ms();
        let add = |job: &NewJob| {
            let id = self.new_id();
            let due = now.saturating_add(i64::from(job.delay_ms));
            commit.ops.push(Op::Put { key: self.key(&id), value: Record::new(job, due).encode() });
            if let Some(key) = &job.key {
                self.shared.schedule.lock().announce(&id, key);
            }
            Coming { id, due, key: job.key.clone() }
        };
        Enqueued { jobs: jobs.iter().map(add).collect(), shared: self.shared.clone() }
    }

    /// The commit succeeded: the jobs are there.
    pub fn enqueued(&self, mut enqueued: Enqueued) {
        let jobs = std::mem::take(&mut enqueued.jobs);
        if jobs.is_empty() {
            return;
        }
        let mut schedule = self.shared.schedule.lock();
        for job in jobs {
            if let Some(key) = &job.key {
                schedule.retract(&job.id, key);
            }
            schedule.add(job.id, job.due, job.key);
        }
        drop(schedule);
        self.shared.changed.notify_one();
    }

    /// The jobs with this key (none: all), oldest first.
    pub async fn pending(&self, key: Option<&str>, limit: usize) -> Result<Vec<JobStatus>, StoreError> {
        let mut found = Vec::new();
        if let Some(key) = key {
            let ids = self.shared.schedule.lock().of_key(key);
            for id in ids {
                if found.len() < limit
                    && let Some((_, record)) = self.record(&id).await?
                {
                    found.push(self.status(id, record));
                }
            }
            return Ok(found);
        }
        let mut scan = Scan::prefix(self.prefix.bytes().clone());
        while found.len() < limit {
            let page = self.store.scan(scan.clone()).await?;
            for entry in &page.entries {
                let id = String::from_utf8_lossy(self.prefix.rest(&entry.key)).into_owned();
                found.extend(Record::decode(&entry.value).map(|record| self.status(id, record)));
            }
            match page.entries.last() {
                Some(last) if page.more => scan.start = [&last.key[..], &[0]].concat().into(),
                _ => break,
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    fn status(&self, id: String, record: Record) -> JobStatus {
        JobStatus {
            running: self.shared.schedule.lock().is_running(&id),
            id,
            name: record.name,
            key: record.key,
            parked: record.state == State::Parked,
            failed: record.state == State::Failed,
            attempts: record.attempts,
            last_error: record.last_error,
        }
    }

    /// Forget a job that is not running. False if there is none, or it runs.
    pub async fn cancel(&self, id: &str) -> Result<bool, StoreError> {
        if !self.shared.schedule.lock().withdraw(id) {
            return Ok(false);
        }
        let removed = self.remove(id).await;
        self.shared.changed.notify_one();
        removed
    }

    /// Jobs that wait, run, are parked or were given up.
    pub async fn count(&self) -> Result<u64, StoreError> {
        self.store.counter(self.prefix.bytes()).await
    }

    async fn record(&self, id: &str) -> Result<Option<(u64, Record)>, StoreError> {
        let entry = self.store.get(&self.key(id)).await?;
        Ok(entry.and_then(|entry| Some((entry.version, Record::decode(&entry.value)?))))
    }

    async fn replace(&self, id: &str, version: u64, record: &Record) -> Result<(), CommitError> {
        let key = self.key(id);
        let commit = Commit {
            checks: vec![Check { key: key.clone(), expect: Some(version) }],
            ops: vec![Op::Put { key, value: record.encode() }],
            ..Commit::default()
        };
        self.store.commit(commit).await.map(drop)
    }

    /// True if it was there.
    async fn remove(&self, id: &str) -> Result<bool, StoreError> {
        let key = self.key(id);
        loop {
            let Some(entry) = self.store.get(&key).await? else { return Ok(false) };
            let commit = Commit {
                checks: vec![Check { key: key.clone(), expect: Some(entry.version) }],
                ops: vec![Op::Delete { key: key.clone() }],
                charges: vec![self.charge(-1)],
                ..Commit::default()
            };
            match self.store.commit(commit).await {
                Ok(_) => return Ok(true),
                Err(CommitError::Conflict(_)) => {}
                Err(CommitError::Failed(error)) => return Err(error),
                Err(other) => return Err(StoreError::Read(other.to_string().into())),
            }
        }
    }

    fn charge(&self, delta: i64) -> Charge {
        Charge { counter: self.prefix.bytes().clone(), delta, limit: self.limit }
    }

    fn key(&self, id: &str) -> Bytes {
        self.prefix.key(id.as_bytes())
    }

    /// Ids are in the order they were made, also across restarts with a sane clock.
    fn new_id(&self) -> String {
        let micros = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0);
        let before = self.shared.ids.fetch_max(micros, Ordering::Relaxed);
        let id = if micros > before { micros } else { self.shared.ids.fetch_add(1, Ordering::Relaxed) + 1 };
        format!("{id:016x}")
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// How long to wait after this many failed attempts: doubling from a second to five minutes, with
/// up to a quarter more so that jobs that failed together do not come back together.
fn backoff(attempts: u32) -> Duration {
    let base = Duration::from_secs(1 << attempts.saturating_sub(1).min(9)).min(Duration::from_secs(300));
    let jitter = getrandom::u32().unwrap_or(0) % 250;
    base.mul_f64(1.0 + f64::from(jitter) / 1000.0)
}
