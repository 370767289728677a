//! Images in an order other than the kept one: only what they are ordered by is held.
//!
//! Owns how many may be held. Ranks are exact and end in the id; the images themselves are read again when
//! they are shown. Invariant: with a number to keep, no more than twice that many ranks are held at any time.

use crate::faults::{Fault, Kind};

/// Most bytes of ranks held for one list.
const HELD: usize = 20 * 1024 * 1024;

/// What a rank costs beside its bytes.
const OVERHEAD: usize = 32;

/// Bytes of a uuid, which end a rank.
pub const UUID: usize = 36;

/// The first images in an order, so far.
#[derive(Debug)]
pub struct Selection {
    ranks: Vec<Box<[u8]>>,
    held: usize,
    descending: bool,
    after: Option<Vec<u8>>,
    keep: Option<usize>,
}

impl Selection {
    /// The first `keep` images after the one of that rank; none: from the start, all of them.
    pub fn new(descending: bool, after: Option<Vec<u8>>, keep: Option<usize>) -> Selection {
        Selection { ranks: Vec::new(), held: 0, descending, after, keep }
    }

    /// Offer an image's rank. Ranks that do not fit any more are a 413.
    pub fn offer(&mut self, rank: Vec<u8>) -> Result<(), Fault> {
        let before = |a: &[u8], b: &[u8]| if self.descending { a > b } else { a < b };
        if self.after.as_ref().is_some_and(|after| !before(after, &rank)) {
            return Ok(());
        }
        self.held += rank.len() + OVERHEAD;
        self.ranks.push(rank.into_boxed_slice());
        if let Some(keep) = self.keep
            && self.ranks.len() >= keep.saturating_mul(2).max(64)
        {
            self.settle();
        }
        if self.held > HELD {
            return Err(Fault::new(
                Kind::OverLimit,
                "Too many images to be sorted; ask for sort_key=created_at or filter them",
            ));
        }
        Ok(())
    }

    /// Sort, and forget what comes after the last one to keep.
    fn settle(&mut self) {
        self.ranks.sort_unstable();
        if self.descending {
            self.ranks.reverse();
        }
        if let Some(keep) = self.keep {
            self.ranks.truncate(keep);
        }
        self.held = self.ranks.iter().map(|rank| rank.len() + OVERHEAD).sum();
    }

    /// The ids, in order, one right after the other.
    pub fn ids(mut self) -> Vec<u8> {
        self.settle();
        let mut ids = Vec::with_capacity(self.ranks.len() * UUID);
        for rank in self.ranks {
            let id = rank.len().checked_sub(UUID).and_then(|at| rank.get(at..));
            ids.extend_from_slice(id.unwrap_or_default());
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rank(value: &str, number: usize) -> Vec<u8> {
        format!("{value}\0{number:036}").into_bytes()
    }

    fn texts(ids: &[u8]) -> Vec<String> {
        ids.chunks(UUID).map(|id| String::from_utf8(id.to_vec()).unwrap()).collect()
    }

    #[test]
    fn what_does_not_fit_is_refused_and_a_kept_few_always_fit() {
        let long = "n".repeat(1000);
        let offer = |keep| {
            let mut selection = Selection::new(false, None, keep);
            (0..30_000).try_for_each(|n| selection.offer(rank(&long, n))).map(|()| texts(&selection.ids()))
        };
        assert_eq!(offer(None).unwrap_err().status(), 413);
        assert_eq!(offer(Some(3)).unwrap(), [0, 1, 2].map(|n| format!("{n:036}")));
    }

    proptest! {
        #[test]
        fn pages_are_the_sorted_whole(
            values in prop::collection::vec("[a-c]{0,2}", 0..300),
            keep in 1usize..50,
            descending: bool,
        ) {
            let ranks: Vec<Vec<u8>> = values.iter().enumerate().map(|(n, value)| rank(value, n)).collect();
            let page = |after: Option<Vec<u8>>, keep| {
                let mut selection = Selection::new(descending, after, keep);
                for rank in &ranks {
                    selection.offer(rank.clone()).unwrap();
                }
                texts(&selection.ids())
            };
            let whole = page(None, None);
            prop_assert_eq!(whole.len(), ranks.len());
            let mut paged: Vec<String> = Vec::new();
            loop {
                let marker = paged.last().and_then(|id| ranks.iter().find(|rank| rank.ends_with(id.as_bytes())).cloned());
                let next = page(marker, Some(keep));
                if next.is_empty() {
                    break;
                }
                paged.extend(next);
            }
            prop_assert_eq!(paged, whole);
        }
    }
}
