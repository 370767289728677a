//! The file that says which process has a name.
//!
//! One JSON file a name in the host's state directory. Invariants: a file is whole or not there, because it
//! is written beside, synced and renamed; it is on disk before the program runs; it goes when the end
//! of the program was acknowledged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How a process ended. Neither is known if it ended while no host watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// What it returned.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// What is kept of a started program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The operator's name of it.
    pub program: String,
    /// The file it was started from, for people.
    pub executable: String,
    pub pid: i32,
    /// Ticks since that boot.
    pub started: u64,
    pub boot: String,
    pub ended: Option<Exit>,
}

pub(super) fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

/// Write and sync.
pub(super) fn write(folder: &Path, name: &str, record: &Record) -> io::Result<()> {
    // No name starts with a dot.
    let beside = folder.join(format!(".{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(&beside, path(folder, name))?;
    File::open(folder)?.sync_all()
}

/// Remove and sync; not an error if it is not there.
pub(super) fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(path(folder, name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::open(folder)?.sync_all()
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub records: Vec<(String, Record)>,
    /// Names whose file cannot be read; it is kept as `NAME.json.unreadable`.
    pub unreadable: Vec<String>,
}

/// Read all records.
pub(super) fn read_all(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    for entry in fs::read_dir(folder)? {
        let file_name = entry?.file_name();
        let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let path = path(folder, name);
        match fs::read(&path).and_then(|text| Ok(serde_json::from_slice(&text)?)) {
            Ok(record) => found.records.push((name.to_owned(), record)),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "the record of a program cannot be read");
                fs::rename(&path, path.with_extension("json.unreadable"))?;
                found.unreadable.push(name.to_owned());
            }
        }
    }
    Ok(found)
}
