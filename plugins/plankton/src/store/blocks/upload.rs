//! A list of blocks on its way to becoming an object's content.
//!
//! Owns the order of writes: a key for the collector, the list, the blocks with their references,
//! and last the object's record, whose commit takes the collector's key away. Invariant: whoever
//! refers to a block checks in the same commit that the block's record is as it was read, so no
//! block is dropped under a reference, however slow the writer.

use std::collections::BTreeMap;

use plugbay_sdk::Received;

use super::{CHUNK, Garbage, INLINE, Record, gone, reading};
use crate::{
    faults::{Fault, Kind},
    merkle::{self, EMPTY, Hash, hex},
    object::{Block, Blocks, Content},
    store::{
        db::{self, Batch, COMMIT, Stop},
        keys,
    },
    time::Moment,
};

/// Checks and ops that one new block takes: absent, record, blob, reference.
const PER_BLOCK: usize = 4;

/// Where the bytes of a block are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Source {
    /// In a piece of this request, of so many bytes.
    Piece(String, u32),
    /// In the block's blob, of so many bytes.
    Kept(u32),
}

/// What was written before the object itself.
#[derive(Debug)]
struct Ahead {
    /// The collector's key.
    pending: String,
    /// Its version.
    version: u64,
}

/// Blocks on their way to becoming an object's content.
#[derive(Debug)]
pub struct Upload {
    map: String,
    size: u64,
    md5: Option<String>,
    /// Hash of each block, in order.
    order: Vec<Hash>,
    /// Where each distinct block is that is not all NUL.
    sources: BTreeMap<Hash, Source>,
    ahead: Option<Ahead>,
}

impl Upload {
    /// Take what the host received: pieces of the block size with the block hash as their digest,
    /// and the MD5 of the whole.
    pub fn new(received: Received) -> Result<Upload, Fault> {
        let md5 = hex(received.digests.first().ok_or_else(|| lacking("body digest"))?);
        let size = received.size;
        Upload::of(size, Some(md5), pieces(received)?)
    }

    /// From blocks in order.
    pub(in crate::store) fn of(size: u64, md5: Option<String>, blocks: Vec<(Hash, Source)>) -> Result<Upload, Fault> {
        let mut upload = Upload {
            map: db::random_hex(16)?,
            size,
            md5,
            order: Vec::with_capacity(blocks.len().max(1)),
            sources: BTreeMap::new(),
            ahead: None,
        };
        for (hash, source) in blocks {
            upload.order.push(hash);
            if hash != EMPTY {
                upload.sources.entry(hash).or_insert(source);
            }
        }
        if upload.order.is_empty() {
            upload.order.push(EMPTY);
        }
        Ok(upload)
    }

    /// From hashes of blocks that have to be there already; those that are not, if any.
    pub fn of_hashes(size: u64, hashes: Vec<Hash>) -> Result<Result<Upload, Vec<Hash>>, Fault> {
        let (kept, missing) = super::find(&hashes)?;
        if !missing.is_empty() {
            return Ok(Err(missing));
        }
        let block = |hash: &Hash| Block { hash: *hash, kept: kept.get(hash).copied().unwrap_or(0) };
        let md5 = if hashes.len() <= INLINE {
            let blocks: Vec<Block> = hashes.iter().map(block).collect();
            super::md5(&blocks, size, |_, block| keys::blob(&hex(&block.hash)))?
        } else {
            None
        };
        let source = |hash: Hash| (hash, Source::Kept(kept.get(&hash).copied().unwrap_or(0)));
        Ok(Ok(Upload::of(size, md5, hashes.into_iter().map(source).collect())?))
    }

    /// The blocks of content that is there, for another map.
    pub(super) fn of_content(content: &Content) -> Result<Upload, Fault> {
        let blocks = reading::blocks(content)?.into_iter().map(|block| (block.hash, Source::Kept(block.kept)));
        Upload::of(content.size, content.md5.clone(), blocks.collect())
    }

