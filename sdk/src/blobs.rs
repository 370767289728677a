//! Large values, which stay in the host. Attaching and dropping them is done by a [`Transaction`](crate::kv::Transaction).

pub use crate::bindings::plugbay::plugin::blobs::Error;
pub use crate::capability::blobs::{concat, digest, from_file, read, size, to_file, write};
use crate::{BlobRange, DigestAlgorithm, FileRange, Piece};

/// Most bytes that one `read` gives.
pub const READ_LIMIT: u64 = 1024 * 1024;

impl BlobRange {
    /// All of a blob, or of a piece of this request.
    pub fn whole(name: impl Into<String>) -> Self {
        Self { name: name.into(), offset: 0, length: None }
    }

    /// `length` bytes from `offset` on.
    pub fn part(name: impl Into<String>, offset: u64, length: u64) -> Self {
        Self { name: name.into(), offset, length: Some(length) }
    }
}

impl FileRange {
    /// All of a file, by its path relative to the private directory.
    pub fn whole(path: impl Into<String>) -> Self {
        Self { path: path.into(), offset: 0, length: None }
    }

    /// `length` bytes of it from `offset` on.
    pub fn part(path: impl Into<String>, offset: u64, length: u64) -> Self {
        Self { path: path.into(), offset, length: Some(length) }
    }
}

impl Piece {
    /// All of this piece.
    pub fn range(&self) -> BlobRange {
        BlobRange::whole(&self.id)
    }
}

/// A digest of a whole blob or piece.
///
/// # Errors
/// Those of the contract's `digest`.
pub fn digest_of(name: &str, algorithm: DigestAlgorithm) -> Result<Vec<u8>, Error> {
    digest(&[BlobRange::whole(name)], algorithm)
}
