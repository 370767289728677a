//! Numbers that nobody chose, and that can be had again.

use std::hash::{BuildHasher, RandomState};

/// A generator of numbers (linear congruential: good enough to choose moments and members).
pub struct Random(u64);

impl Random {
    /// From `PLUGBAY_SEED`, or from a seed of this run, which is printed.
    pub fn seeded() -> Self {
        let given = std::env::var("PLUGBAY_SEED").ok().map(|text| text.parse().expect("PLUGBAY_SEED is a number"));
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
        println!("PLUGBAY_SEED={seed}");
        Self(seed)
    }

    /// Another one that goes its own way, for a task.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The low bits of such a generator are not random.
        self.0 ^ (self.0 >> 32)
    }

    /// One of `0..limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from((self.next() >> 16) % limit as u64).expect("below a usize")
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
