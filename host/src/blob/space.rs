//! The pieces of one plugin.

use std::sync::Arc;

use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::JoinHandle;

use super::{
    Shared,
    budget::{Budget, Reservation},
    error::{InvalidOwner, StorageError},
    local,
    piece::PieceId,
    pins::Doomed,
    staging::Staging,
};

/// The pieces of one plugin. Clones are the same space, with the same bound.
#[derive(Clone, Debug)]
pub struct Space {
    pub(super) shared: Arc<Shared>,
    owner: Arc<str>,
    budget: Arc<Budget>,
}

impl Space {
    pub(super) fn new(shared: Arc<Shared>, owner: &str, limit: u64) -> Result<Self, InvalidOwner> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = (1..=64).contains(&owner.len()) && !owner.starts_with('.');
        if !fits || !owner.bytes().all(plain) {
            return Err(InvalidOwner(owner.to_owned()));
        }
        Ok(Self { shared, owner: owner.into(), budget: Arc::new(Budget::new(limit)) })
    }

    /// A place for the pieces of one request or job.
    #[must_use]
    pub fn staging(&self) -> Staging {
        Staging::new(self.clone())
    }

    /// Bytes held by pieces that are not permanent, against the bound given to
    /// [`Blobs::space`](super::Blobs::space).
    #[must_use]
    pub fn staged_bytes(&self) -> u64 {
        self.budget.used()
    }

    /// Removes the pieces of dropped blobs, after the commit that dropped them. Begins at once and
    /// ends whether or not the handle is awaited; awaiting it keeps a caller from piling up
    /// removals. A piece that is being read goes with its last reader.
    pub fn remove(&self, ids: impl IntoIterator<Item = PieceId>) -> JoinHandle<()> {
        self.erase(ids.into_iter().map(Doomed::from))
    }

    /// Removes what nobody reads, in the background, and the rest when its last reader is gone.
    pub(super) fn erase(&self, pieces: impl IntoIterator<Item = Doomed>) -> JoinHandle<()> {
        let free = self.shared.pins.doom(pieces);
        self.erase_free(free)
    }

    fn erase_free(&self, free: Vec<Doomed>) -> JoinHandle<()> {
        let space = self.clone();
        let erase = async move {
            if !free.is_empty() {
                space.shared.erase(&space.owner, free).await;
            }
        };
        self.shared.tasks.spawn_on(erase, &self.shared.runtime)
    }

    /// Takes back pins, and removes what waited for them.
    pub(super) fn unpin(&self, ids: &[PieceId]) {
        let free = self.shared.pins.unpin(ids);
        if !free.is_empty() {
            self.erase_free(free);
        }
    }

    pub(super) fn reserve(&self) -> Option<Reservation> {
        Reservation::for_piece(&self.budget)
    }

    /// Some bytes of a piece, in one request to the store.
    pub(super) async fn fetch(
        &self,
        id: PieceId,
        range: std::ops::Range<u64>,
    ) -> Result<bytes::Bytes, super::ReadError> {
        let path = id.path(&self.owner);
        match self.shared.reads.get_ranges(&path, &[range]).await {
            Ok(mut bytes) => Ok(bytes.pop().unwrap_or_default()),
            Err(object_store::Error::NotFound { .. }) => Err(super::ReadError::NotFound(id)),
            Err(error) => Err(StorageError::new("read a piece", error).into()),
        }
    }

    /// Writes a whole piece and syncs it.
    pub(super) async fn put(&self, id: PieceId, bytes: bytes::Bytes) -> Result<(), StorageError> {
        let put = self.shared.writes.put(&id.path(&self.owner), PutPayload::from(bytes)).await;
        put.map(drop).map_err(|error| StorageError::new("write a piece", error))
    }

    /// Begins a piece that is written part by part.
    ///
    /// The local store makes and syncs folders right in this call, so it is taken off the async
    /// threads.
    pub(super) async fn begin(&self, id: PieceId) -> Result<Box<dyn MultipartUpload>, StorageError> {
        let path = id.path(&self.owner);
        let (store, runtime) = (self.shared.writes.clone(), self.shared.runtime.clone());
        let begin = move || runtime.block_on(store.put_multipart(&path));
        let begun = self.shared.tasks.spawn_blocking_on(begin, &self.shared.runtime).await;
        begun.map_err(|_| StorageError::stopped())?.map_err(|error| StorageError::new("begin a piece", error))
    }

    /// Ends a piece that was written part by part, and syncs it.
    pub(super) async fn complete(&self, id: PieceId, mut upload: Box<dyn MultipartUpload>) -> Result<(), StorageError> {
        let Err(error) = upload.complete().await else {
            return Ok(());
        };
        // The local store leaves its temporary file behind when completing fails.
        let path = id.path(&self.owner);
        let root = self.shared.root.clone();
        let remove = move || local::remove_temporary(&root, &path);
        let _ = self.shared.tasks.spawn_blocking_on(remove, &self.shared.runtime).await;
        Err(StorageError::new("write a piece", error))
    }
}
