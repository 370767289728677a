//! Turning a body into pieces.
//!
//! Two ends of a short channel. The caller's end reads the body and fills blocks; the *writer*, a
//! task of its own, hashes and writes them. While one block is read, the one before is hashed for
//! its piece, hashed for the body and written, the three at once; ended pieces are synced
//! meanwhile, a few at a time. Everything is bounded: a block is begun only when the writer has
//! taken the last one, pieces that are being synced are at most [`SYNCING`], and no more blocks are
//! hashed at once than there are cores.
//!
//! The writer alone cleans up. It ends well only when it is told that the body is complete; when
//! its channel just closes (the caller failed, or its future was dropped) it waits for what is
//! under way, takes everything back and ends. What it returns removes itself if nobody takes it.

use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use object_store::{MultipartUpload, PutPayload};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    budget::Reservation,
    digest::{Algorithm, Digests},
    error::{StageError, StorageError},
    piece::{Piece, PieceId, Plan, Received},
    space::Space,
    staging::{Held, Staged},
};

/// Most bytes that are hashed and written at once. See the header of [`super`].
pub(super) const BLOCK: usize = 128 * 1024;
/// A block that is filled by small chunks takes this much memory until it needs it all.
const SMALL: usize = 16 * 1024;
/// Pieces of one body that are being synced at once.
const SYNCING: usize = 4;

enum Message {
    Block(Bytes),
    End,
}

/// Why the writer gave up.
enum Failure {
    Storage(StorageError),
    Quota,
    /// Its channel closed: the caller knows why, or is gone.
    Abandoned,
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Reads a body into pieces. With `never_empty`, an empty body is one piece without bytes.
pub(super) async fn stage<S, E>(
    space: &Space,
    plan: &Plan,
    never_empty: bool,
    body: S,
) -> Result<(Received, Held), StageError<E>>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    let (piece_size, limit) = plan.bounds()?;
    let (blocks, queue) = mpsc::channel(1);
    let writer = Writer {
        space: space.clone(),
        piece_size,
        piece_digests: plan.piece_digests.clone(),
        trim: plan.trim,
        never_empty,
        body: Digests::new(&plan.body_digests, None),
        size: 0,
        open: None,
        syncing: JoinSet::new(),
        pieces: Vec::new(),
        held: Held::new(space.clone()),
    };
    let writer = space.shared.tasks.spawn_on(writer.run(queue), &space.shared.runtime);
    let mut body = Blocks { body: pin!(body.fuse()), spare: Bytes::new(), taken: 0, limit };
    let mut left = piece_size;
    loop {
        let want = left.min(BLOCK as u64) as usize;
        // If the writer is gone, it says below why.
        let Ok(slot) = blocks.reserve().await else {
            break;
        };
        let block = tokio::select! {
            biased;
            () = blocks.closed() => break,
            block = body.next(want) => block?,
        };
        let Some(block) = block else {
            slot.send(Message::End);
            break;
        };
        left = match left - block.len() as u64 {
            0 => piece_size,
            left => left,
        };
        slot.send(Message::Block(block));
    }
    match writer.await {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(Failure::Storage(error))) => Err(error.into()),
        Ok(Err(Failure::Quota)) => Err(StageError::QuotaExceeded),
        Ok(Err(Failure::Abandoned)) | Err(_) => Err(StorageError::stopped().into()),
    }
}

/// A body, cut into blocks.
struct Blocks<'a, S> {
    body: Pin<&'a mut S>,
    /// What is left of the last chunk.
    spare: Bytes,
    taken: u64,
    limit: u64,
}

impl<S, E> Blocks<'_, S>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    /// The next `want` bytes, fewer if the body ends before, none if it has ended.
    ///
    /// Small chunks are copied together: a chunk may be a slice of a much larger buffer, and a
    /// client that sends single bytes must not make us hold a buffer for each.
    async fn next(&mut self, want: usize) -> Result<Option<Bytes>, StageError<E>> {
        let mut block = BytesMut::new();
        while block.len() < want {
            if self.spare.is_empty() {
                let Some(chunk) = self.body.next().await else {
                    break;
                };
                self.spare = chunk.map_err(StageError::CutOff)?;
                self.taken = self.taken.saturating_add(self.spare.len() as u64);
                if self.taken > self.limit {
                    return Err(StageError::TooLarge { limit: self.limit });
                }
            }
            if block.is_empty() && self.spare.len() >= want {
                return Ok(Some(self.spare.split_to(want)));
            }
            let part = self.spare.split_to(self.spare.len().min(want - block.len()));
            if block.capacity() - block.len() < part.len() {
                let small = block.len() + part.len() <= SMALL.min(want);
                block.reserve(if small { SMALL.min(want) } else { want } - block.len());
            }
            block.extend_from_slice(&part);
        }
        Ok((!block.is_empty()).then(|| block.freeze()))
    }
}

