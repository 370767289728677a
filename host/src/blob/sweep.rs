//! Removing what an earlier process left: pieces that are not attached, and temporary files.

use std::{collections::HashSet, time::SystemTime};

use futures_util::StreamExt;
use object_store::{ObjectStore, path::Path};

use super::{
    Blobs,
    error::{StorageError, SweepError},
    local,
    piece::PieceId,
    pins::Doomed,
};

/// Pieces asked about at once. Each time costs the caller a look at all names of an owner, and some megabytes here.
const BATCH: usize = if cfg!(test) { 256 } else { 256 * 1024 };

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Pieces and temporary files removed. A piece that was being read goes later.
    pub removed: usize,
    /// Pieces of earlier processes that are attached.
    pub attached: usize,
    /// Objects that are no pieces. They are left alone.
    pub foreign: usize,
    /// Pieces that should have been removed and were not.
    pub failed: usize,
}

impl Blobs {
    /// Removes every piece that is older than this process and not attached. May run while
    /// requests are served.
    ///
    /// `attached` is asked about some ids of one owner at a time and returns those that the store
    /// knows; an error ends the sweep, and nothing it was asked about is removed. Plugins that are
    /// not loaded are asked about too: their pieces are theirs as long as the store says so.
    pub async fn sweep<F, A, E>(&self, mut attached: F) -> Result<Swept, SweepError<E>>
    where
        F: FnMut(String, Vec<PieceId>) -> A,
        A: Future<Output = Result<HashSet<PieceId>, E>>,
    {
        let mut swept = Swept::default();
        let mut objects = self.shared.reads.list(Some(&Path::from("pieces")));
        let mut owner = String::new();
        let mut batch = Vec::new();
        while let Some(object) = objects.next().await {
            let object = object.map_err(|error| StorageError::new("list its pieces", error))?;
            if SystemTime::from(object.last_modified) >= self.shared.started {
                continue;
            }
            let Some((of, id)) = PieceId::of_path(&object.location) else {
                swept.foreign += 1;
                continue;
            };
            if of != owner || batch.len() == BATCH {
                self.judge(&owner, std::mem::take(&mut batch), &mut attached, &mut swept).await?;
                of.clone_into(&mut owner);
            }
            batch.push(id);
        }
        self.judge(&owner, batch, &mut attached, &mut swept).await?;
        let (root, started) = (self.shared.root.clone(), self.shared.started);
        swept.removed += tokio::task::spawn_blocking(move || local::sweep_temporary(&root, started))
            .await
            .map_err(|_| StorageError::stopped())?
            .map_err(|error| StorageError::new("remove temporary files", error))?;
        Ok(swept)
    }

    async fn judge<F, A, E>(
        &self,
        owner: &str,
        batch: Vec<PieceId>,
        attached: &mut F,
        swept: &mut Swept,
    ) -> Result<(), SweepError<E>>
    where
        F: FnMut(String, Vec<PieceId>) -> A,
        A: Future<Output = Result<HashSet<PieceId>, E>>,
    {
        if batch.is_empty() {
            return Ok(());
        }
        let kept = attached(owner.to_owned(), batch.clone()).await.map_err(SweepError::Unknown)?;
        let orphans: Vec<_> = batch.iter().copied().filter(|id| !kept.contains(id)).collect();
        swept.attached += batch.len() - orphans.len();
        swept.removed += orphans.len();
        let free = self.shared.pins.doom(orphans.into_iter().map(Doomed::from));
        if !free.is_empty() {
            let failed = self.shared.erase(owner, free).await;
            swept.failed += failed;
            swept.removed -= failed;
        }
        Ok(())
    }
}
