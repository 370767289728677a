//! The engine that keeps everything on this machine, over any [`Backend`].
//!
//! One thread writes. It takes what the queue holds as one group, works out the commits in order
//! ([`stage`]), applies the group as one batch, flushes once and answers all. Readers read the
//! backend at once, beside the writer.
//!
//! Invariant: **no read shows what a crash could take back.** Three numbers keep it cheap. `begun` is
//! the revision of the group being written, stored before the group is applied; `durable` is stored
//! after the flush. A value carries its own version, so a reader knows from `version <= durable`
//! that it is safe. For an absent key there is no version: nothing is in flight if
//! `begun <= durable`, otherwise the keys in flight are looked at. A scan compares the revision up to
//! which it saw with `durable` in the same way. Whoever saw too much waits for the flush.
//!
//! If a group fails while being applied or flushed, nobody can know what is on the disk. `durable`
//! stays where it was, so the failed group is never shown; reads of other keys go on; writes are
//! refused from then on.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::layout::{
    COUNTER, FORMAT, FORMAT_VERSION, IMPORTING, REVISION, USAGE, check_commit, check_key, decode, decode_number,
    decode_usage, encode, own_key,
};
use self::shared::{Settled, Shared, Subscribers, View};
use self::snapshot::LocalSnapshot;
use self::stage::Measured;
use self::writer::{Job, Writer};
use super::engine::{
    ChangeSink, Commit, CommitError, Engine, Entry, Health, Page, Reply, Restore, Scan, Snapshot, StoreError, Usage,
};
use super::metrics::Metrics;
use super::prefix;

pub(super) use self::backend::Backend;
#[cfg(test)]
pub(super) use self::backend::Write;
pub(super) use self::memory::Memory;
pub(super) use self::sled::Sled;

mod backend;
mod layout;
mod memory;
mod pieces;
mod shared;
mod sled;
mod snapshot;
mod stage;
mod writer;

/// Commits waiting for the writer; more wait outside the queue.
const QUEUE: usize = 1024;
/// Bytes of all commits in the queue and in the group, so that the queue is bounded in both ways.
const QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// What a commit costs of [`QUEUE_BYTES`] beside its keys and values.
const COMMIT_OVERHEAD: usize = 256;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be used.
    #[error(
        "the store's directory {path} cannot be used: {source}; check that it exists and that this user may write it"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error(
        "the store in {path} is open in another process; one directory serves one process: stop the other one, \
         or give this one another data_dir"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The files do not make a store.
    #[error(
        "the store in {path} does not open: {reason}. Nothing was changed. Keep a copy of the directory; then start \
         with an empty one and import the last export into it"
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// Written by another version of this program, or by another program.
    #[error(
        "the store has format {found}, this program reads {FORMAT_VERSION}; export with the program that wrote it, import with this one"
    )]
    Format {
        /// What was found.
        found: u64,
    },
    /// An import was cut off.
    #[error("an import into this store was cut off, so it is incomplete; empty the directory and import again")]
    HalfImported,
    /// Reading or writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No thread for the writer.
    #[error("the store's thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// The engine. The writer ends when this is dropped or closed.
pub(super) struct Local<B> {
    shared: Arc<Shared<B>>,
    queue: mpsc::Sender<Job>,
    /// Bytes that may still be queued.
    room: Arc<Semaphore>,
}

impl<B: Backend> Local<B> {
    /// Open what the backend holds, and start the writer. Blocks.
    pub(super) fn open(backend: B) -> Result<Self, OpenError> {
        check_format(&backend)?;
        let revision = match backend.get(REVISION)? {
            Some(raw) => decode(raw)?.0,
            None => 0,
        };
        let measured = load_measured(&backend)?;
        let shared = Arc::new(Shared {
            backend,
            begun: AtomicU64::new(revision),
            durable: AtomicU64::new(revision),
            in_flight: Mutex::new(None),
            view: RwLock::new(View { applied: revision, preserved: None }),
            settled: watch::Sender::new(Settled { durable: revision, failed: false }),
            failure: OnceLock::new(),
            subscribers: Mutex::new(Subscribers { reported: revision, sinks: Vec::new() }),
            metrics: Metrics::default(),
        });
        let (queue, jobs) = mpsc::channel(QUEUE);
        let writer = Writer::new(shared.clone(), measured, revision);
        let thread = std::thread::Builder::new().name("store-writer".into());
        thread.spawn(move || writer.run(jobs)).map_err(OpenError::Thread)?;
        Ok(Local { shared, queue, room: Arc::new(Semaphore::new(QUEUE_BYTES)) })
    }

