//! What is kept, and how: the key space, commits, and the indexes that keep pages cheap.
//!
//! Invariant: an entity's record is the truth. Postings, the keys of the indexes, are a superset of what records imply:
//! written before or with a record, removed with or after it, and whoever follows one looks at the record.

pub mod batch;
pub mod entities;
pub mod keys;
pub mod pages;
pub mod places;
pub mod posting;
pub mod query;

/// Counts what is read, for tests of what a request costs.
#[cfg(test)]
pub mod reads {
    use std::cell::Cell;

    thread_local! {
        static ENTRIES: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count(entries: usize) {
        ENTRIES.set(ENTRIES.get() + entries);
    }

    /// Entries read while this runs.
    pub fn of<T>(run: impl FnOnce() -> T) -> (T, usize) {
        let before = ENTRIES.get();
        let done = run();
        (done, ENTRIES.get() - before)
    }
}
