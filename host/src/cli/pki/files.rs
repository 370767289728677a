//! Files that appear together or not at all, and never in place of others.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::cli::error::CliError;

/// One file to be.
pub(super) struct NewFile {
    /// Within the directory.
    pub(super) name: String,
    /// What it is for, in words.
    pub(super) purpose: String,
    pub(super) text: String,
    /// It holds a key: for its owner only.
    pub(super) private: bool,
}

/// Writes all into the directory, which is made if it is not there. After an error none is left, except where the
/// machine stopped halfway.
pub(super) fn write(directory: &Path, files: &[NewFile]) -> Result<(), CliError> {
    let failed = |error| CliError::file(directory.display().to_string(), error);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let mut written = Written(Vec::new());
    for file in files {
        let path = directory.join(&file.name);
        let mode = if file.private { 0o600 } else { 0o644 };
        let mut out = File::options().write(true).create_new(true).mode(mode).open(&path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return there(&path);
            }
            CliError::file(path.display().to_string(), error)
        })?;
        written.0.push(path.clone());
        let done = out.write_all(file.text.as_bytes()).and_then(|()| out.sync_all());
        done.map_err(|error| CliError::file(path.display().to_string(), error))?;
    }
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    written.0.clear();
    Ok(())
}

fn there(path: &Path) -> CliError {
    CliError::Words(format!(
        "{} is there already, and nothing is overwritten: move it away, or name another directory",
        path.display()
    ))
}

/// Files that are removed again unless all were written.
struct Written(Vec<PathBuf>);

impl Drop for Written {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether something of that name is there, a dangling link included.
pub(super) fn exists(path: &Path) -> Result<bool, CliError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CliError::file(path.display().to_string(), error)),
    }
}
