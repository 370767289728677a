//! Digest algorithms, one at a time and in sets. Knows nothing of blobs.
//!
//! SHA-2 is taken from `ring`, which is here for TLS anyway: where the processor has no
//! instructions for it, it is nearly twice as fast as `sha2`. MD5 it does not have, and its SHA-1 is
//! the slower one.

use md5::Md5;
use ring::digest::{Context, SHA256, SHA512};
use sha1::{Digest, Sha1};

/// The algorithms of the contract. MD5 and SHA-1 are there because APIs ask for them, not because
/// they protect anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// 16 bytes.
    Md5,
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 64 bytes.
    Sha512,
}

/// A digest taken in parts. A clone goes on from the same bytes.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Md5(Md5),
    Sha1(Sha1),
    Sha2(Context),
}

impl Hasher {
    /// A digest of no bytes yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Md5 => State::Md5(Md5::new()),
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha2(Context::new(&SHA256)),
            Algorithm::Sha512 => State::Sha2(Context::new(&SHA512)),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Md5(hasher) => hasher.update(bytes),
            State::Sha1(hasher) => hasher.update(bytes),
            State::Sha2(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all bytes added.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        match self.0 {
            State::Md5(hasher) => hasher.finalize().to_vec(),
            State::Sha1(hasher) => hasher.finalize().to_vec(),
            State::Sha2(hasher) => hasher.finish().as_ref().to_vec(),
        }
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

/// Several digests over the same bytes, if asked for without the trailing bytes of one value.
///
/// Whether a byte of that value is a trailing one is known only once another follows, or none. So a
/// run of them is counted, and fed to the hashers when a different byte ends it.
#[derive(Debug, Default)]
pub(super) struct Digests {
    hashers: Vec<Hasher>,
    trim: Option<u8>,
    /// Bytes of the value `trim` at the end that were counted, not hashed.
    run: u64,
}

impl Digests {
    pub(super) fn new(algorithms: &[Algorithm], trim: Option<u8>) -> Self {
        let hashers = algorithms.iter().copied().map(Hasher::new).collect();
        Self { hashers, trim, run: 0 }
    }

    /// The most bytes that an update with that many may have to hash.
    pub(super) fn cost(&self, bytes: usize) -> u64 {
        (self.run + bytes as u64).saturating_mul(self.hashers.len() as u64)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let Some(value) = self.trim else {
            return self.feed(bytes);
        };
        let kept = bytes.iter().rposition(|byte| *byte != value).map_or(0, |last| last + 1);
        let (kept, run) = bytes.split_at(kept);
        if !kept.is_empty() {
            let filler = [value; 4096];
            while self.run > 0 {
                let length = self.run.min(4096);
                self.run -= length;
                self.feed(filler.get(..length as usize).unwrap_or_default());
            }
            self.feed(kept);
        }
        self.run += run.len() as u64;
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.hashers.iter_mut().for_each(|hasher| hasher.update(bytes));
    }

    /// One digest for each algorithm, in the order given.
    pub(super) fn finish(self) -> Vec<Vec<u8>> {
        self.hashers.into_iter().map(Hasher::finish).collect()
    }
}
