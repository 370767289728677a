//! Blocks: content-addressed blobs, shared between objects and versions.
//!
//! Owns how a received body becomes blocks and how a stretch of an object becomes segments. Bytes
//! never enter the plugin. Invariant: an object's record is committed with or after all its blocks,
//! and each of them carries a reference of the record's map by then.

use std::collections::BTreeMap;

use plugbay_sdk::{BlobRange, Received, Segment};
use serde::{Deserialize, Serialize};

use super::{
    db::{self, Batch},
    keys,
};
use crate::{
    conditions::Stretch,
    faults::{Fault, Kind},
    merkle::{self, BLOCK_SIZE, EMPTY, Hash, hex},
    object::{Block, Blocks, Content},
    time::Moment,
};

/// Most blocks that stay in an object's own record, and most that are written in its commit.
const INLINE: usize = 16;

/// Blocks in one chunk of a longer list; a chunk has to fit into a value.
const CHUNK: usize = 7_168;

/// Checks and ops that one new block takes: absent, record, blob, reference.
const PER_BLOCK: usize = 4;

/// What is kept of a block beside its bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// Bytes of the blob.
    kept: u32,
    /// Since when the collector wants to drop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doomed: Option<Moment>,
}

/// A received body on its way to becoming an object's content.
#[derive(Debug)]
pub struct Upload {
    map: String,
    size: u64,
    md5: String,
    /// Hash of each block, in order.
    order: Vec<Hash>,
    /// Piece and size of each distinct block that is not all NUL.
    pieces: BTreeMap<Hash, (String, u32)>,
    /// The blocks, once they are written ahead of the object, and the key to remove with it.
    ahead: Option<(BTreeMap<Hash, u32>, String)>,
}

impl Upload {
    /// Take what the host received: pieces of the block size with the block hash as their digest,
    /// and the MD5 of the whole.
    pub fn new(received: Received) -> Result<Upload, Fault> {
        let mut upload = Upload {
            map: db::random_hex(16)?,
            size: received.size,
            md5: hex(received.digests.first().ok_or_else(|| lacking("body digest"))?),
            order: Vec::with_capacity(received.pieces.len()),
            pieces: BTreeMap::new(),
            ahead: None,
        };
        for piece in received.pieces {
            let hash: Hash = piece
                .digests
                .first()
                .and_then(|digest| digest.as_slice().try_into().ok())
                .ok_or_else(|| lacking("piece digest"))?;
            upload.order.push(hash);
            if hash != EMPTY {
                let size = u32::try_from(piece.size).map_err(|_| lacking("piece size"))?;
                upload.pieces.entry(hash).or_insert((piece.id, size));
            }
        }
        if upload.order.is_empty() {
            upload.order.push(EMPTY);
        }
        Ok(upload)
    }

