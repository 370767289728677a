//! What is remembered of tokens: a bounded number, each for a while.
//!
//! The oldest goes first. Invariant: at most `most` entries, and as many places in the order of their coming.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use crate::auth::token_file::Hash;

pub(super) struct Cache<T> {
    kept: HashMap<Hash, Kept<T>>,
    /// In the order they came. An entry that was replaced or ran out leaves its place here until it is the oldest.
    order: VecDeque<(Hash, u64)>,
    most: usize,
    next: u64,
}

struct Kept<T> {
    value: T,
    until: Instant,
    number: u64,
}

impl<T> Cache<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new(), most, next: 0 }
    }

    /// What is remembered and did not run out.
    pub(super) fn get(&mut self, hash: &Hash, now: Instant) -> Option<&T> {
        if self.kept.get(hash).is_some_and(|kept| kept.until <= now) {
            self.kept.remove(hash);
        }
        self.kept.get(hash).map(|kept| &kept.value)
    }

    pub(super) fn put(&mut self, hash: Hash, value: T, until: Instant) {
        let number = self.next;
        self.next += 1;
        self.kept.insert(hash, Kept { value, until, number });
        self.order.push_back((hash, number));
        while self.order.len() > self.most {
            let Some((oldest, number)) = self.order.pop_front() else { return };
            if self.kept.get(&oldest).is_some_and(|kept| kept.number == number) {
                self.kept.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn hash(number: u8) -> Hash {
        [number; 32]
    }

    #[test]
    fn an_entry_runs_out_and_a_newer_one_takes_its_place() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let mut cache = Cache::new(10);
        cache.put(hash(1), "a", later(5));
        assert_eq!(cache.get(&hash(1), later(4)), Some(&"a"));
        assert_eq!(cache.get(&hash(1), later(5)), None);
        cache.put(hash(1), "b", later(9));
        cache.put(hash(1), "c", later(7));
        assert_eq!(cache.get(&hash(1), later(6)), Some(&"c"));
        assert_eq!(cache.get(&hash(1), later(8)), None);
    }

    proptest! {
        #[test]
        fn it_never_has_more_than_it_may_and_the_newest_is_there(
            most in 1..8_usize,
            puts in proptest::collection::vec(any::<u8>(), 1..60),
        ) {
            let until = Instant::now() + Duration::from_secs(60);
            let mut cache = Cache::new(most);
            for put in &puts {
                cache.put(hash(*put), *put, until);
                prop_assert!(cache.kept.len() <= most && cache.order.len() <= most);
                prop_assert_eq!(cache.get(&hash(*put), Instant::now()), Some(put));
            }
        }
    }
}
