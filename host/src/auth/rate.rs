//! A token bucket in one atomic word: no lock, no timer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const SECOND: u64 = 1_000_000_000;

/// So many in a second on average, and a burst of so many at once.
///
/// Kept as the time at which the bucket would be full again (the generic cell rate algorithm), in
/// nanoseconds since the limit was made.
#[derive(Debug)]
pub struct RateLimit {
    born: Instant,
    /// Time that one takes.
    interval: u64,
    /// Time that a full bucket takes.
    depth: u64,
    full: AtomicU64,
}

impl RateLimit {
    /// `per_second` of 0 lets nothing through; `burst` is at least one.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        // Rounded up, so that the rate is never passed. None fits into an empty bucket.
        let interval = SECOND.div_ceil(u64::from(per_second.max(1)));
        let held = if per_second == 0 { 0 } else { burst.max(1) };
        let depth = interval.saturating_mul(u64::from(held));
        Self { born: Instant::now(), interval, depth, full: AtomicU64::new(0) }
    }

    /// Take one, if there is one.
    pub fn take(&self) -> bool {
        self.take_at(u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn take_at(&self, now: u64) -> bool {
        let next = |full: u64| {
            let full = full.max(now).saturating_add(self.interval);
            (full.saturating_sub(now) <= self.depth).then_some(full)
        };
        self.full.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}