    /// Hand a job to the writer and wait for its answer.
    async fn ask<T, E>(&self, job: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Job) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(job(reply)).await.is_err() {
            return Err(self.shared.stopped().into());
        }
        answer.await.unwrap_or_else(|_| Err(self.shared.stopped().into()))
    }
}

fn check_format(backend: &impl Backend) -> Result<(), OpenError> {
    if backend.get(IMPORTING)?.is_some() {
        return Err(OpenError::HalfImported);
    }
    let found = match backend.get(FORMAT)? {
        Some(raw) => decode(raw)?.0,
        None => {
            let mut empty = true;
            backend.scan(&[], None, false, &mut |_, _| {
                empty = false;
                false
            })?;
            if !empty {
                return Err(OpenError::Format { found: 0 });
            }
            backend.apply(vec![(Bytes::from_static(FORMAT), Some(encode(FORMAT_VERSION, &[])))])?;
            backend.flush()?;
            FORMAT_VERSION
        }
    };
    if found == FORMAT_VERSION { Ok(()) } else { Err(OpenError::Format { found }) }
}

fn load_measured(backend: &impl Backend) -> Result<Measured, StoreError> {
    let mut measured = Measured::default();
    let mut result = Ok(());
    backend.scan(USAGE, prefix::end(USAGE).as_deref(), false, &mut |key, raw| {
        match decode(raw).and_then(|(_, value)| decode_usage(value)) {
            Ok(usage) => measured.insert(key.slice(USAGE.len()..), usage),
            Err(error) => result = Err(error),
        }
        result.is_ok()
    })?;
    result.map(|()| measured)
}

impl<B: Backend> Engine for Local<B> {
    fn get(&self, key: &[u8]) -> Reply<'_, Option<Entry>> {
        let read = check_key(key).and_then(|()| self.shared.read(key));
        self.shared.reply(read.map(|(found, wait)| {
            let entry = found.map(|(version, value)| Entry { key: Bytes::copy_from_slice(key), value, version });
            (entry, wait)
        }))
    }

    fn scan(&self, scan: Scan) -> Reply<'_, Page> {
        self.shared.reply(self.shared.page(&scan))
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<u64, CommitError>> {
        async move {
            let size = check_commit(&commit)? + COMMIT_OVERHEAD;
            let size = u32::try_from(size).map_err(|_| CommitError::Invalid("a commit is too large".into()))?;
            let room = self.room.clone().acquire_many_owned(size).await.map_err(|_| StoreError::Closed)?;
            self.ask(|reply| Job::Commit { commit, room, reply }).await
        }
        .boxed()
    }

    fn usage(&self, prefix: &[u8]) -> Reply<'_, Usage> {
        let stored = check_key(prefix).and_then(|()| self.shared.read(&own_key(USAGE, prefix)));
        let usage = match stored {
            Ok((Some((_, value)), wait)) => decode_usage(value).map(|usage| (usage, wait)),
            Ok((None, _)) => self.shared.count_usage(prefix),
            Err(error) => Err(error),
        };
        self.shared.reply(usage)
    }

    fn counter(&self, counter: &[u8]) -> Reply<'_, u64> {
        let stored = check_key(counter).and_then(|()| self.shared.read(&own_key(COUNTER, counter)));
        self.shared.reply(stored.and_then(|(found, wait)| {
            let value = found.map(|(_, value)| decode_number(value)).transpose()?;
            Ok((value.unwrap_or(0), wait))
        }))
    }

    fn revision(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    fn health(&self) -> Health {
        match self.shared.failure.get() {
            None => Health::Ready,
            Some(error) => Health::ReadOnly(error.clone()),
        }
    }

    fn subscribe(&self, sink: Arc<dyn ChangeSink>) -> u64 {
        let mut subscribers = self.shared.subscribers.lock();
        subscribers.sinks.push(sink);
        subscribers.reported
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StoreError>> {
        async move {
            let snapshot = LocalSnapshot::begin(self.shared.clone())?;
            if snapshot.revision() > self.revision() {
                self.shared.settled(snapshot.revision()).await?;
            }
            Ok(Box::new(snapshot) as Box<dyn Snapshot>)
        }
        .boxed()
    }

    fn restore(&self, step: Restore) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(|reply| Job::Restore { step, reply }).boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(|reply| Job::Close { reply }).boxed()
    }

    fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}