    /// MD5 of the whole, hexadecimal.
    pub fn md5(&self) -> &str {
        &self.md5
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Write the blocks of a large upload, in several commits, before the object itself. A small
    /// one is written with the object, all at once.
    ///
    /// A crash on the way leaves a key by which a collector finds what was written.
    pub fn write_ahead(&mut self) -> Result<(), Fault> {
        if self.order.len() <= INLINE || self.ahead.is_some() {
            return Ok(());
        }
        let pending = keys::garbage(Moment::now(), &self.map);
        db::attempt(|| {
            let mut batch = Batch::default();
            batch.put_json(&pending, &serde_json::json!({ "upload": self.map }))?;
            batch.commit()?;
            Ok(())
        })?;
        let mut kept = BTreeMap::new();
        let hashes: Vec<Hash> = self.pieces.keys().copied().collect();
        for hashes in hashes.chunks(db::COMMIT / PER_BLOCK) {
            kept.extend(db::attempt(|| {
                let mut batch = Batch::default();
                let kept = self.add(hashes, &mut batch)?;
                batch.commit()?;
                Ok(kept)
            })?);
        }
        let blocks = self.blocks(&kept);
        for (index, blocks) in blocks.chunks(CHUNK).enumerate() {
            let mut packed = Vec::with_capacity(blocks.len() * Block::PACKED);
            for block in blocks {
                block.pack(&mut packed);
            }
            db::attempt(|| {
                let mut batch = Batch::default();
                batch.put(keys::chunk(&self.map, index), packed.clone());
                batch.commit()?;
                Ok(())
            })?;
        }
        self.ahead = Some((kept, pending));
        Ok(())
    }

    /// The content, with all that the batch needs so that the object can be committed with it.
    pub fn content(&self, batch: &mut Batch) -> Result<Content, Fault> {
        let blocks = match &self.ahead {
            Some((_, pending)) => {
                batch.delete(pending.as_str());
                Blocks::Mapped(self.order.len() as u64)
            }
            None => {
                let hashes: Vec<Hash> = self.pieces.keys().copied().collect();
                let kept = self.add(&hashes, batch)?;
                Blocks::Inline(self.blocks(&kept))
            }
        };
        Ok(Content {
            size: self.size,
            root: hex(&merkle::root(&self.order)),
            md5: Some(self.md5.clone()),
            map: self.map.clone(),
            blocks,
        })
    }

    /// Make sure of these blocks in a batch, and refer to each. How many bytes are kept of each.
    fn add(&self, hashes: &[Hash], batch: &mut Batch) -> Result<BTreeMap<Hash, u32>, Fault> {
        let mut kept = BTreeMap::new();
        for hash in hashes {
            let Some((piece, size)) = self.pieces.get(hash) else {
                continue;
            };
            let text = hex(hash);
            let key = keys::block(&text);
            let there = db::get_json::<Record>(&key)?;
            let bytes = match there {
                Some(there) if there.value.doomed.is_none() => there.value.kept,
                Some(there) => {
                    batch.unchanged(&key, Some(there.version));
                    let record = Record { doomed: None, ..there.value };
                    batch.put_json(&key, &record)?;
                    record.kept
                }
                None => {
                    batch.unchanged(&key, None);
                    batch.attach(keys::blob(&text), piece);
                    let record = Record { kept: *size, doomed: None };
                    batch.put_json(&key, &record)?;
                    record.kept
                }
            };
            batch.put(keys::reference(&text, &self.map), []);
            kept.insert(*hash, bytes);
        }
        Ok(kept)
    }

    fn blocks(&self, kept: &BTreeMap<Hash, u32>) -> Vec<Block> {
        self.order.iter().map(|hash| Block { hash: *hash, kept: kept.get(hash).copied().unwrap_or(0) }).collect()
    }
}

fn lacking(what: &str) -> Fault {
    plugbay_sdk::error!("the host received a body without the {what} asked for");
    Fault::new(Kind::Internal, "The store failed")
}

/// One stretch of an object as segments for the host to send.
pub fn segments(content: &Content, stretch: Stretch) -> Result<Vec<Segment>, Fault> {
    let end = stretch.offset + stretch.length;
    let mut reader = Reader { content, chunk: None };
    let mut segments = Vec::new();
    let mut at = stretch.offset;
    while at < end {
        let index = at / BLOCK_SIZE;
        let start = index * BLOCK_SIZE;
        let stop = end.min(start + BLOCK_SIZE);
        let block = reader.block(index)?;
        // Bytes of the stretch that are in the blob; the rest of the block is NUL.
        let kept = (start + u64::from(block.kept)).min(stop).max(at);
        if kept > at {
            segments.push(Segment::Blob(BlobRange {
                name: keys::blob(&hex(&block.hash)),
                offset: at - start,
                length: Some(kept - at),
            }));
        }
        if stop > kept {
            match segments.last_mut() {
                Some(Segment::Zeros(zeros)) => *zeros += stop - kept,
                _ => segments.push(Segment::Zeros(stop - kept)),
            }
        }
        at = stop;
    }
    Ok(segments)
}

/// Finds blocks by index, reading each chunk of a longer list once.
struct Reader<'a> {
    content: &'a Content,
    chunk: Option<(usize, Vec<u8>)>,
}

