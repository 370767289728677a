//! From a list of blocks to the segments that the host sends.
//!
//! Owns where the bytes of a stretch are, with the NULs that blobs leave out put back. Invariant: one
//! step hands over at most as many segments as it was asked for.

use plugbay_sdk::{BlobRange, Segment};

use super::CHUNK;
use crate::{
    conditions::Stretch,
    faults::{Fault, Kind},
    merkle::{BLOCK_SIZE, hex},
    object::{Block, Blocks, Content},
    store::{db, keys},
};

/// One stretch of an object as segments for the host to send.
pub fn segments(content: &Content, stretch: Stretch) -> Result<Vec<Segment>, Fault> {
    Ok(some_segments(content, stretch, usize::MAX)?.0)
}

/// The first segments of a stretch, of at most that many blocks, and what is left of it.
pub fn some_segments(
    content: &Content,
    stretch: Stretch,
    most: usize,
) -> Result<(Vec<Segment>, Option<Stretch>), Fault> {
    let end = stretch.offset + stretch.length;
    let mut reader = Reader { content, chunk: None };
    let mut segments = Vec::new();
    let mut at = stretch.offset;
    let mut blocks = 0;
    while at < end && blocks < most {
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
        blocks += 1;
    }
    let rest = (at < end).then_some(Stretch { offset: at, length: end - at });
    Ok((segments, rest))
}

/// All blocks, in order; at least one.
pub fn blocks(content: &Content) -> Result<Vec<Block>, Fault> {
    match &content.blocks {
        Blocks::Inline(blocks) if blocks.is_empty() => Ok(vec![Block::ZEROS]),
        Blocks::Inline(blocks) => Ok(blocks.clone()),
        Blocks::Mapped(count) => {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            let mut all = Vec::new();
            for index in 0..count.div_ceil(CHUNK) {
                all.extend(chunk(&content.map, index)?);
            }
            if all.len() == count { Ok(all) } else { Err(unlisted(&content.map, all.len())) }
        }
    }
}

/// The blocks in one chunk of a longer list.
pub(in crate::store) fn chunk(map: &str, index: usize) -> Result<Vec<Block>, Fault> {
    let packed = db::get(&keys::chunk(map, index))?.map(|kept| kept.value).unwrap_or_default();
    Ok(packed.chunks_exact(Block::PACKED).filter_map(Block::unpack).collect())
}

fn unlisted(map: &str, index: usize) -> Fault {
    plugbay_sdk::error!("block {index} of map `{map}` is not listed");
    Fault::new(Kind::Internal, "The store failed")
}

/// Finds blocks by index, reading each chunk of a longer list once.
struct Reader<'a> {
    content: &'a Content,
    chunk: Option<(usize, Vec<Block>)>,
}

impl Reader<'_> {
    fn block(&mut self, index: u64) -> Result<Block, Fault> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let found = match &self.content.blocks {
            Blocks::Inline(blocks) => blocks.get(index).copied(),
            Blocks::Mapped(_) => {
                let wanted = index / CHUNK;
                let blocks = match &mut self.chunk {
                    Some((there, blocks)) if *there == wanted => blocks,
                    slot => &mut slot.insert((wanted, chunk(&self.content.map, wanted)?)).1,
                };
                blocks.get(index % CHUNK).copied()
            }
        };
        found.ok_or_else(|| unlisted(&self.content.map, index))
    }
}
