//! Reading: streams of ranges, bounded reads, digests over ranges.
//!
//! A reader pins its pieces when it is made, before it reads anything. It holds no descriptor between
//! two chunks and reads one ahead: a slow client costs the two chunks it has not taken yet.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{
    digest::{Algorithm, Digests},
    error::ReadError,
    piece::{PieceId, PieceRange},
    space::Space,
};

/// Most bytes of one [`Space::read`].
pub const MAX_READ: u64 = 1024 * 1024;
/// Bytes of a chunk. Larger ones are hardly faster, and a thousand slow clients hold one each.
const CHUNK: u64 = 128 * 1024;
/// Chunks read at once: while one is sent, the next is read.
const AHEAD: usize = 2;

/// The bytes of some ranges, one after the other, read as they are asked for.
pub struct Reader {
    chunks: BoxStream<'static, Result<Bytes, ReadError>>,
    length: u64,
}

impl Reader {
    /// Bytes in all.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.as_mut().poll_next(context)
    }
}

/// Keeps pieces from being removed as long as it is held.
#[derive(Debug)]
pub struct Pinned {
    space: Space,
    ids: Vec<PieceId>,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.space.unpin(&self.ids);
    }
}

/// The ranges, cut into chunks.
struct Chunks {
    current: Option<PieceRange>,
    rest: std::vec::IntoIter<PieceRange>,
}

impl Iterator for Chunks {
    type Item = PieceRange;

    fn next(&mut self) -> Option<PieceRange> {
        let range = self.current.take().or_else(|| self.rest.find(|range| range.length > 0))?;
        let length = range.length.min(CHUNK);
        let left = range.length - length;
        self.current = (left > 0).then_some(PieceRange { offset: range.offset + length, length: left, ..range });
        Some(PieceRange { length, ..range })
    }
}

impl Space {
    /// The bytes of these ranges as a stream. The pieces are pinned from now until it is dropped.
    pub fn reader(&self, ranges: Vec<PieceRange>) -> Result<Reader, ReadError> {
        let length = total(&ranges)?;
        let pinned = self.pin(&ranges);
        let chunks = stream::iter(Chunks { current: None, rest: ranges.into_iter() });
        let fetch = move |chunk: PieceRange| {
            let space = pinned.space.clone();
            async move { space.fetch(chunk.id, chunk.offset..chunk.offset + chunk.length).await }
        };
        Ok(Reader { chunks: Box::pin(chunks.map(fetch).buffered(AHEAD)), length })
    }

    /// The bytes of these ranges, at most [`MAX_READ`].
    pub async fn read(&self, ranges: &[PieceRange]) -> Result<Bytes, ReadError> {
        let length = total(ranges)?;
        if length > MAX_READ {
            return Err(ReadError::InvalidRange("at most 1 MiB can be read at once"));
        }
        let _pinned = self.pin(ranges);
        let mut parts = ranges.iter().filter(|range| range.length > 0);
        let (first, second) = (parts.next(), parts.next());
        let Some(first) = first else {
            return Ok(Bytes::new());
        };
        let bytes = self.fetch(first.id, first.offset..first.offset + first.length).await?;
        if second.is_none() {
            return Ok(bytes);
        }
        let mut all = BytesMut::with_capacity(length as usize);
        all.extend_from_slice(&bytes);
        for range in second.into_iter().chain(parts) {
            let bytes = self.fetch(range.id, range.offset..range.offset + range.length).await?;
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }

    /// The digest of the concatenation of these ranges.
    pub async fn digest(&self, ranges: Vec<PieceRange>, algorithm: Algorithm) -> Result<Vec<u8>, ReadError> {
        let mut reader = self.reader(ranges)?;
        let mut digests = Digests::new(&[algorithm], None);
        let mut next = reader.try_next().await?;
        while let Some(chunk) = next {
            let (read, hashed) = tokio::join!(reader.try_next(), self.shared.hash(digests, chunk));
            (next, digests) = (read?, hashed?);
        }
        Ok(digests.finish().pop().unwrap_or_default())
    }

    /// Keeps these pieces from being removed.
    ///
    /// A piece that was looked up in the store may have been dropped before it was pinned. To be
    /// sure, look it up, pin it, and see that the store's answer is still the same.
    pub fn pin(&self, ranges: &[PieceRange]) -> Pinned {
        let ids: Vec<_> = ranges.iter().map(|range| range.id).collect();
        self.shared.pins.pin(&ids);
        Pinned { space: self.clone(), ids }
    }
}

/// Bytes of all ranges together. Afterwards `offset + length` cannot overflow.
fn total(ranges: &[PieceRange]) -> Result<u64, ReadError> {
    let add = |sum: u64, range: &PieceRange| {
        range.offset.checked_add(range.length).and_then(|_| sum.checked_add(range.length))
    };
    ranges.iter().try_fold(0, add).ok_or(ReadError::InvalidRange("a range ends beyond 2^64"))
}
