//! Pieces that belong to one request or job, and the step by which they become permanent.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
use parking_lot::Mutex;

use super::{
    budget::Reservation,
    digest::Algorithm,
    error::{ReadError, StageError, StorageError},
    piece::{Piece, PieceId, PieceRange, Plan, Received},
    pins::Doomed,
    space::Space,
    stage,
};

/// The pieces of one request or job that are not permanent. Clones are the same place; when the
/// last is gone, so are the pieces.
#[derive(Clone, Debug)]
pub struct Staging {
    held: Arc<Mutex<Held>>,
    space: Space,
}

/// Pieces on disk that are removed on drop.
#[derive(Debug)]
pub(super) struct Held {
    space: Space,
    pieces: HashMap<PieceId, Staged>,
}

#[derive(Debug)]
pub(super) struct Staged {
    pub(super) size: u64,
    pub(super) reservation: Reservation,
}

impl Held {
    pub(super) fn new(space: Space) -> Self {
        Self { space, pieces: HashMap::new() }
    }

    pub(super) fn insert(&mut self, id: PieceId, staged: Staged) {
        self.pieces.insert(id, staged);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.pieces.is_empty() {
            let doom = |(id, piece): (PieceId, Staged)| Doomed { id, _reservation: Some(piece.reservation) };
            self.space.erase(self.pieces.drain().map(doom));
        }
    }
}

impl Staging {
    pub(super) fn new(space: Space) -> Self {
        Self { held: Arc::new(Mutex::new(Held::new(space.clone()))), space }
    }

    /// Reads a body into pieces, by plan. When it returns, they are on disk. On any error, and when
    /// the future is dropped, nothing of the body is kept.
    pub async fn stage<S, E>(&self, plan: &Plan, body: S) -> Result<Received, StageError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        self.take(plan, false, body).await
    }

    /// A piece of these bytes, possibly none, with these digests.
    pub async fn write(&self, bytes: Bytes, digests: &[Algorithm]) -> Result<Piece, StageError<Infallible>> {
        self.one(digests, stream::iter([Ok(bytes)])).await
    }

    /// A piece that is the concatenation of these ranges, with these digests.
    pub async fn concat(&self, ranges: Vec<PieceRange>, digests: &[Algorithm]) -> Result<Piece, StageError<ReadError>> {
        let reader = self.space.reader(ranges).map_err(StageError::CutOff)?;
        self.one(digests, reader).await
    }

    /// One piece of a whole body, possibly without bytes, with these digests. On any error nothing of it is kept.
    pub async fn one<S, E>(&self, digests: &[Algorithm], body: S) -> Result<Piece, StageError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let plan = Plan { limit: u64::MAX, piece_digests: digests.to_vec(), ..Plan::default() };
        let mut received = self.take(&plan, true, body).await?;
        received.pieces.pop().ok_or_else(|| StorageError::stopped().into())
    }

    async fn take<S, E>(&self, plan: &Plan, never_empty: bool, body: S) -> Result<Received, StageError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let (received, mut written) = stage::stage(&self.space, plan, never_empty, body).await?;
        self.held.lock().pieces.extend(written.pieces.drain());
        Ok(received)
    }

    /// The size of a piece of this request or job; none if it has no such piece, or none any more.
    #[must_use]
    pub fn size(&self, id: PieceId) -> Option<u64> {
        self.held.lock().pieces.get(&id).map(|piece| piece.size)
    }

    /// Takes pieces out for a commit that is about to attach them. All or none.
    ///
    /// The commit and what follows it belong into one task that does not end with the request:
    /// whoever drops [`Attaching`] in between leaves objects on disk until the next start.
    pub fn attach(&self, ids: &[PieceId]) -> Result<Attaching, NotStaged> {
        let mut held = self.held.lock();
        let mut pieces = HashMap::with_capacity(ids.len());
        for id in ids {
            match held.pieces.remove(id) {
                Some(piece) => pieces.insert(*id, piece),
                None => {
                    held.pieces.extend(pieces);
                    return Err(NotStaged(*id));
                }
            };
        }
        drop(held);
        Ok(Attaching { staging: self.clone(), pieces })
    }
}

/// A commit named something that is not a piece of this request or job, or named a piece twice.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is not a piece of this request that is still to be attached")]
pub struct NotStaged(pub PieceId);

/// Pieces that a commit is making permanent. Say how it ended.
#[derive(Debug)]
#[must_use = "say how the commit ended"]
pub struct Attaching {
    staging: Staging,
    pieces: HashMap<PieceId, Staged>,
}

impl Attaching {
    /// The pieces and their sizes, in no order.
    pub fn pieces(&self) -> impl Iterator<Item = (PieceId, u64)> {
        self.pieces.iter().map(|(id, piece)| (*id, piece.size))
    }

    /// The commit was written: the pieces are permanent.
    pub fn keep(mut self) {
        self.pieces.clear();
    }

    /// The commit was surely not written: the pieces are the request's again, to be attached by
    /// another commit or removed with it.
    pub fn give_back(mut self) {
        self.staging.held.lock().pieces.extend(self.pieces.drain());
    }
}

impl Drop for Attaching {
    fn drop(&mut self) {
        if !self.pieces.is_empty() {
            let pieces = self.pieces.len();
            tracing::warn!(pieces, "a commit with blobs ended unknown; the next start asks the store about them");
        }
    }
}