impl Reader<'_> {
    fn block(&mut self, index: u64) -> Result<Block, Fault> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let found = match &self.content.blocks {
            Blocks::Inline(blocks) => blocks.get(index).copied(),
            Blocks::Mapped(_) => {
                let wanted = index / CHUNK;
                let packed = match &mut self.chunk {
                    Some((there, packed)) if *there == wanted => packed,
                    chunk => {
                        let key = keys::chunk(&self.content.map, wanted);
                        let packed = db::get(&key)?.map(|kept| kept.value).unwrap_or_default();
                        &mut chunk.insert((wanted, packed)).1
                    }
                };
                packed.chunks_exact(Block::PACKED).nth(index % CHUNK).and_then(Block::unpack)
            }
        };
        found.ok_or_else(|| {
            plugbay_sdk::error!("block {index} of map `{}` is not listed", self.content.map);
            Fault::new(Kind::Internal, "The store failed")
        })
    }
}

/// Have the collector look at content that a version no longer uses.
pub fn discard(content: &Content, head: &str, history: &str, batch: &mut Batch) -> Result<(), Fault> {
    let mut value = serde_json::json!({ "head": head, "history": history });
    if let (Blocks::Inline(blocks), Some(value)) = (&content.blocks, value.as_object_mut()) {
        let hashes = blocks.iter().map(|block| hex(&block.hash));
        value.insert("blocks".to_owned(), hashes.collect::<serde_json::Value>());
    }
    batch.put_json(keys::garbage(Moment::now(), &content.map), &value)
}

/// The same content for another object: a map of its own that refers to the same blocks.
///
/// A long list is written ahead of the batch; should the batch not be committed, a collector finds
/// what was written by the key that the batch deletes.
pub fn share(content: &Content, batch: &mut Batch) -> Result<Content, Fault> {
    let map = db::random_hex(16)?;
    let refer = |block: &Block, batch: &mut Batch| {
        if block.hash != EMPTY {
            batch.put(keys::reference(&hex(&block.hash), &map), []);
        }
    };
    match &content.blocks {
        Blocks::Inline(blocks) => {
            let distinct: BTreeMap<Hash, &Block> = blocks.iter().map(|b| (b.hash, b)).collect();
            for block in distinct.into_values() {
                refer(block, batch);
            }
        }
        Blocks::Mapped(count) => {
            let pending = keys::garbage(Moment::now(), &map);
            let ahead = |fill: &dyn Fn(&mut Batch) -> Result<(), Fault>| {
                db::attempt(|| {
                    let mut batch = Batch::default();
                    fill(&mut batch)?;
                    batch.commit()?;
                    Ok(())
                })
            };
            ahead(&|batch| batch.put_json(&pending, &serde_json::json!({ "upload": map })))?;
            let chunks = usize::try_from(*count).unwrap_or(usize::MAX).div_ceil(CHUNK);
            for index in 0..chunks {
                let packed = db::get(&keys::chunk(&content.map, index))?.map(|kept| kept.value).unwrap_or_default();
                let blocks: Vec<Block> = packed.chunks_exact(Block::PACKED).filter_map(Block::unpack).collect();
                for blocks in blocks.chunks(db::COMMIT) {
                    ahead(&|batch| {
                        let distinct: BTreeMap<Hash, &Block> = blocks.iter().map(|b| (b.hash, b)).collect();
                        for block in distinct.into_values() {
                            refer(block, batch);
                        }
                        Ok(())
                    })?;
                }
                ahead(&|batch| {
                    batch.put(keys::chunk(&map, index), packed.clone());
                    Ok(())
                })?;
            }
            batch.delete(pending);
        }
    }
    Ok(Content { map, ..content.clone() })
}
