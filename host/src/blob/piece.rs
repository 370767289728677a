//! What is said of pieces: ids, ranges, plans and results. Plain values.

use std::{fmt, str::FromStr};

use object_store::path::Path;
use uuid::Uuid;

use super::{digest::Algorithm, error::StageError};

/// Most pieces of one body.
pub const MAX_PIECES: u64 = 65_536;
/// Fewest bytes of a piece that is not the last of its body.
pub const MIN_PIECE_SIZE: u64 = 4096;
/// Most digests of one kind in a plan: each algorithm, and some repeated.
const MAX_DIGESTS: usize = 8;

/// The id of a piece, used once. Written as 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PieceId(Uuid);

impl PieceId {
    pub(super) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Where the object is. The folder of two digits keeps folders short.
    pub(super) fn path(self, owner: &str) -> Path {
        let first = self.0.as_bytes().first().copied().unwrap_or_default();
        Path::from(format!("pieces/{owner}/{first:02x}/{self}"))
    }

    /// The owner and the id of an object, if this is the path of one.
    pub(super) fn of_path(path: &Path) -> Option<(&str, Self)> {
        let mut parts = path.as_ref().split('/').skip(1);
        let (owner, name) = (parts.next()?, parts.nth(1)?);
        let id: Self = name.parse().ok()?;
        (id.path(owner) == *path).then_some((owner, id))
    }
}

impl fmt::Display for PieceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// A text that is not the id of a piece.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the id of a piece has 32 lower-case hex digits")]
pub struct InvalidPieceId;

impl FromStr for PieceId {
    type Err = InvalidPieceId;

    /// Takes the written form only, so that one piece has one id.
    fn from_str(text: &str) -> Result<Self, InvalidPieceId> {
        let plain = text.len() == 32 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let id = plain.then(|| Uuid::try_parse(text).ok()).flatten();
        id.map(Self).ok_or(InvalidPieceId)
    }
}

/// A piece that was written and is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its id.
    pub id: PieceId,
    /// Bytes.
    pub size: u64,
    /// One for each algorithm asked for, in that order.
    pub digests: Vec<Vec<u8>>,
}

/// A stretch of a piece. The caller knows the piece's size; a range beyond it is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceRange {
    /// The piece.
    pub id: PieceId,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

/// How a body becomes pieces.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Most bytes taken.
    pub limit: u64,
    /// Bytes of each piece but the last, at least [`MIN_PIECE_SIZE`]; none: one piece.
    pub piece_size: Option<u64>,
    /// Digests of each piece.
    pub piece_digests: Vec<Algorithm>,
    /// Digests of the whole body.
    pub body_digests: Vec<Algorithm>,
    /// Leave trailing bytes of this value out of each piece's digests, and of nothing else.
    pub trim: Option<u8>,
}

impl Plan {
    /// Bytes of a piece, and the most bytes taken in all.
    pub(super) fn bounds<E>(&self) -> Result<(u64, u64), StageError<E>> {
        if self.piece_digests.len() > MAX_DIGESTS || self.body_digests.len() > MAX_DIGESTS {
            return Err(StageError::InvalidPlan("a plan asks for at most 8 digests of a kind"));
        }
        match self.piece_size {
            None => Ok((u64::MAX, self.limit)),
            Some(size) if size < MIN_PIECE_SIZE => Err(StageError::InvalidPlan("a piece size is at least 4096 bytes")),
            Some(size) => Ok((size, self.limit.min(size.saturating_mul(MAX_PIECES)))),
        }
    }
}

/// What became of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// In the order of the body; none if the body was empty.
    pub pieces: Vec<Piece>,
    /// Bytes in all.
    pub size: u64,
    /// One for each of the plan's `body_digests`, in that order.
    pub digests: Vec<Vec<u8>>,
}
