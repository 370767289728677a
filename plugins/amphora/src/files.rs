//! The private directory: small files, written whole.
//!
//! A program reads these files by their paths, so they are files and not keys. Paths are relative and made from checked names
//! ([`crate::names`]) and constants only. A write is atomic: the bytes are synced under a name that nobody else has, which then
//! takes the place of the old file, so neither a reader nor a crash sees half of one, and writers at once do not mix.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where files are that are not whole yet.
const UNFINISHED: &str = "run/tmp";

/// Two changes within a tick of the file system leave the same time. What is as young as this may have been changed again after
/// it was read.
const SETTLED: Duration = Duration::from_secs(2);

/// Most directories whose names are kept.
const KEPT: usize = 64;

thread_local! {
    /// Names in directories that were at rest when they were read, and when those were changed last: to look at that takes the
    /// host one turn, to read names several, and `details` is asked for often.
    static NAMES: RefCell<BTreeMap<PathBuf, (SystemTime, Vec<String>)>> = const { RefCell::new(BTreeMap::new()) };
}

/// A name for a file that nobody else has.
pub fn unique() -> String {
    format!("{UNFINISHED}/{:016x}", RandomState::new().hash_one(UNFINISHED))
}

/// Whether what was changed at that time, and has the same time later, was not changed meanwhile.
pub fn is_settled(changed: SystemTime) -> bool {
    changed.elapsed().is_ok_and(|age| age >= SETTLED)
}

/// The directory could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct Error {
    /// Relative path.
    pub path: String,
    /// The system's words.
    pub cause: String,
}

/// Length of a file and when it was written.
pub type Stamp = (u64, SystemTime);

/// A directory of small files.
pub trait Files {
    /// The bytes of a file; none if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Make or replace a file, readable by the owner only, and the directories above it.
    ///
    /// # Errors
    /// If it cannot be written; then the old one is still there.
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Error>;

    /// Give a file another name, in place of what has it.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be renamed.
    fn rename(&self, from: &str, to: &str) -> Result<(), Error>;

    /// Remove a file or a directory with all that is in it. Nothing there is no error.
    ///
    /// # Errors
    /// If it cannot be removed.
    fn remove(&self, path: &str) -> Result<(), Error>;

    /// The names in a directory in order; empty if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    fn names(&self, path: &str) -> Result<Vec<String>, Error>;

    /// Remove what writers that were killed left behind: what is not whole and older than this.
    ///
    /// # Errors
    /// If it cannot be removed.
    fn sweep(&self, older_than: Duration) -> Result<(), Error>;

    /// What changes when a file is replaced: its length and time; none if there is none.
    ///
    /// # Errors
    /// If it cannot be looked at.
    fn stamp(&self, path: &str) -> Result<Option<Stamp>, Error>;

