//! The thread that writes: groups of commits, one batch and one flush each.
//!
//! The order within a group matters. The keys in flight and `begun` are published before the batch
//! is applied, so no reader can see a write without finding it announced; `durable` follows the flush;
//! callers are answered after that, and the watches are told last.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::backend::Backend;
use super::layout::FIRST;
use super::shared::{Settled, Shared};
use super::stage::{Measured, Overlay, Stage, batch};
use crate::store::engine::{Change, Commit, CommitError, Restore, StoreError};
use crate::store::metrics::count;

/// Most commits of one group, most operations and about most bytes: sled holds back readers while
/// it applies a batch.
const GROUP: usize = 256;
const GROUP_OPS: usize = 1024;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

type CommitReply = oneshot::Sender<Result<u64, CommitError>>;
type Reply = oneshot::Sender<Result<(), StoreError>>;

/// What the writer is asked for.
pub(super) enum Job {
    Commit { commit: Commit, room: OwnedSemaphorePermit, reply: CommitReply },
    Restore { step: Restore, reply: Reply },
    Close { reply: Reply },
}

/// A commit waiting for its group. The room is given back when it is answered.
struct Waiting {
    commit: Commit,
    reply: CommitReply,
    _room: OwnedSemaphorePermit,
}

pub(super) struct Writer<B> {
    shared: Arc<Shared<B>>,
    measured: Measured,
    revision: u64,
    importing: bool,
}

impl<B: Backend> Writer<B> {
    pub(super) fn new(shared: Arc<Shared<B>>, measured: Measured, revision: u64) -> Self {
        Writer { shared, measured, revision, importing: false }
    }

