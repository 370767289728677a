//! Where what is printed goes.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::CliError;

/// Print what was asked for.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Say a line beside it. That nobody may be listening does not matter.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Standard input, without a buffer in between.
pub(super) fn stdin() -> Result<File, CliError> {
    let input = io::stdin().as_fd().try_clone_to_owned();
    input.map(File::from).map_err(|error| CliError::file("standard input", error))
}

/// Standard output, or a file that appears only when it is whole.
pub(super) struct Sink {
    file: File,
    /// Where it is written, and where it is to be.
    aside: Option<(PathBuf, PathBuf)>,
}

impl Sink {
    /// To this file, for its owner only; or to standard output.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, CliError> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            let output = io::stdout().as_fd().try_clone_to_owned().map_err(CliError::Output)?;
            return Ok(Self { file: output.into(), aside: None });
        };
        let mut aside = path.as_os_str().to_owned();
        aside.push(".part");
        let aside = PathBuf::from(aside);
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&aside);
        let file = file.map_err(|error| CliError::file(aside.display().to_string(), error))?;
        Ok(Self { file, aside: Some((aside, path.to_owned())) })
    }

    /// A handle to write to.
    pub(super) fn writer(&self) -> Result<tokio::fs::File, CliError> {
        self.file.try_clone().map(tokio::fs::File::from_std).map_err(CliError::Output)
    }

    /// Everything was written.
    pub(super) fn finish(self) -> Result<(), CliError> {
        let Some((aside, path)) = &self.aside else { return Ok(()) };
        let done = self.file.sync_all().and_then(|()| std::fs::rename(aside, path));
        done.map_err(|error| CliError::file(path.display().to_string(), error))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some((aside, _)) = &self.aside {
            // Not there any more if it was finished.
            let _ = std::fs::remove_file(aside);
        }
    }
}
