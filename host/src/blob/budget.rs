//! How many bytes a plugin may hold in pieces that are not permanent.
//!
//! A [`Reservation`] is a share of the bound; dropping it gives the share back. It travels with its
//! piece and is dropped when the piece is kept or its object is gone, so the disk is bounded and
//! not only the bookkeeping.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What a piece costs besides its bytes: a file of one byte takes a block and an inode.
const PIECE_COST: u64 = 4096;

#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let more = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.try_update(Relaxed, Relaxed, more).is_ok()
    }
}

#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    /// Room for an empty piece; none if the bound is reached.
    pub(super) fn for_piece(budget: &Arc<Budget>) -> Option<Self> {
        budget.take(PIECE_COST).then(|| Self { budget: budget.clone(), bytes: PIECE_COST })
    }

    /// Room for that many bytes more; false if the bound is reached.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let taken = self.budget.take(bytes);
        if taken {
            self.bytes += bytes;
        }
        taken
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}
