//! Where the bytes of data objects are: in a blob, in a file that is or was a machine's disk, or nowhere, which is zeros.
//!
//! A value moves from a blob into a file when a machine first gets it as a disk, and stays there until it is written anew.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use plugbay_sdk::{BlobRange, FileRange, Segment, blobs};

use super::record::Record;
use crate::fault::Fault;

/// The private directory, as the plugin sees it.
const ROOT: &str = "/";

/// Zeros that are written together.
const ZEROS: u64 = 1 << 20;

/// Why the host did not do it, for the client.
pub fn broken(error: blobs::Error) -> Fault {
    match error {
        blobs::Error::QuotaExceeded => Fault::new(507, "The space given to this service is used up."),
        blobs::Error::NoSpace => Fault::new(507, "The disk of this service is full."),
        blobs::Error::Denied => Fault::new(503, "The operator has not granted `filesystem` to this service."),
        error => Fault::internal(format_args!("blobs: {error:?}")),
    }
}

/// Bytes of a value as a part of an answer.
pub fn segment(record: &Record) -> Segment {
    match (&record.blob, &record.file) {
        (Some(blob), _) => Segment::Blob(BlobRange::whole(blob)),
        (None, Some(file)) => Segment::File(FileRange::part(file, 0, record.size)),
        (None, None) => Segment::Zeros(record.size),
    }
}

/// Bytes of a value, in memory; `from` and `length` are within it.
///
/// # Errors
/// 500 if they cannot be read.
pub fn read(record: &Record, from: u64, length: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    match (&record.blob, &record.file) {
        (Some(blob), _) => {
            let mut at = from;
            while at < from + length {
                let some = (from + length - at).min(blobs::READ_LIMIT);
                bytes.extend(blobs::read(&BlobRange::part(blob, at, some)).map_err(broken)?);
                at += some;
            }
        }
        (None, Some(file)) => {
            let mut open = std::fs::File::open(path(file)).map_err(|error| unreadable(file, &error))?;
            let sought = open.seek(SeekFrom::Start(from));
            let read = sought.and_then(|_| open.take(length).read_to_end(&mut bytes));
            read.map_err(|error| unreadable(file, &error))?;
        }
        (None, None) => bytes.resize(usize::try_from(length).map_err(Fault::internal)?, 0),
    }
    Ok(bytes)
}

/// Bytes of a value as ranges, of which a piece can be made; `from` and `length` are within it.
///
/// # Errors
/// 413 for more zeros than that, 500 if they cannot be read.
pub fn ranges(record: &Record, from: u64, length: u64) -> Result<Vec<BlobRange>, Fault> {
    if length == 0 {
        return Ok(Vec::new());
    }
    Ok(match (&record.blob, &record.file) {
        (Some(blob), _) => vec![BlobRange::part(blob, from, length)],
        (None, Some(file)) => {
            vec![blobs::from_file(&FileRange::part(file, from, length), &[]).map_err(broken)?.range()]
        }
        (None, None) => {
            let count = usize::try_from(length.div_ceil(ZEROS)).ok().filter(|count| *count < 4_000);
            let count = count.ok_or_else(|| Fault::new(413, "That is too much of nothing to be copied."))?;
            let zeros = blobs::write(&vec![0; usize::try_from(ZEROS.min(length)).unwrap_or_default()], &[]);
            let zeros = zeros.map_err(broken)?;
            let rest = length - (count as u64 - 1) * zeros.size;
            let mut ranges = vec![zeros.range(); count - 1];
            ranges.push(BlobRange::part(&zeros.id, 0, rest));
            ranges
        }
    })
}

/// When a value was last written, by a client or by a machine, in microseconds since 1970.
pub fn modified(record: &Record) -> u64 {
    let of_file = record.file.as_ref().and_then(|file| std::fs::metadata(path(file)).ok()?.modified().ok());
    let of_file = of_file.and_then(|time| u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok());
    record.modified.max(of_file.unwrap_or_default())
}

/// Remove the file of a value that is gone.
pub fn remove(file: &str) {
    match std::fs::remove_file(path(file)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            // The next start tries again.
            plugbay_sdk::warn!("{file} cannot be removed: {error}");
        }
        _ => {}
    }
}

fn path(file: &str) -> PathBuf {
    Path::new(ROOT).join(file)
}

fn unreadable(file: &str, error: &std::io::Error) -> Fault {
    Fault::internal(format_args!("{file}: {error}"))
}
