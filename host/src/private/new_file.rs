//! A file that is written whole: until it is complete and on disk, nobody sees it.
//!
//! It has no name while it is written, so that a host that is killed leaves nothing behind. Where the file system cannot
//! do that (NFS cannot), it has a hidden name, which only a host that is killed leaves there. Zeros are left out: they
//! become holes.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{FileError, beneath};

/// Permissions that files of the private directory may have.
const PERMISSIONS: u32 = 0o600;
/// Bytes that are looked at together whether they are all zero.
const BLOCK: usize = 64 * 1024;
/// Below this many free bytes nothing more is written: what else is on the disk, the store perhaps, is not to suffer.
const HEADROOM: u64 = 64 * 1024 * 1024;

/// A file that is being written. Dropped, it is gone.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    folder: OwnedFd,
    /// The path, for what is said of it.
    path: String,
    name: String,
    /// The name of its own that it has meanwhile.
    temporary: Option<String>,
    size: u64,
}

impl NewFile {
    /// Begin one at this path; its folder has to be there. Blocks for a moment.
    ///
    /// # Errors
    /// `Outside`, `NotFound` if there is no such folder, `NotAFile` if something else has the name, `Mode`.
    pub fn create(directory: &Path, path: &str, mode: u32) -> Result<Self, FileError> {
        if mode & !PERMISSIONS != 0 {
            return Err(FileError::Mode(mode));
        }
        let outside = || FileError::Outside(path.into());
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        if matches!(name, "" | "." | "..") || name.contains('\0') || folder.is_empty() {
            return Err(outside());
        }
        let folder = beneath(directory, folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(facts) if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile => {
                return Err(FileError::NotAFile(path.into()));
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(FileError::of(path, error)),
        }
        let unnamed = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let (file, temporary) = match rustix::fs::openat(&folder, ".", unnamed, Mode::empty()) {
            Ok(file) => (file, None),
            // The file system cannot, or does not know what is asked.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                let own = own_name();
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let made = rustix::fs::openat(&folder, own.as_str(), flags, Mode::empty());
                (made.map_err(io::Error::from)?, Some(own))
            }
            Err(error) => return Err(FileError::of(path, error)),
        };
        let new = Self { file: file.into(), folder, path: path.into(), name: name.into(), temporary, size: 0 };
        new.file.set_permissions(Permissions::from_mode(mode))?;
        Ok(new)
    }

    /// Add bytes. Blocks.
    ///
    /// # Errors
    /// `Full`, `Io`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        for block in bytes.chunks(BLOCK) {
            if block.iter().any(|byte| *byte != 0) {
                let disk = rustix::fs::fstatvfs(&self.folder).map_err(io::Error::from)?;
                if disk.f_bavail.saturating_mul(disk.f_frsize) < HEADROOM {
                    return Err(FileError::Full);
                }
                self.file.write_all_at(block, self.size)?;
            }
            self.skip(block.len() as u64)?;
        }
        Ok(())
    }

    /// Add zeros, which take no room.
    ///
    /// # Errors
    /// `Io` for a file larger than files can be.
    pub fn skip(&mut self, zeros: u64) -> Result<(), FileError> {
        let size = self.size.checked_add(zeros).filter(|size| i64::try_from(*size).is_ok());
        self.size = size.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(())
    }

    /// Bring it to the disk and give it its name, in place of what has it. Blocks. How many bytes it has.
    ///
    /// # Errors
    /// `Full`, `Io`; what had the name still has it then.
    pub fn finish(mut self) -> Result<u64, FileError> {
        self.file.set_len(self.size)?;
        self.file.sync_all()?;
        if self.temporary.is_none() && self.link(&self.name)? {
            return self.named();
        }
        // Something has the name: another first, which takes its place then.
        let own = match self.temporary.clone() {
            Some(own) => own,
            None => {
                let own = own_name();
                if !self.link(&own)? {
                    return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
                }
                self.temporary = Some(own.clone());
                own
            }
        };
        let renamed = rustix::fs::renameat(&self.folder, own.as_str(), &self.folder, self.name.as_str());
        renamed.map_err(|error| FileError::of(&self.path, error))?;
        self.temporary = None;
        self.named()
    }

    /// Give the file without a name one; false if it is taken.
    fn link(&self, name: &str) -> Result<bool, FileError> {
        let this = format!("/proc/self/fd/{}", self.file.as_fd().as_raw_fd());
        match rustix::fs::linkat(CWD, this.as_str(), &self.folder, name, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(FileError::of(&self.path, error)),
        }
    }

    fn named(&self) -> Result<u64, FileError> {
        rustix::fs::fsync(&self.folder).map_err(io::Error::from)?;
        Ok(self.size)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(own) = &self.temporary {
            // It is of no use to anybody; a plugin that finds it may remove it.
            let _ = rustix::fs::unlinkat(&self.folder, own.as_str(), AtFlags::empty());
        }
    }
}

/// A name that nobody has.
fn own_name() -> String {
    format!(".{}.part", uuid::Uuid::new_v4().simple())
}