struct Writer {
    space: Space,
    piece_size: u64,
    piece_digests: Vec<Algorithm>,
    trim: Option<u8>,
    never_empty: bool,
    body: Digests,
    size: u64,
    open: Option<Open>,
    syncing: JoinSet<Result<(), StorageError>>,
    pieces: Vec<Piece>,
    held: Held,
}

/// The piece that blocks are being added to.
struct Open {
    id: PieceId,
    size: u64,
    reservation: Reservation,
    digests: Digests,
    bytes: Unwritten,
}

/// How far a piece has come: a single block is kept back until it is known whether more follow.
enum Unwritten {
    Nothing,
    First(Bytes),
    Parts(Box<dyn MultipartUpload>),
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Message>) -> Result<(Received, Held), Failure> {
        if let Err(failure) = self.drive(&mut queue).await {
            // Tells the caller, who may be waiting for a slow client.
            drop(queue);
            self.abandon().await;
            return Err(failure);
        }
        let digests = self.body.finish();
        Ok((Received { pieces: self.pieces, size: self.size, digests }, self.held))
    }

    async fn drive(&mut self, queue: &mut mpsc::Receiver<Message>) -> Result<(), Failure> {
        loop {
            match queue.recv().await {
                Some(Message::Block(block)) => self.add(block).await?,
                Some(Message::End) => break,
                None => return Err(Failure::Abandoned),
            }
        }
        if self.never_empty && self.size == 0 {
            self.open = Some(self.begin()?);
        }
        self.end_piece().await?;
        while let Some(synced) = self.syncing.join_next().await {
            synced.map_err(|_| StorageError::stopped())??;
        }
        Ok(())
    }

    fn begin(&self) -> Result<Open, Failure> {
        Ok(Open {
            id: PieceId::random(),
            size: 0,
            reservation: self.space.reserve().ok_or(Failure::Quota)?,
            digests: Digests::new(&self.piece_digests, self.trim),
            bytes: Unwritten::Nothing,
        })
    }

    async fn add(&mut self, block: Bytes) -> Result<(), Failure> {
        let length = block.len() as u64;
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if !open.reservation.grow(length) {
            return Err(Failure::Quota);
        }
        open.size += length;
        self.size += length;
        let shared = &self.space.shared;
        let piece_digests = std::mem::take(&mut open.digests);
        let body_digests = std::mem::take(&mut self.body);
        let (of_piece, of_body, written) = tokio::join!(
            shared.hash(piece_digests, block.clone()),
            shared.hash(body_digests, block.clone()),
            open.bytes.add(&self.space, open.id, block),
        );
        written?;
        open.digests = of_piece?;
        self.body = of_body?;
        if open.size == self.piece_size {
            self.end_piece().await?;
        }
        Ok(())
    }

    /// Lets the open piece be synced in the background.
    async fn end_piece(&mut self) -> Result<(), Failure> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let Open { id, size, reservation, digests, bytes } = open;
        // From here on it is removed with the rest, whether or not it ever comes to be.
        self.held.insert(id, Staged { size, reservation });
        self.pieces.push(Piece { id, size, digests: digests.finish() });
        let space = self.space.clone();
        self.syncing.spawn(async move {
            match bytes {
                Unwritten::Nothing => space.put(id, Bytes::new()).await,
                Unwritten::First(block) => space.put(id, block).await,
                Unwritten::Parts(upload) => space.complete(id, upload).await,
            }
        });
        while self.syncing.len() >= SYNCING {
            let Some(synced) = self.syncing.join_next().await else {
                break;
            };
            synced.map_err(|_| StorageError::stopped())??;
        }
        Ok(())
    }

    /// Waits for what is under way, since it cannot be called back, so that the drop of `held`
    /// afterwards finds it; and gives up the piece that was not ended.
    async fn abandon(&mut self) {
        while self.syncing.join_next().await.is_some() {}
        if let Some(Open { bytes: Unwritten::Parts(mut upload), .. }) = self.open.take()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(%error, "an unfinished piece was not removed; the next start tries again");
        }
    }
}

impl Unwritten {
    async fn add(&mut self, space: &Space, id: PieceId, block: Bytes) -> Result<(), StorageError> {
        if let Self::Nothing = self {
            *self = Self::First(block);
            return Ok(());
        }
        if let Self::First(first) = self {
            let first = std::mem::take(first);
            *self = Self::Parts(space.begin(id).await?);
            self.part(first).await?;
        }
        self.part(block).await
    }

    async fn part(&mut self, block: Bytes) -> Result<(), StorageError> {
        let Self::Parts(upload) = self else {
            return Ok(());
        };
        let part = upload.put_part(PutPayload::from(block));
        part.await.map_err(|error| StorageError::new("write a piece", error))
    }
}
