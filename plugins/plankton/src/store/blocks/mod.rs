//! Blocks: content-addressed blobs, shared between objects and versions.
//!
//! Owns what is kept of a block, and the list of blocks that an object's content is. [`upload`] makes
//! a new list, [`reading`] sends from one, [`splice`] changes one in place. Bytes never enter the
//! plugin, save for a look at the end of a block that is made anew. Invariant: an object's record is
//! committed with or after all its blocks, and each of them carries a reference of the record's map
//! by then.

use std::collections::BTreeMap;

use plugbay_sdk::{BlobRange, DigestAlgorithm, blobs};
use serde::{Deserialize, Serialize};

use super::{
    db::{self, Batch},
    keys,
};
use crate::{
    faults::{Fault, Kind},
    merkle::{BLOCK_SIZE, EMPTY, Hash, hex, unhex},
    object::{Block, Blocks, Content},
    time::Moment,
};

pub mod reading;
pub mod splice;
pub mod upload;

pub use reading::segments;
pub use upload::Upload;

/// Most blocks that stay in an object's own record, and most that are written in its commit. Up to
/// as many, the MD5 of content that was not received as one body is worked out.
pub const INLINE: usize = 16;

/// Blocks in one chunk of a longer list; a chunk has to fit into a value.
pub(super) const CHUNK: usize = 7_168;

/// NUL bytes in a piece that stands for more of them.
const ZEROS: u64 = 1024 * 1024;

/// What is kept of a block beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Bytes of the blob.
    pub kept: u32,
    /// Since when the collector wants to drop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doomed: Option<Moment>,
}

/// Something the collector is to look at; its key ends in the name of a map. Every field says what
/// it is; those that do not apply are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Garbage {
    /// The map is that of an upload under way, or of blocks uploaded by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// The map was used by an object with its head here …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// … and its history here; one of them may still use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// The map's blocks, if they are not in chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<String>>,
    /// How many of the map's blocks are dealt with.
    #[serde(skip_serializing_if = "is_zero")]
    pub done: usize,
    /// Id of a container that was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Blocks that nothing used at the time of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doomed: Option<Vec<String>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The hashes among these that no block is kept of, each once, in order of first use.
pub fn missing(hashes: &[Hash]) -> Result<Vec<Hash>, Fault> {
    Ok(find(hashes)?.1)
}

/// How many bytes are kept of each of these blocks, and which are not there.
pub(super) fn find(hashes: &[Hash]) -> Result<(BTreeMap<Hash, u32>, Vec<Hash>), Fault> {
    let mut kept = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::from([EMPTY]);
    let mut missing = Vec::new();
    for hash in hashes.iter().filter(|hash| seen.insert(**hash)) {
        match db::get_json::<Record>(&keys::block(&hex(hash)))? {
            Some(record) => drop(kept.insert(*hash, record.value.kept)),
            None => missing.push(*hash),
        }
    }
    Ok((kept, missing))
}

/// The fault for a block that vanished under an object that was about to use it.
pub(super) fn gone() -> Fault {
    Fault::new(Kind::Conflict, "A block is no longer there; upload it again")
}

/// The fault for a failure of the blob store.
pub(super) fn blob_fault(error: &blobs::Error) -> Fault {
    if *error == blobs::Error::QuotaExceeded {
        return Fault::new(Kind::EntityTooLarge, "The space given to this service is used up");
    }
    plugbay_sdk::error!("blob store: {error:?}");
    Fault::new(Kind::Internal, "The store failed")
}

/// Ranges of blobs and pieces that stand for some bytes, NULs included.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    found: Vec<BlobRange>,
    zeros: Option<String>,
}

impl Ranges {
    /// Go on with bytes of this blob or piece.
    pub fn blob(&mut self, name: String, offset: u64, length: u64) {
        if length > 0 {
            self.found.push(BlobRange { name, offset, length: Some(length) });
        }
    }

    /// Go on with that many NULs.
    pub fn zeros(&mut self, length: u64) -> Result<(), Fault> {
        let mut left = length;
        while left > 0 {
            let name = match &self.zeros {
                Some(name) => name.clone(),
                None => {
                    let bytes = vec![0; usize::try_from(ZEROS).unwrap_or_default()];
                    let piece = blobs::write(&bytes, &[]).map_err(|error| blob_fault(&error))?;
                    self.zeros.insert(piece.id).clone()
                }
            };
            let some = left.min(ZEROS);
            self.found.push(BlobRange { name, offset: 0, length: Some(some) });
            left -= some;
        }
        Ok(())
    }

    /// Forget the ranges, keep the NULs at hand.
    pub fn clear(&mut self) {
        self.found.clear();
    }

    /// The ranges.
    pub fn found(&self) -> &[BlobRange] {
        &self.found
    }
}

/// The MD5 over that many bytes of blocks, hexadecimal, if they are few. `name` says under which
/// name the bytes of a block are to be had.
pub(super) fn md5(
    blocks: &[Block],
    size: u64,
    name: impl Fn(usize, &Block) -> String,
) -> Result<Option<String>, Fault> {
    if blocks.len() > INLINE {
        return Ok(None);
    }
    let mut ranges = Ranges::default();
    let mut left = size;
    for (index, block) in blocks.iter().enumerate() {
        let here = left.min(BLOCK_SIZE);
        let kept = here.min(u64::from(block.kept));
        ranges.blob(name(index, block), 0, kept);
        ranges.zeros(here - kept)?;
        left -= here;
    }
    let digest = if ranges.found().is_empty() {
        plugbay_sdk::crypto::digest(DigestAlgorithm::Md5, &[]).map_err(|error| {
            plugbay_sdk::error!("digest: {error:?}");
            Fault::new(Kind::Internal, "The store failed")
        })?
    } else {
        blobs::digest(ranges.found(), DigestAlgorithm::Md5).map_err(|error| blob_fault(&error))?
    };
    Ok(Some(hex(&digest)))
}

/// Have the collector look at content that a version no longer uses.
pub fn discard(content: &Content, head: &str, history: &str, batch: &mut Batch) -> Result<(), Fault> {
    let blocks = match &content.blocks {
        Blocks::Inline(blocks) => Some(blocks.iter().map(|block| hex(&block.hash)).collect()),
        Blocks::Mapped(_) => None,
    };
    let garbage =
        Garbage { head: Some(head.to_owned()), history: Some(history.to_owned()), blocks, ..Garbage::default() };
    batch.put_json(keys::garbage(Moment::now(), &content.map), &garbage)
}

/// The same content for another object: a map of its own that refers to the same blocks.
///
/// A long list is written ahead of the batch; should the batch not be committed, the collector finds
/// what was written by the key that the batch deletes.
pub fn share(content: &Content, batch: &mut Batch) -> Result<Content, db::Stop> {
    let mut upload = Upload::of_content(content)?;
    upload.write_ahead()?;
    upload.content(batch)
}

/// The hashes that read.
pub(super) fn hashes(texts: &[String]) -> Vec<Hash> {
    texts.iter().filter_map(|text| unhex(text)).collect()
}
