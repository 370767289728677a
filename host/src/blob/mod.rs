//! Bytes of blobs: pieces on an object store, staged, made permanent, read, removed and swept.
//!
//! A *piece* is one immutable object, `pieces/<plugin>/<2 hex digits>/<id>`. This module owns the
//! objects, their digests, who is reading them and how many bytes of them are not permanent yet.
//! It knows no names: which piece is attached to which blob is kept in the store by the caller, and
//! **the store's commit is the truth**.
//!
//! # The life of a piece
//!
//! 1. [`Staging`] belongs to one request or job. Pieces made through it are staged: dropped with it.
//! 2. [`Staging::attach`] takes pieces out of it while a commit that names them is under way, so
//!    that the end of the request cannot remove what the commit is making permanent.
//! 3. The commit decides. Written: [`Attaching::keep`]. Refused: [`Attaching::give_back`].
//!    Not known (the host was stopped between, or the store failed half-way): drop it, the object
//!    stays and the sweep of the next start asks the store.
//! 4. [`Space::remove`] after a commit that dropped a blob. Readers that are open go on reading; the
//!    object goes with the last of them.
//!
//! Whatever happens in between, kill -9 included, an object is either attached, or known to this
//! process as staged, or older than the process and not attached, and then [`Blobs::sweep`]
//! removes it. The age is compared on the object store's own clock: each start writes the object
//! `started`, and only what was last modified before it can be swept.
//!
//! # How pieces are written
//!
//! The local file system of `object_store` writes to `<path>#1`, syncs the file, renames it and
//! syncs the folder (and every folder it had to make); this module switches the syncing on. A
//! `put` does all that in one go on one blocking thread, but wants the whole piece in memory. A
//! multipart upload does the same with the file open between the parts. So a piece that ends within
//! its first block of 128 KiB is one `put`, and a longer one is a multipart upload that gets each
//! block as it fills: what an upload costs in memory does not depend on its size or its piece size,
//! and a thousand slow uploads of 4 MiB pieces do not cost 4 GiB. A remote store, which wants parts
//! of 5 MiB and more, will need a larger block.
//!
//! Invariants: nothing here waits for a client while it holds a lock, a thread or a permit. Bytes
//! in memory are bounded per upload and per reader, bytes on disk that are not permanent per
//! plugin. A piece that was returned is on disk, its folder entry included.

mod budget;
mod digest;
mod error;
mod local;
mod piece;
mod pins;
mod read;
mod space;
mod stage;
mod staging;
mod sweep;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use futures_util::{StreamExt, stream};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, limit::LimitStore, local::LocalFileSystem, path::Path};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::task::TaskTracker;

pub use digest::{Algorithm, Hasher};
pub use error::{InvalidOwner, OpenError, ReadError, StageError, StorageError, SweepError};
pub use piece::{InvalidPieceId, MAX_PIECES, MIN_PIECE_SIZE, Piece, PieceId, PieceRange, Plan, Received};
pub use read::{MAX_READ, Pinned, Reader};
pub use space::Space;
pub use staging::{Attaching, NotStaged, Staging};
pub use sweep::Swept;

/// Requests to the object store that read, at most, at once.
const READS: usize = 64;
/// Requests to the object store that write, at most, at once. Apart from the reads, so that nobody
/// waits for another's fsync in order to read.
const WRITES: usize = 32;
/// Batches of objects removed at once; each removes up to ten objects at a time.
const REMOVALS: usize = 2;
/// Work of hashing, in bytes times digests, that is done where it comes up.
const INLINE_HASHING: u64 = 16 * 1024;

/// The blob store of this process. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Blobs {
    shared: Arc<Shared>,
}

/// What all spaces, readers and background tasks share.
#[derive(Debug)]
struct Shared {
    reads: LimitStore<LocalFileSystem>,
    writes: Arc<LimitStore<LocalFileSystem>>,
    removals: Semaphore,
    /// One permit a core: hashing must not fill the blocking threads that others need.
    hashing: Semaphore,
    pins: pins::Pins,
    /// Writing and removing that goes on after its caller is gone. Always closed, so that waiting
    /// ends whenever it is empty.
    tasks: TaskTracker,
    runtime: Handle,
    /// The folder behind the store.
    root: PathBuf,
    /// When this process opened the store, by the store's clock.
    started: SystemTime,
    /// Held as long as the store is open.
    _lock: std::fs::File,
}

impl Blobs {
    /// Opens the store at `file:PATH`, made if it is missing (mode 0700), and holds a lock on it:
    /// one process at a time, because each sweeps what it does not know.
    ///
    /// Has to be called within a tokio runtime, on which removing goes on in the background.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let path = local::path_of(url)?;
        let (root, lock) =
            tokio::task::spawn_blocking(move || local::prepare(&path)).await.map_err(|_| OpenError::Stopped)??;
        let store_failed = |source| OpenError::Store { root: root.clone(), source };
        let files = LocalFileSystem::new_with_prefix(&root).map_err(store_failed)?.with_fsync(true);
        let marker = Path::from("started");
        files.put(&marker, PutPayload::new()).await.map_err(store_failed)?;
        let started = files.head(&marker).await.map_err(store_failed)?.last_modified.into();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let tasks = TaskTracker::new();
        tasks.close();
        let shared = Shared {
            reads: LimitStore::new(files.clone(), READS),
            writes: Arc::new(LimitStore::new(files, WRITES)),
            removals: Semaphore::new(REMOVALS),
            hashing: Semaphore::new(cores),
            pins: pins::Pins::default(),
            tasks,
            runtime: Handle::current(),
            root,
            started,
            _lock: lock,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The pieces of one plugin. `staged_limit` bounds the bytes that its requests and jobs hold in
    /// pieces that are not permanent; a piece counts its size and 4 KiB. The bound belongs to the
    /// space and its clones: take one space for each plugin identity and keep it across versions.
    pub fn space(&self, owner: &str, staged_limit: u64) -> Result<Space, InvalidOwner> {
        Space::new(self.shared.clone(), owner, staged_limit)
    }

    /// Waits until no piece is being written or removed in the background. For an orderly stop.
    pub async fn settle(&self) {
        self.shared.tasks.wait().await;
    }
}

impl Shared {
    /// Adds a block to a set of digests, on a blocking thread if it is worth the way there.
    async fn hash(&self, mut digests: digest::Digests, block: bytes::Bytes) -> Result<digest::Digests, StorageError> {
        if digests.cost(block.len()) <= INLINE_HASHING {
            digests.update(&block);
            return Ok(digests);
        }
        let _permit = self.hashing.acquire().await.map_err(|_| StorageError::stopped())?;
        tokio::task::spawn_blocking(move || {
            digests.update(&block);
            digests
        })
        .await
        .map_err(|_| StorageError::stopped())
    }

    /// Removes the objects of these pieces, and counts those that it could not remove. They are no
    /// longer attached: the sweep of the next start finds them again.
    async fn erase(&self, owner: &str, doomed: Vec<pins::Doomed>) -> usize {
        let Ok(_permit) = self.removals.acquire().await else {
            return doomed.len();
        };
        let paths: Vec<_> = doomed.iter().map(|piece| Ok(piece.id.path(owner))).collect();
        let mut removed = self.writes.delete_stream(stream::iter(paths).boxed());
        let mut doomed = doomed.into_iter();
        let mut failed = 0;
        while let Some(result) = removed.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    failed += 1;
                    tracing::warn!(owner, %error, "a piece was not removed; the next start tries again");
                }
            }
            // Gives back the room it took of the plugin's bound.
            drop(doomed.next());
        }
        failed
    }
}
