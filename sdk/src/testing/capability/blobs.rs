//! `blobs` in memory.

use crate::blobs::{Error, READ_LIMIT};
use crate::testing::Host;
use crate::testing::digest;
use crate::testing::host::State;
use crate::{BlobRange, DigestAlgorithm, FileRange, Piece, Segment};

/// Size of a blob or piece.
pub fn size(name: &str) -> Result<Option<u64>, Error> {
    Host::current().state(|state| {
        granted(state)?;
        Ok(state.bytes_of(name).map(length))
    })
}

/// Some bytes, at most 1 MiB.
pub fn read(range: &BlobRange) -> Result<Vec<u8>, Error> {
    Host::current().state(|state| {
        granted(state)?;
        let bytes = part(state, range)?;
        if length(bytes) > READ_LIMIT {
            return Err(Error::Invalid("at most 1 MiB is read at once".to_owned()));
        }
        Ok(bytes.to_vec())
    })
}

/// A new piece of these bytes.
pub fn write(bytes: &[u8], digests: &[DigestAlgorithm]) -> Result<Piece, Error> {
    Host::current().state(|state| {
        granted(state)?;
        Ok(stage(state, bytes.to_vec(), digests, None))
    })
}

/// A new piece that is the concatenation of these ranges.
pub fn concat(ranges: &[BlobRange], digests: &[DigestAlgorithm]) -> Result<Piece, Error> {
    Host::current().state(|state| {
        granted(state)?;
        let bytes = joined(state, ranges)?;
        Ok(stage(state, bytes, digests, None))
    })
}

/// A digest of the concatenation of these ranges.
pub fn digest(ranges: &[BlobRange], algorithm: DigestAlgorithm) -> Result<Vec<u8>, Error> {
    Host::current().state(|state| {
        granted(state)?;
        Ok(digest::digest(algorithm, &joined(state, ranges)?))
    })
}

/// A new piece of bytes of a file.
pub fn from_file(file: &FileRange, digests: &[DigestAlgorithm]) -> Result<Piece, Error> {
    Host::current().state(|state| {
        granted(state)?;
        let bytes = part_of_file(state, file)?;
        Ok(stage(state, bytes, digests, None))
    })
}

/// Write a file of these segments.
pub fn to_file(segments: &[Segment], path: &str, mode: u32) -> Result<u64, Error> {
    Host::current().state(|state| {
        granted(state)?;
        let leads_out = path.split('/').any(|name| matches!(name, "" | "." | ".."));
        if leads_out || path.contains('\0') || mode & !0o600 != 0 {
            return Err(Error::Invalid(format!("`{path}` with the permissions {mode:o} cannot be written")));
        }
        let mut bytes = Vec::new();
        for segment in segments {
            match segment {
                Segment::Bytes(some) => bytes.extend_from_slice(some),
                Segment::Blob(range) => bytes.extend_from_slice(part(state, range)?),
                Segment::File(range) => bytes.extend(part_of_file(state, range)?),
                Segment::Zeros(count) => bytes.resize(bytes.len() + usize::try_from(*count).unwrap_or(usize::MAX), 0),
            }
        }
        let size = length(&bytes);
        state.files.insert(path.to_owned(), bytes);
        Ok(size)
    })
}

/// Keep bytes as a piece; `trim` bytes at the end stay out of its digests.
pub(in crate::testing) fn stage(
    state: &mut State,
    bytes: Vec<u8>,
    digests: &[DigestAlgorithm],
    trim: Option<u8>,
) -> Piece {
    let kept = trim.map_or(bytes.len(), |trim| bytes.iter().rposition(|byte| *byte != trim).map_or(0, |last| last + 1));
    let hashed = bytes.get(..kept).unwrap_or(&bytes);
    let digests = digests.iter().map(|algorithm| digest::digest(*algorithm, hashed)).collect();
    let piece = Piece { id: state.new_id("piece"), size: length(&bytes), digests };
    state.pieces.insert(piece.id.clone(), bytes);
    piece
}

/// The bytes of a range.
pub(in crate::testing) fn part<'a>(state: &'a State, range: &BlobRange) -> Result<&'a [u8], Error> {
    let bytes = state.bytes_of(&range.name).ok_or(Error::NotFound)?;
    within(bytes, &range.name, range.offset, range.length)
}

fn part_of_file(state: &State, file: &FileRange) -> Result<Vec<u8>, Error> {
    let bytes = state.files.get(&file.path).ok_or(Error::NotFound)?;
    within(bytes, &file.path, file.offset, file.length).map(<[u8]>::to_vec)
}

fn within<'a>(bytes: &'a [u8], name: &str, offset: u64, count: Option<u64>) -> Result<&'a [u8], Error> {
    let end = count.map_or(Some(length(bytes)), |count| offset.checked_add(count));
    let bounds = usize::try_from(offset).ok().zip(end.and_then(|end| usize::try_from(end).ok()));
    bounds
        .and_then(|(start, end)| bytes.get(start..end))
        .ok_or_else(|| Error::Invalid(format!("the range goes beyond the {} bytes of `{name}`", bytes.len())))
}

fn joined(state: &State, ranges: &[BlobRange]) -> Result<Vec<u8>, Error> {
    let parts = ranges.iter().map(|range| part(state, range)).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.concat())
}

fn granted(state: &State) -> Result<(), Error> {
    if state.describing { Err(Error::Denied) } else { Ok(()) }
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}
