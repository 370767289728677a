//! What readers and the writer share, and how reads stay behind the flush.
//!
//! Every read here says what it saw and, if that could still be taken back, the revision to wait for.

use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, ready};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::backend::Backend;
use super::layout::{FIRST, check_key, cost, decode};
use super::snapshot::Preserved;
use super::stage::Overlay;
use crate::store::engine::{ChangeSink, Entry, MAX_PAGE, MAX_PAGE_ENTRIES, Page, Reply, Scan, StoreError, Usage};
use crate::store::metrics::{Metrics, count};
use crate::store::prefix;

/// What readers and the writer share.
pub(super) struct Shared<B> {
    pub(super) backend: B,
    /// Revision of the group being written, or the last one written.
    pub(super) begun: AtomicU64,
    /// Last revision on disk.
    pub(super) durable: AtomicU64,
    /// The writes of the group being written.
    pub(super) in_flight: Mutex<Option<Arc<Overlay>>>,
    /// Held for reading by scans, for writing while a batch is applied: a scan sees whole commits.
    pub(super) view: RwLock<View>,
    /// Wakes those who wait for a flush.
    pub(super) settled: watch::Sender<Settled>,
    pub(super) failure: OnceLock<StoreError>,
    pub(super) subscribers: Mutex<Subscribers>,
    pub(super) metrics: Metrics,
}

pub(super) struct View {
    /// Last revision applied.
    pub(super) applied: u64,
    /// What a running export must still see.
    pub(super) preserved: Option<Preserved>,
}

#[derive(Clone, Copy)]
pub(super) struct Settled {
    pub(super) durable: u64,
    pub(super) failed: bool,
}

pub(super) struct Subscribers {
    /// Everything up to here was reported.
    pub(super) reported: u64,
    pub(super) sinks: Vec<Arc<dyn ChangeSink>>,
}

/// What a read saw, and the revision to wait for before it may be shown.
pub(super) type Seen<T> = (T, Option<u64>);

impl<B: Backend> Shared<B> {
    /// The version and value of a raw key.
    pub(super) fn read(&self, key: &[u8]) -> Result<Seen<Option<(u64, Bytes)>>, StoreError> {
        count(&self.metrics.reads);
        let Some(raw) = self.backend.get(key)? else {
            return Ok((None, self.absence_in_flight(key)));
        };
        let (version, value) = decode(raw)?;
        let wait = (version > self.durable.load(Ordering::Acquire)).then_some(version);
        Ok((Some((version, value)), wait))
    }

    /// `begun` before `durable`: whatever the read saw had begun by then, so a `durable` that has
    /// caught up with it covers all of it.
    pub(super) fn absence_in_flight(&self, key: &[u8]) -> Option<u64> {
        let begun = self.begun.load(Ordering::Acquire);
        if self.durable.load(Ordering::Acquire) >= begun {
            return None;
        }
        let in_flight = self.in_flight.lock();
        in_flight.as_ref().is_some_and(|writes| writes.contains_key(key)).then_some(begun)
    }

    pub(super) fn page(&self, scan: &Scan) -> Result<Seen<Page>, StoreError> {
        count(&self.metrics.scans);
        let start = if scan.start.is_empty() { FIRST } else { &scan.start[..] };
        check_key(start)?;
        let end = scan.end.as_deref();
        let limit = scan.limit.min(MAX_PAGE_ENTRIES);
        let max_bytes = scan.max_bytes.min(MAX_PAGE);
        let mut page = Page { entries: Vec::new(), more: false, revision: 0 };
        let mut bytes = 0;
        let mut result = Ok(());

        let view = self.view.read();
        self.backend.scan(start, end, scan.reverse, &mut |key, raw| match decode(raw) {
            Err(error) => {
                result = Err(error);
                false
            }
            Ok((version, value)) => {
                bytes += key.len() + value.len();
                page.more = page.entries.len() >= limit || (bytes > max_bytes && !page.entries.is_empty());
                if !page.more {
                    page.entries.push(Entry { key, value, version });
                }
                !page.more
            }
        })?;
        let applied = view.applied;
        drop(view);
        result?;

        let wait = self.range_in_flight(start, end, applied, &mut page.revision);
        Ok((page, wait))
    }

    /// If the group in flight does not touch the range, what was seen was true before that group.
    pub(super) fn range_in_flight(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        applied: u64,
        revision: &mut u64,
    ) -> Option<u64> {
        *revision = applied;
        if self.durable.load(Ordering::Acquire) >= applied {
            return None;
        }
        let in_flight = self.in_flight.lock();
        let writes = in_flight.as_ref()?;
        let first = writes.range::<[u8], _>((Bound::Included(start), Bound::Unbounded)).next();
        if first.is_some_and(|(key, _)| end.is_none_or(|end| &key[..] < end)) {
            return Some(applied);
        }
        *revision = applied.min(self.durable.load(Ordering::Acquire));
        None
    }

    /// Wait until this revision is on disk.
    pub(super) async fn settled(&self, revision: u64) -> Result<(), StoreError> {
        count(&self.metrics.waits);
        let mut settled = self.settled.subscribe();
        let done = settled.wait_for(|now| now.durable >= revision || now.failed).await;
        match done.map(|now| now.durable >= revision) {
            Ok(true) => Ok(()),
            _ => Err(self.stopped()),
        }
    }

    /// Answer now, or when the revision is on disk.
    pub(super) fn reply<T: Send + 'static>(&self, found: Result<Seen<T>, StoreError>) -> Reply<'_, T> {
        match found {
            Ok((value, Some(revision))) => {
                Either::Right(async move { self.settled(revision).await.map(|()| value) }.boxed())
            }
            Ok((value, None)) => Either::Left(ready(Ok(value))),
            Err(error) => Either::Left(ready(Err(error))),
        }
    }

    /// Why there is no answer.
    pub(super) fn stopped(&self) -> StoreError {
        self.failure.get().cloned().unwrap_or(StoreError::Closed)
    }

    /// Refuse writes from now on, and tell those who wait.
    pub(super) fn fail(&self, error: StoreError) {
        let error = match error {
            StoreError::Closed | StoreError::Failed(_) => error,
            other => StoreError::Failed(other.to_string().into()),
        };
        if let StoreError::Failed(reason) = &error {
            tracing::error!(%reason, "the store failed and is read-only now");
        }
        // The first reason stands.
        let _ = self.failure.set(error);
        self.settled.send_modify(|now| now.failed = true);
    }

    /// Bytes and keys under a prefix that no quota has named.
    pub(super) fn count_usage(&self, prefix: &[u8]) -> Result<Seen<Usage>, StoreError> {
        let end = prefix::end(prefix);
        let mut usage = Usage::default();
        let view = self.view.read();
        self.backend.scan(prefix, end.as_deref(), false, &mut |key, raw| {
            usage.bytes += cost(&key, &raw);
            usage.keys += 1;
            true
        })?;
        let applied = view.applied;
        drop(view);
        Ok((usage, self.range_in_flight(prefix, end.as_deref(), applied, &mut 0)))
    }
}
