//! What long-lived programs print.
//!
//! Standard output and error go to one file a name, `NAME.log` in the host's state directory: not to a pipe, whose
//! reader would be gone with the host. The file is opened for appending, so that it can be cut
//! while it is written to. Once a second, files over [`MOST`] bytes are cut: the last half of that
//! is kept as `NAME.log.1`, the file starts again at nothing. What is written during the cut is lost; what
//! is written within a second, or while no host runs, is not bounded by this. A limit on file sizes
//! would bound it, but would also forbid the program to write any large file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes over which a file is cut.
pub(super) const MOST: u64 = 1024 * 1024;

fn current(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

fn previous(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log.1"))
}

/// A new file; what the program printed when it was last started is kept as the previous one.
pub(super) fn open(folder: &Path, name: &str) -> io::Result<File> {
    let path = current(folder, name);
    match fs::rename(&path, previous(folder, name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Cut the file if it is too long.
pub(super) fn cut(folder: &Path, name: &str) -> io::Result<()> {
    let path = current(folder, name);
    if fs::metadata(&path)?.len() <= MOST {
        return Ok(());
    }
    let kept = last(&path, MOST / 2)?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(previous(folder, name))?
        .write_all(&kept)?;
    OpenOptions::new().write(true).open(path)?.set_len(0)
}

/// The last bytes printed, at most `most`. Empty if nothing was.
pub(super) fn tail(folder: &Path, name: &str, most: u64) -> io::Result<Vec<u8>> {
    match last(&current(folder, name), most) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// Remove both files.
pub(super) fn remove(folder: &Path, name: &str) {
    let _ = fs::remove_file(current(folder, name));
    let _ = fs::remove_file(previous(folder, name));
}

fn last(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