    /// Work until closed or until nobody can ask any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::new();
        while let Some(first) = jobs.blocking_recv() {
            let mut next = Some(first);
            let mut ops = 0;
            let mut bytes = 0;
            while let Some(Job::Commit { commit, room, reply }) = next {
                ops += commit.ops.len();
                bytes += room.num_permits();
                group.push(Waiting { commit, reply, _room: room });
                let full = group.len() >= GROUP || ops >= GROUP_OPS || bytes >= GROUP_BYTES;
                next = if full { None } else { jobs.try_recv().ok() };
            }
            if !group.is_empty() {
                self.commit(mem::take(&mut group));
            }
            match next {
                Some(Job::Restore { step, reply }) => {
                    let done = self.restore(step);
                    let _ = reply.send(done);
                }
                Some(Job::Close { reply }) => {
                    let done = self.shared.failure.get().cloned().map_or(Ok(()), Err);
                    self.shared.fail(StoreError::Closed);
                    // The backend first, so that it is free when the caller hears of it.
                    drop(self);
                    let _ = reply.send(done);
                    return;
                }
                Some(Job::Commit { .. }) | None => {}
            }
        }
    }

    fn commit(&mut self, group: Vec<Waiting>) {
        let mut results = Vec::with_capacity(group.len());
        let done = self.open_for_commits().and_then(|()| {
            guarded(&self.shared, || {
                let mut stage = Stage::new(&self.shared.backend, &mut self.measured, self.revision);
                results.extend(group.iter().map(|waiting| stage.add(&waiting.commit)));
                Ok(stage.finish())
            })
        });
        let done = done.and_then(|(overlay, changes, revision)| {
            if !overlay.is_empty() {
                self.write(overlay, revision)?;
            }
            Ok(changes)
        });
        match done {
            Ok(changes) => {
                for (waiting, result) in group.into_iter().zip(results) {
                    self.count(&result);
                    // The caller may have gone; the commit stands all the same.
                    let _ = waiting.reply.send(result);
                }
                self.report(&changes);
            }
            Err(error) => {
                for waiting in group {
                    let _ = waiting.reply.send(Err(error.clone().into()));
                }
            }
        }
    }

    /// An error here refuses the group and changes nothing.
    fn open_for_commits(&self) -> Result<(), StoreError> {
        match self.shared.failure.get() {
            Some(error) => Err(error.clone()),
            None if self.importing => Err(StoreError::Importing),
            None => self.shared.backend.ready(),
        }
    }

    /// Apply, flush, and let readers see it. An error is final.
    fn write(&mut self, overlay: Overlay, revision: u64) -> Result<(), StoreError> {
        let shared = &*self.shared;
        let overlay = Arc::new(overlay);
        *shared.in_flight.lock() = Some(overlay.clone());
        shared.begun.store(revision, Ordering::Release);
        let done = guarded(shared, || {
            let mut view = shared.view.write();
            if let Some(preserved) = &mut view.preserved {
                preserved.keep(&overlay);
            }
            // Before it is true: if applying fails half way, scans must not take it for durable.
            view.applied = revision;
            shared.backend.apply(batch(&overlay))?;
            drop(view);
            let began = Instant::now();
            shared.backend.flush()?;
            let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            shared.metrics.flush_nanos.fetch_add(nanos, Ordering::Relaxed);
            Ok(())
        });
        if let Err(error) = done {
            shared.fail(error);
            return Err(shared.stopped());
        }
        count(&shared.metrics.groups);
        self.revision = revision;
        let mut in_flight = shared.in_flight.lock();
        shared.durable.store(revision, Ordering::Release);
        *in_flight = None;
        drop(in_flight);
        shared.settled.send_replace(Settled { durable: revision, failed: false });
        Ok(())
    }

    fn count(&self, result: &Result<u64, CommitError>) {
        let metrics = &self.shared.metrics;
        match result {
            Ok(_) => count(&metrics.commits),
            Err(CommitError::Conflict(_)) => count(&metrics.conflicts),
            Err(CommitError::QuotaExceeded | CommitError::ChargeExceeded(_)) => count(&metrics.refused),
            Err(CommitError::Invalid(_) | CommitError::Failed(_)) => {}
        }
    }

    fn report(&self, changes: &[Change]) {
        let mut subscribers = self.shared.subscribers.lock();
        subscribers.reported = self.revision;
        let sinks = subscribers.sinks.clone();
        drop(subscribers);
        if !changes.is_empty() {
            for sink in sinks {
                sink.changed(changes);
            }
        }
    }

    fn restore(&mut self, step: Restore) -> Result<(), StoreError> {
        if let Some(error) = self.shared.failure.get() {
            return Err(error.clone());
        }
        self.shared.backend.ready()?;
        let begins = matches!(step, Restore::Begin(_));
        let ends = matches!(step, Restore::End);
        if begins && (self.importing || self.revision > 0 || !self.is_empty()?) {
            return Err(StoreError::NotEmpty);
        }
        if !begins && !self.importing {
            return Err(StoreError::Importing);
        }
        let (overlay, _, revision) = guarded(&self.shared, || {
            let revision = if let Restore::Begin(revision) = step { revision } else { self.revision };
            let mut stage = Stage::new(&self.shared.backend, &mut self.measured, revision);
            match step {
                Restore::Begin(_) => stage.begin_restore()?,
                Restore::Records(records) => records.into_iter().try_for_each(|record| stage.restore(record))?,
                Restore::End => stage.end_restore()?,
            }
            Ok(stage.finish())
        })?;
        self.importing = !ends;
        self.write(overlay, revision)?;
        self.report(&[]);
        Ok(())
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        let mut empty = true;
        self.shared.backend.scan(FIRST, None, false, &mut |_, _| {
            empty = false;
            false
        })?;
        Ok(empty)
    }
}

/// sled panics where it might return an error. A panic must not leave callers waiting, and what the
/// writer holds in memory is not to be trusted after it.
fn guarded<B: Backend, T>(shared: &Shared<B>, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        shared.fail(StoreError::Failed("the storage engine panicked".into()));
        Err(shared.stopped())
    })
}
