//! The rules of this module, on a real folder.

mod life;
mod reading;
mod staging;
mod sweeping;

use std::{convert::Infallible, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tempfile::TempDir;

use super::{Blobs, Piece, PieceId, PieceRange, Space};

/// A store in a folder of its own, and the space of one plugin in it.
struct Fixture {
    folder: TempDir,
    blobs: Blobs,
    space: Space,
}

impl Fixture {
    async fn new() -> Self {
        Self::limited(u64::MAX).await
    }

    async fn limited(staged: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let blobs = open(&folder).await;
        let space = blobs.space("plugin", staged).unwrap();
        Self { folder, blobs, space }
    }

    /// Every file below `pieces`, temporary ones included, once the background is quiet.
    async fn files(&self) -> Vec<PathBuf> {
        self.blobs.settle().await;
        self.files_now()
    }

    fn files_now(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().join("pieces")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { &mut folders } else { &mut files }.push(path);
            }
        }
        files
    }

    /// Waits, at most ten seconds, until no file is left and nothing counts as staged.
    async fn until_empty(&self) {
        let empty = async {
            while !self.files().await.is_empty() || self.space.staged_bytes() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), empty).await.expect("something stays");
    }

    fn path(&self, id: PieceId) -> PathBuf {
        self.folder.path().join(id.path("plugin").as_ref())
    }
}

async fn open(folder: &TempDir) -> Blobs {
    Blobs::open(&format!("file:{}", folder.path().display())).await.unwrap()
}

/// A body that arrives in these chunks.
fn body(chunks: Vec<Vec<u8>>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::iter(chunks.into_iter().map(|chunk| Ok(chunk.into())))
}

/// Bytes that do not repeat soon.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn whole(piece: &Piece) -> PieceRange {
    PieceRange { id: piece.id, offset: 0, length: piece.size }
}
