//! What the local file system needs besides the object store's trait: a folder that is there after
//! a power cut, a lock on it, and an eye on the temporary files `<piece>#<number>`, which the
//! object store neither lists nor lets be named.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::{FlockOperation, flock};

use super::{error::OpenError, piece::PieceId};

/// The path of `file:PATH` or `file:///PATH`. Taken as it is, without percent-decoding.
pub(super) fn path_of(url: &str) -> Result<PathBuf, OpenError> {
    let path = url.strip_prefix("file:");
    let path = path.and_then(|path| match path.strip_prefix("//") {
        None => Some(path),
        // Anything but a slash here would be a host name.
        Some(path) => path.starts_with('/').then_some(path),
    });
    match path {
        Some(path) if !path.is_empty() => Ok(path.into()),
        _ => Err(OpenError::Scheme(url.to_owned())),
    }
}

/// Makes the folder if it is missing, and locks it. The lock ends with the file.
pub(super) fn prepare(root: &Path) -> Result<(PathBuf, File), OpenError> {
    let failed = |source| OpenError::Folder { root: root.to_owned(), source };
    create(root).map_err(failed)?;
    let root = root.canonicalize().map_err(failed)?;
    let mut options = OpenOptions::new();
    let lock = options.write(true).create(true).truncate(false).mode(0o600);
    let lock = lock.open(root.join("lock")).map_err(failed)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok((root, lock)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(root)),
        Err(error) => Err(failed(error.into())),
    }
}

/// Makes a folder and those above it, and syncs the entry of each that is new.
fn create(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    create(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(parent)?.sync_all(),
    }
}

/// Removes what a failed upload left behind. Ids are used once, so its number is always 1.
pub(super) fn remove_temporary(root: &Path, object: &object_store::path::Path) {
    let file = root.join(format!("{object}#1"));
    if let Err(error) = std::fs::remove_file(&file)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %file.display(), "a temporary file was not removed; the next start tries again");
    }
}

/// Removes temporary files last modified before `started`, and counts them.
pub(super) fn sweep_temporary(root: &Path, started: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for owner in entries(&root.join("pieces"))? {
        for fan in entries(&owner?.path())? {
            for file in entries(&fan?.path())? {
                let file = file?;
                if is_temporary(&file.file_name()) && file.metadata()?.modified()? < started {
                    std::fs::remove_file(file.path())?;
                    removed += 1;
                }
            }
        }
    }
    Ok(removed)
}

/// The entries of a folder; none of what is not there or is no folder.
fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<std::fs::DirEntry>>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => Some(entries),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        Err(error) => return Err(error),
    };
    Ok(entries.into_iter().flatten())
}

fn is_temporary(name: &std::ffi::OsStr) -> bool {
    let parts = name.to_str().and_then(|name| name.split_once('#'));
    parts.is_some_and(|(id, number)| {
        id.parse::<PieceId>().is_ok() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
