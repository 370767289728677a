//! Changing the content of an object in place: some bytes are laid over it, and it may be cut.
//!
//! Owns which blocks have to be made anew. A block whose bytes are those of one whole block that is
//! there, in the object or in what is laid over it, is that block; every other is joined from ranges
//! by the host. Invariant: the new list is what hashing the new bytes would have given.

use plugbay_sdk::{DigestAlgorithm, Received, blobs};

use super::{
    Ranges, Upload, blob_fault, reading,
    upload::{self, Source},
};
use crate::{
    faults::{Fault, Kind},
    merkle::{BLOCK_SIZE, EMPTY, Hash, hex},
    object::{Block, Content},
    store::keys,
};

/// Bytes that are looked at for NULs at once.
const LOOK: u64 = 64 * 1024;

/// Bytes in blocks: those of an object, or of a body that was received in pieces.
#[derive(Debug, Clone)]
pub struct Bytes {
    size: u64,
    blocks: Vec<Stored>,
}

#[derive(Debug, Clone)]
struct Stored {
    hash: Hash,
    source: Source,
}

impl Bytes {
    /// Those of an object, or the first so many of them.
    pub fn of_content(content: &Content, most: Option<u64>) -> Result<Bytes, Fault> {
        let stored = |block: Block| Stored { hash: block.hash, source: Source::Kept(block.kept) };
        let blocks = reading::blocks(content)?.into_iter().map(stored).collect();
        Ok(Bytes { size: most.map_or(content.size, |most| most.min(content.size)), blocks })
    }

    /// Those of a body, received in pieces of the block size with the block hash as their digest.
    pub fn of_body(received: Received) -> Result<Bytes, Fault> {
        let size = received.size;
        let blocks = upload::pieces(received)?.into_iter().map(|(hash, source)| Stored { hash, source }).collect();
        Ok(Bytes { size, blocks })
    }

    /// How many.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Pieces that an earlier attempt has made blocks of are blocks from now on.
    fn settle(&mut self) -> Result<(), Fault> {
        let hashes: Vec<Hash> = self.blocks.iter().map(|stored| stored.hash).collect();
        let (kept, _) = super::find(&hashes)?;
        for stored in &mut self.blocks {
            if let Some(kept) = kept.get(&stored.hash) {
                stored.source = Source::Kept(*kept);
            }
        }
        Ok(())
    }
}

impl Stored {
    /// Under which name bytes are to be had, and how many; the rest is NUL.
    fn bytes(&self) -> (String, u64) {
        match &self.source {
            _ if self.hash == EMPTY => (String::new(), 0),
            Source::Piece(id, size) => (id.clone(), u64::from(*size)),
            Source::Kept(kept) => (keys::blob(&hex(&self.hash)), u64::from(*kept)),
        }
    }
}

/// Bytes laid over an object's content.
#[derive(Debug, Clone)]
pub struct Splice {
    /// Where they start, at most the size of the object; none: at its end.
    pub at: Option<u64>,
    /// The bytes.
    pub data: Bytes,
    /// Cut what comes out to this size, if it is larger.
    pub cut: Option<u64>,
}

/// A stretch of new content: from the object that is there, or from what is laid over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    laid: bool,
    from: u64,
    length: u64,
}

/// What new content is made of, from front to end, without empty runs.
fn runs(base: u64, at: u64, data: u64, cut: Option<u64>) -> Vec<Run> {
    let mut left = base.max(at + data).min(cut.unwrap_or(u64::MAX));
    let whole = [
        Run { laid: false, from: 0, length: at },
        Run { laid: true, from: 0, length: data },
        Run { laid: false, from: at + data, length: base.saturating_sub(at + data) },
    ];
    let mut found = Vec::new();
    for run in whole {
        let length = run.length.min(left);
        left -= length;
        if length > 0 {
            found.push(Run { length, ..run });
        }
    }
    found
}

/// The runs of each block, in order.
fn by_block(runs: &[Run]) -> Vec<Vec<Run>> {
    let mut blocks = Vec::new();
    let mut block = Vec::new();
    let mut room = BLOCK_SIZE;
    for run in runs {
        let mut run = *run;
        while run.length > 0 {
            let length = run.length.min(room);
            block.push(Run { length, ..run });
            run = Run { from: run.from + length, length: run.length - length, ..run };
            room -= length;
            if room == 0 {
                blocks.push(std::mem::take(&mut block));
                room = BLOCK_SIZE;
            }
        }
    }
    if !block.is_empty() {
        blocks.push(block);
    }
    blocks
}

/// Some bytes of a blob or piece, or NULs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Blob { name: String, offset: u64, length: u64 },
    Zeros(u64),
}

impl Splice {
    /// What is to become the content of an object that is now this. A second attempt says so: what
    /// the first one wrote is then used as it is.
    pub fn over(&mut self, base: &Content, again: bool) -> Result<Upload, Fault> {
        if again {
            self.data.settle()?;
        }
        let at = self.at.unwrap_or(base.size);
        if at > base.size {
            return Err(Fault::new(Kind::RangeNotSatisfiable, "Supplied offset is beyond object limits"));
        }
        let there = Bytes::of_content(base, None)?;
        let runs = runs(there.size, at, self.data.size, self.cut);
        let size = runs.iter().map(|run| run.length).sum();
        let mut ranges = Ranges::default();
        let mut made: Vec<(Hash, Source)> = Vec::new();
        for block in by_block(&runs) {
            made.push(match self.same(&there, &block)? {
                Some(stored) => (stored.hash, stored.source.clone()),
                None => self.join(&there, &block, &mut ranges)?,
            });
        }
        let blocks: Vec<Block> = made.iter().map(|(hash, source)| block(*hash, source)).collect();
        let name = |index: usize, block: &Block| match made.get(index) {
            Some((_, Source::Piece(id, _))) => id.clone(),
            _ => keys::blob(&hex(&block.hash)),
        };
        let md5 = super::md5(&blocks, size, name)?;
        Upload::of(size, md5, made)
    }

