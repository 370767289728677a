//! Long values in pieces, so that no page of sled grows too large.
//!
//! A value longer than [`PIECE`] is stored as pieces under keys of their own, and a short head under
//! its key. Every writing of a long value has an id never used before in the life of the process, so
//! a reader that comes between finds pieces missing, never pieces of another value.

use ::sled::IVec;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Longest value stored in one, and longest piece.
pub(super) const PIECE: usize = 16 * 1024;
/// The first key behind the pieces. Theirs begin with two zero bytes.
pub(super) const AFTER_PIECES: &[u8] = &[0, 1];
/// First byte of a head. Other values begin with a zero: the high end of a version.
const MARK: u8 = 1;
/// Bytes of a piece's key: two zeros, the id, the index.
const KEY: usize = 2 + 8 + 4;

/// What is stored under the key of a long value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Which writing of a value this is.
    id: u64,
    /// How many pieces there are.
    pub(super) count: u32,
    /// Bytes of the whole.
    length: u32,
}

impl Head {
    /// The head of this value.
    pub(super) fn of(value: &[u8], id: u64) -> Self {
        // Values are far below 4 GiB; the limits of commits see to it.
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Head { id, count: number(value.len().div_ceil(PIECE)), length: number(value.len()) }
    }

    /// The head in a stored value; none if that is the value itself.
    pub(super) fn decode(mut stored: &[u8]) -> Option<Self> {
        if stored.try_get_u8().ok()? != MARK {
            return None;
        }
        let id = stored.try_get_u64().ok()?;
        let count = stored.try_get_u32().ok()?;
        let length = stored.try_get_u32().ok()?;
        Some(Head { id, count, length })
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut stored = BytesMut::with_capacity(17);
        stored.put_u8(MARK);
        stored.put_u64(self.id);
        stored.put_u32(self.count);
        stored.put_u32(self.length);
        stored.freeze()
    }

    /// The key of one piece.
    pub(super) fn key(&self, index: u32) -> [u8; KEY] {
        let mut key = [0; KEY];
        let (_, mut rest) = key.split_at_mut(2);
        rest.put_u64(self.id);
        rest.put_u32(index);
        key
    }

    /// The keys of all pieces.
    pub(super) fn keys(&self) -> std::ops::Range<[u8; KEY]> {
        self.key(0)..self.key(self.count)
    }

    /// The value; none if a piece is missing.
    pub(super) fn join(&self, pieces: &[IVec]) -> Option<Bytes> {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if length != usize::try_from(self.length).ok()? {
            return None;
        }
        let mut value = BytesMut::with_capacity(length);
        pieces.iter().for_each(|piece| value.put_slice(piece));
        Some(value.freeze())
    }
}

/// The id in the key of a piece.
pub(super) fn id(key: &[u8]) -> Option<u64> {
    key.get(2..).and_then(|mut rest| rest.try_get_u64().ok())
}
