//! What the store counts. Plain atomics, read by the admin part; nothing here decides anything.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the store was opened.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Commits acknowledged.
    pub commits: AtomicU64,
    /// Commits refused because a check failed.
    pub conflicts: AtomicU64,
    /// Commits refused by a quota or a charge.
    pub refused: AtomicU64,
    /// Groups flushed: each is one batch and one flush for all its commits.
    pub groups: AtomicU64,
    /// Nanoseconds spent flushing.
    pub flush_nanos: AtomicU64,
    /// Single keys read.
    pub reads: AtomicU64,
    /// Pages read.
    pub scans: AtomicU64,
    /// Reads that had to wait for a flush.
    pub waits: AtomicU64,
}

/// Count one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