    fn origin<'a>(&'a self, there: &'a Bytes, run: &Run) -> &'a Bytes {
        if run.laid { &self.data } else { there }
    }

    /// The block that these runs are the bytes of, if there is one.
    fn same<'a>(&'a self, there: &'a Bytes, runs: &[Run]) -> Result<Option<&'a Stored>, Fault> {
        let [run] = runs else {
            return Ok(None);
        };
        let origin = self.origin(there, run);
        if !run.from.is_multiple_of(BLOCK_SIZE) {
            return Ok(None);
        }
        let stored = stored(origin, run.from)?;
        // What the run has beyond the bytes kept is NUL, and a hash is without NULs at the end.
        Ok((stored.bytes().1 <= run.length).then_some(stored))
    }

    /// A block of its own for these runs.
    fn join(&self, there: &Bytes, runs: &[Run], ranges: &mut Ranges) -> Result<(Hash, Source), Fault> {
        let mut parts = Vec::new();
        for run in runs {
            let origin = self.origin(there, run);
            let (mut at, end) = (run.from, run.from + run.length);
            while at < end {
                let start = at - at % BLOCK_SIZE;
                let stop = end.min(start + BLOCK_SIZE);
                let (name, size) = stored(origin, at)?.bytes();
                let kept = (start + size).clamp(at, stop);
                if kept > at {
                    parts.push(Part::Blob { name, offset: at - start, length: kept - at });
                }
                if stop > kept {
                    parts.push(Part::Zeros(stop - kept));
                }
                at = stop;
            }
        }
        trim(&mut parts)?;
        ranges.clear();
        for part in parts {
            match part {
                Part::Blob { name, offset, length } => ranges.blob(name, offset, length),
                Part::Zeros(length) => ranges.zeros(length)?,
            }
        }
        if ranges.found().is_empty() {
            return Ok((EMPTY, Source::Kept(0)));
        }
        let piece = blobs::concat(ranges.found(), &[DigestAlgorithm::Sha256]).map_err(|error| blob_fault(&error))?;
        let hash = piece.digests.first().and_then(|digest| digest.as_slice().try_into().ok());
        match (hash, u32::try_from(piece.size)) {
            (Some(hash), Ok(size)) => Ok((hash, Source::Piece(piece.id, size))),
            _ => Err(Fault::new(Kind::Internal, "The store failed")),
        }
    }
}

fn block(hash: Hash, source: &Source) -> Block {
    let (Source::Piece(_, kept) | Source::Kept(kept)) = source;
    Block { hash, kept: if hash == EMPTY { 0 } else { *kept } }
}

fn stored(origin: &Bytes, at: u64) -> Result<&Stored, Fault> {
    let index = usize::try_from(at / BLOCK_SIZE).unwrap_or(usize::MAX);
    origin.blocks.get(index).ok_or_else(|| {
        plugbay_sdk::error!("block {index} of {} is not there", origin.blocks.len());
        Fault::new(Kind::Internal, "The store failed")
    })
}

/// Leave NULs at the end out: a block's hash is without them.
fn trim(parts: &mut Vec<Part>) -> Result<(), Fault> {
    while let Some(last) = parts.pop() {
        let Part::Blob { name, offset, length } = last else {
            continue;
        };
        let mut left = length;
        while left > 0 {
            let some = left.min(LOOK);
            let range = plugbay_sdk::BlobRange::part(name.as_str(), offset + left - some, some);
            let bytes = blobs::read(&range).map_err(|error| blob_fault(&error))?;
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                let length = left - some + last as u64 + 1;
                parts.push(Part::Blob { name, offset, length });
                return Ok(());
            }
            left -= some;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_what_laying_over_gives(base in 0u64..40, at in 0u64..40, data in 0u64..40, cut in prop::option::of(0u64..90)) {
            let at = at.min(base);
            let mut expected: Vec<(bool, u64)> = (0..base).map(|n| (false, n)).collect();
            for n in 0..data {
                let place = usize::try_from(at + n).unwrap();
                if place < expected.len() { expected[place] = (true, n) } else { expected.push((true, n)) }
            }
            if let Some(cut) = cut {
                expected.truncate(usize::try_from(cut).unwrap());
            }
            let found: Vec<(bool, u64)> = runs(base, at, data, cut)
                .iter()
                .flat_map(|run| (0..run.length).map(|n| (run.laid, run.from + n)))
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn blocks_are_full_save_the_last(lengths in prop::collection::vec(1u64..3 * BLOCK_SIZE, 0..6)) {
            let runs: Vec<Run> = lengths.iter().map(|length| Run { laid: true, from: 0, length: *length }).collect();
            let total: u64 = lengths.iter().sum();
            let blocks = by_block(&runs);
            let sizes: Vec<u64> = blocks.iter().map(|block| block.iter().map(|run| run.length).sum()).collect();
            prop_assert_eq!(sizes.iter().sum::<u64>(), total);
            prop_assert_eq!(sizes.len() as u64, total.div_ceil(BLOCK_SIZE));
            prop_assert!(sizes.iter().rev().skip(1).all(|size| *size == BLOCK_SIZE));
        }
    }
}