    /// MD5 of the whole, hexadecimal; empty if it is not known.
    pub fn md5(&self) -> &str {
        self.md5.as_deref().unwrap_or_default()
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Hash of each block, in order, hexadecimal.
    pub fn hashes(&self) -> Vec<String> {
        self.order.iter().map(|hash| hex(hash)).collect()
    }

    /// Write the blocks of a large upload, in several commits, before the object itself. A small
    /// one is written with the object, all at once.
    ///
    /// A crash on the way leaves a key by which the collector finds what was written.
    pub fn write_ahead(&mut self) -> Result<(), Fault> {
        if self.order.len() > INLINE && self.ahead.is_none() {
            self.ahead = Some(self.write()?);
        }
        Ok(())
    }

    /// Write the blocks for no object: they wait for one that uses them, until the collector comes.
    pub fn write_alone(self) -> Result<(), Fault> {
        if self.sources.is_empty() {
            return Ok(());
        }
        if self.order.len() > INLINE {
            self.write()?;
            return Ok(());
        }
        db::attempt(|| {
            let mut batch = Batch::default();
            self.add(&self.distinct(), &mut batch)?;
            let garbage = Garbage { upload: Some(self.map.clone()), blocks: Some(self.hashes()), ..Garbage::default() };
            batch.put_json(keys::garbage(Moment::now(), &self.map), &garbage)?;
            batch.commit()?;
            Ok(())
        })
    }

    fn write(&self) -> Result<Ahead, Fault> {
        let pending = keys::garbage(Moment::now(), &self.map);
        let garbage = Garbage { upload: Some(self.map.clone()), ..Garbage::default() };
        let version = db::attempt(|| {
            let mut batch = Batch::default();
            batch.put_json(&pending, &garbage)?;
            batch.commit()
        })?;
        // The list goes before the blocks, for the collector to find them by. What it says of their
        // sizes may turn out wrong: someone else may have written the same block a little longer.
        let expected = |source: &Source| match source {
            Source::Piece(_, size) | Source::Kept(size) => *size,
        };
        let expected: BTreeMap<Hash, u32> = self.sources.iter().map(|(hash, of)| (*hash, expected(of))).collect();
        self.write_chunks(&expected, None)?;
        let mut kept = BTreeMap::new();
        let distinct = self.distinct();
        let mut rest = distinct.as_slice();
        while !rest.is_empty() {
            let (some, taken) = db::attempt(|| {
                let mut batch = Batch::default();
                let some = self.add(rest, &mut batch)?;
                let taken = some.len();
                batch.commit()?;
                Ok((some, taken))
            })?;
            kept.extend(some);
            rest = rest.get(taken..).unwrap_or_default();
        }
        self.write_chunks(&kept, Some(&expected))?;
        Ok(Ahead { pending, version })
    }

    /// Write the list; with `before`, only the chunks that are not the same with it.
    fn write_chunks(&self, kept: &BTreeMap<Hash, u32>, before: Option<&BTreeMap<Hash, u32>>) -> Result<(), Fault> {
        for (index, hashes) in self.order.chunks(CHUNK).enumerate() {
            let differs = |hash: &Hash| before.is_none_or(|before| before.get(hash) != kept.get(hash));
            if !hashes.iter().any(differs) {
                continue;
            }
            let mut packed = Vec::with_capacity(hashes.len() * Block::PACKED);
            for hash in hashes {
                Block { hash: *hash, kept: kept.get(hash).copied().unwrap_or(0) }.pack(&mut packed);
            }
            db::attempt(|| {
                let mut batch = Batch::default();
                batch.put(keys::chunk(&self.map, index), packed.clone());
                batch.commit()
            })?;
        }
        Ok(())
    }

    /// The content, with all that the batch needs so that the object can be committed with it.
    pub fn content(&self, batch: &mut Batch) -> Result<Content, Stop> {
        let blocks = match &self.ahead {
            Some(Ahead { pending, version }) => {
                // Only if the collector has not begun to take the blocks for left behind.
                if db::get(pending)?.is_none_or(|kept| kept.version != *version) {
                    return Err(Stop::Fault(Fault::new(Kind::Unavailable, "The upload took too long; try again")));
                }
                batch.unchanged(pending, Some(*version));
                batch.delete(pending.as_str());
                Blocks::Mapped(self.order.len() as u64)
            }
            None => {
                let kept = self.add(&self.distinct(), batch)?;
                let block = |hash: &Hash| Block { hash: *hash, kept: kept.get(hash).copied().unwrap_or(0) };
                Blocks::Inline(self.order.iter().map(block).collect())
            }
        };
        Ok(Content {
            size: self.size,
            root: hex(&merkle::root(&self.order)),
            md5: self.md5.clone(),
            map: self.map.clone(),
            blocks,
        })
    }

    fn distinct(&self) -> Vec<Hash> {
        self.sources.keys().copied().collect()
    }

    /// Make sure of as many of these blocks as the batch takes, at least of the first [`INLINE`], and
    /// refer to each. How many bytes are kept of each.
    fn add(&self, hashes: &[Hash], batch: &mut Batch) -> Result<BTreeMap<Hash, u32>, Stop> {
        let mut kept = BTreeMap::new();
        for hash in hashes {
            let Some(source) = self.sources.get(hash) else {
                continue;
            };
            if batch.size() + PER_BLOCK > COMMIT {
                break;
            }
            let text = hex(hash);
            let key = keys::block(&text);
            let bytes = match (db::get_json::<Record>(&key)?, source) {
                (Some(there), _) => {
                    batch.unchanged(&key, Some(there.version));
                    if there.value.doomed.is_some() {
                        batch.put_json(&key, &Record { doomed: None, ..there.value })?;
                    }
                    there.value.kept
                }
                (None, Source::Piece(piece, size)) => {
                    batch.unchanged(&key, None);
                    batch.attach(keys::blob(&text), piece);
                    batch.put_json(&key, &Record { kept: *size, doomed: None })?;
                    *size
                }
                (None, Source::Kept(_)) => return Err(Stop::Fault(gone())),
            };
            batch.put(keys::reference(&text, &self.map), []);
            kept.insert(*hash, bytes);
        }
        Ok(kept)
    }
}

/// The pieces of a body as blocks: each with its digest as its hash.
pub(super) fn pieces(received: Received) -> Result<Vec<(Hash, Source)>, Fault> {
    let block = |piece: plugbay_sdk::Piece| {
        let digest = piece.digests.first().and_then(|digest| digest.as_slice().try_into().ok());
        let hash: Hash = digest.ok_or_else(|| lacking("piece digest"))?;
        let size = u32::try_from(piece.size).map_err(|_| lacking("piece size"))?;
        Ok((hash, Source::Piece(piece.id, size)))
    };
    received.pieces.into_iter().map(block).collect()
}

fn lacking(what: &str) -> Fault {
    plugbay_sdk::error!("the host received a body without the {what} asked for");
    Fault::new(Kind::Internal, "The store failed")
}
