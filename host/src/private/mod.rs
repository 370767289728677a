//! Files of a plugin's private directory, for the host's own functions: read, and written whole.
//!
//! Owns the rule that no path leads out. A path is relative to the directory and is resolved by the kernel beneath it:
//! neither `..` out of it nor a link is followed, whoever made that link, and whatever is changed meanwhile. WASI gives
//! plugins the same directory by ways of its own (`plugin/state.rs`).

mod new_file;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

pub use new_file::NewFile;

/// Bytes of a chunk: one is held for each client that reads slowly.
const CHUNK: usize = 64 * 1024;

/// Why a file is not read or written. The texts are for the plugin and name no path of the host.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path leads out, or over a link, or is none.
    #[error("{0:?} is no path below the private directory, or leads over a link")]
    Outside(String),
    /// Nothing is there, or the directory of a new file is not.
    #[error("there is no {0:?} in the private directory")]
    NotFound(String),
    /// A directory, a socket or the like.
    #[error("{0:?} is not a regular file")]
    NotAFile(String),
    /// A range that goes beyond the end.
    #[error("the range goes beyond the {size} bytes of {path:?}")]
    Range {
        /// The file.
        path: String,
        /// Its bytes.
        size: u64,
    },
    /// Permission bits that files there do not have.
    #[error("a file has the permissions 0600 or fewer, not {0:o}")]
    Mode(u32),
    /// The disk, or the user's part of it.
    #[error("the disk is full")]
    Full,
    /// Anything else.
    #[error("the private directory: {0}")]
    Io(io::Error),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Full } else { Self::Io(error) }
    }
}

/// Whether there is no room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl FileError {
    fn of(path: &str, error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR => Self::NotFound(path.into()),
            Errno::XDEV | Errno::LOOP | Errno::INVAL | Errno::NAMETOOLONG => Self::Outside(path.into()),
            Errno::ISDIR | Errno::NXIO => Self::NotAFile(path.into()),
            error => io::Error::from(error).into(),
        }
    }
}

/// A stretch of a file that is open.
#[derive(Debug)]
pub struct Stretch {
    /// The file.
    pub file: File,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

fn beneath(directory: &Path, path: &str, flags: OFlags) -> Result<OwnedFd, FileError> {
    let base = rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(io::Error::from)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(&base, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
    found.map_err(|error| FileError::of(path, error))
}

/// Open a stretch of a file; without a length, to its end. Blocks for a moment.
///
/// # Errors
/// `Outside`, `NotFound`, `NotAFile`, `Range`.
pub fn open(directory: &Path, path: &str, offset: u64, length: Option<u64>) -> Result<Stretch, FileError> {
    // Without waiting for the other end of what turns out to be a pipe.
    let file = File::from(beneath(directory, path, OFlags::RDONLY | OFlags::NONBLOCK)?);
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(FileError::NotAFile(path.into()));
    }
    let rest = facts.len().checked_sub(offset).filter(|rest| length.is_none_or(|length| length <= *rest));
    let rest = rest.ok_or_else(|| FileError::Range { path: path.into(), size: facts.len() })?;
    Ok(Stretch { file, offset, length: length.unwrap_or(rest) })
}

impl Stretch {
    /// Its bytes, read as they are asked for. A file that is cut short meanwhile is an error.
    pub fn chunks(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let Self { file, offset, length } = self;
        let start = (tokio::fs::File::from_std(file), Some(offset), length);
        stream::try_unfold(start, |(mut file, seek, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            if let Some(offset) = seek {
                file.seek(io::SeekFrom::Start(offset)).await?;
            }
            let mut chunk = BytesMut::with_capacity(CHUNK);
            let read = (&mut file).take(left.min(CHUNK as u64)).read_buf(&mut chunk).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Some((chunk.freeze(), (file, None, left - read as u64))))
        })
    }
}