    /// A file as text; bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// If it cannot be read.
    fn text(&self, path: &str) -> Result<Option<String>, Error> {
        Ok(self.read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// A directory of the file system. In the component it is `/`, which exists if the operator granted `filesystem`.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The directory at this path.
    pub fn at(root: impl Into<PathBuf>) -> Directory {
        Directory { root: root.into() }
    }
}

fn failed<T>(path: &str, result: std::io::Result<T>) -> Result<T, Error> {
    result.map_err(|error| Error { path: path.to_owned(), cause: error.to_string() })
}

/// The result, or none if there is nothing of that name.
fn found<T>(path: &str, result: std::io::Result<T>) -> Result<Option<T>, Error> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        other => failed(path, other).map(Some),
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // The component has no modes; the host makes what it writes 0600.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl Files for Directory {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        found(path, fs::read(self.root.join(path)))
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let place = self.root.join(path);
        if let Some(parent) = place.parent() {
            failed(path, fs::create_dir_all(parent))?;
        }
        failed(path, fs::create_dir_all(self.root.join(UNFINISHED)))?;
        let temporary = self.root.join(unique());
        let written = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, &place));
        if written.is_err() {
            // What cannot be removed now is swept later.
            let _ = fs::remove_file(&temporary);
        }
        failed(path, written)?;
        failed(path, sync_parent(&place))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let place = self.root.join(to);
        failed(from, fs::rename(self.root.join(from), &place))?;
        failed(to, sync_parent(&place))
    }

    fn remove(&self, path: &str) -> Result<(), Error> {
        let place = self.root.join(path);
        let Some(kind) = found(path, fs::symlink_metadata(&place))? else { return Ok(()) };
        let result = if kind.is_dir() { fs::remove_dir_all(&place) } else { fs::remove_file(&place) };
        found(path, result).map(|_| ())
    }

    fn names(&self, path: &str) -> Result<Vec<String>, Error> {
        let place = self.root.join(path);
        let Some(metadata) = found(path, fs::metadata(&place))? else { return Ok(Vec::new()) };
        let changed = failed(path, metadata.modified())?;
        let known = NAMES.with_borrow(|known| known.get(&place).filter(|(at, _)| *at == changed).cloned());
        if let Some((_, names)) = known {
            return Ok(names);
        }
        let Some(entries) = found(path, fs::read_dir(&place))? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(failed(path, entry)?.file_name().into_string());
        }
        names.sort();
        if is_settled(changed) {
            NAMES.with_borrow_mut(|known| {
                if known.len() >= KEPT {
                    known.clear();
                }
                known.insert(place, (changed, names.clone()));
            });
        }
        Ok(names)
    }

    fn stamp(&self, path: &str) -> Result<Option<Stamp>, Error> {
        let Some(metadata) = found(path, fs::metadata(self.root.join(path)))? else { return Ok(None) };
        Ok(Some((metadata.len(), failed(path, metadata.modified())?)))
    }

    fn sweep(&self, older_than: Duration) -> Result<(), Error> {
        for name in self.names(UNFINISHED)? {
            let path = format!("{UNFINISHED}/{name}");
            let Some(metadata) = found(&path, fs::symlink_metadata(self.root.join(&path)))? else { continue };
            let age = failed(&path, metadata.modified())?.elapsed().unwrap_or_default();
            if age >= older_than {
                self.remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Have the new name of a file survive a crash. Directories of the component cannot be synced.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if cfg!(unix) => fs::File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_made_replaced_renamed_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let files = Directory::at(dir.path());
        assert_eq!(files.read("a/b").unwrap(), None);
        assert!(files.names("a").unwrap().is_empty());
        files.write("a/b", b"1").unwrap();
        files.write("a/b", b"2").unwrap();
        assert_eq!(files.read("a/b").unwrap().unwrap(), b"2");
        files.rename("a/b", "a/c").unwrap();
        assert_eq!(files.names("a").unwrap(), ["c"]);
        files.remove("a").unwrap();
        files.remove("a").unwrap();
        assert_eq!(files.names("").unwrap(), ["run"]);
        assert!(files.names(UNFINISHED).unwrap().is_empty());
    }

    #[test]
    fn names_are_those_of_now_though_they_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let files = Directory::at(dir.path());
        let names = || files.names("a").unwrap();
        let rest = |seconds| {
            let before = SystemTime::now() - Duration::from_secs(seconds);
            fs::File::open(dir.path().join("a")).unwrap().set_modified(before).unwrap();
        };
        files.write("a/b", b"1").unwrap();
        rest(20);
        assert_eq!(names(), ["b"]);
        fs::write(dir.path().join("a/c"), b"1").unwrap();
        rest(20);
        let before = fs::metadata(dir.path().join("a")).unwrap().modified().unwrap();
        assert_eq!(names(), ["b", "c"]);
        fs::remove_file(dir.path().join("a/c")).unwrap();
        fs::File::open(dir.path().join("a")).unwrap().set_modified(before).unwrap();
        assert_eq!(names(), ["b", "c"], "what is kept is used: without another time nothing is seen");
        files.write("a/d", b"1").unwrap();
        assert_eq!(names(), ["b", "d"]);
        // Too young to be kept.
        let now = fs::metadata(dir.path().join("a")).unwrap().modified().unwrap();
        fs::remove_file(dir.path().join("a/d")).unwrap();
        fs::File::open(dir.path().join("a")).unwrap().set_modified(now).unwrap();
        assert_eq!(names(), ["b"]);
    }

    #[test]
    fn what_was_never_finished_is_swept_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let files = Directory::at(dir.path());
        let left = unique();
        files.write(&left, b"half").unwrap();
        files.sweep(Duration::from_secs(600)).unwrap();
        assert!(files.read(&left).unwrap().is_some());
        files.sweep(Duration::ZERO).unwrap();
        assert_eq!(files.read(&left).unwrap(), None);
        assert_ne!(unique(), unique());
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = Directory::at(dir.path());
        files.write("a/b", b"1").unwrap();
        assert!(files.write("a", b"2").is_err());
        assert!(files.names(UNFINISHED).unwrap().is_empty());
    }

    #[test]
    fn files_are_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        Directory::at(dir.path()).write("x.pem", b"key").unwrap();
        assert_eq!(fs::metadata(dir.path().join("x.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
