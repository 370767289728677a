//! How much memory the guests of a plugin may have.
//!
//! Two bounds: one for each instance, one for all instances of the plugin together. A growth beyond
//! either is refused, which the guest sees as a failed allocation; it usually ends in a trap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

/// Entries a guest's tables may have in all.
const MAX_TABLE: usize = 20_000;

/// Bytes of linear memory held by all instances of one plugin, and their bound.
#[derive(Debug)]
pub struct MemoryBudget {
    used: AtomicU64,
    limit: u64,
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), limit })
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.limit)
            })
            .is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The limiter of one instance. Gives its bytes back to the budget when dropped.
#[derive(Debug)]
pub struct MemoryLimiter {
    budget: Arc<MemoryBudget>,
    limit: u64,
    held: u64,
    refused: bool,
}

impl MemoryLimiter {
    /// A limiter for an instance of at most `limit` bytes.
    pub fn new(budget: Arc<MemoryBudget>, limit: u64) -> Self {
        Self { budget, limit, held: 0, refused: false }
    }

    /// Bytes this instance holds.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Whether a growth was refused since this was last asked.
    pub fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current) as u64;
        let fits = self.held.saturating_add(growth) <= self.limit && self.budget.take(growth);
        if fits {
            self.held += growth;
        } else {
            self.refused = true;
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE)
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.budget.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_stays_under_its_own_limit() {
        let budget = MemoryBudget::new(1000);
        let mut limiter = MemoryLimiter::new(budget.clone(), 100);
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        assert!(!limiter.memory_growing(100, 101, None).unwrap());
        assert!(limiter.take_refused());
        assert!(!limiter.take_refused());
        assert_eq!(budget.used(), 100);
    }

    #[test]
    fn instances_together_stay_under_the_plugins_limit_and_give_back() {
        let budget = MemoryBudget::new(150);
        let mut first = MemoryLimiter::new(budget.clone(), 100);
        let mut second = MemoryLimiter::new(budget.clone(), 100);
        assert!(first.memory_growing(0, 100, None).unwrap());
        assert!(!second.memory_growing(0, 100, None).unwrap());
        drop(first);
        assert!(second.memory_growing(0, 100, None).unwrap());
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
