//! Disks: files below the private directory, made and changed by `qemu-img`.
//!
//! | path | is |
//! | --- | --- |
//! | `IMAGES/NAME.qcow2`, `.raw`, `.img` | images of the operator |
//! | `saved/ID.qcow2` | copies of machines |
//! | `glance/…` | images of the image service, once they were fetched |
//! | `cdmi/…` | disks of containers, see `cdmi/image.rs` |
//! | `machines/SEQ/root.qcow2` | what a machine boots from: what differs from its image |
//! | `machines/SEQ/qmp`, `vnc` | its sockets |
//! | `storages/SEQ.qcow2` | a storage, with its snapshots |
//! | `storages/SEQ.backup.qcow2` | the last copy that was asked for of it |
//!
//! A disk is made when it is first needed, under another name first, so that none is ever seen half made. Formats are
//! always said and never guessed: a guest that writes the head of a qcow2 file into its raw disk names no file of the host.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Programs;
use crate::{
    entity::Entity,
    images::fetch::Workshop,
    model::{
        infrastructure::{SIZE, bytes},
        templates::{self, EPHEMERAL, Format, Image},
    },
    provider::Failure,
};

/// Longest that `qemu-img` may take within a request.
const PATIENCE_MS: u32 = 20_000;

/// Bytes of an empty disk whose size nobody says.
const LEAST: u64 = 1 << 20;

/// The private directory and the program that makes disks.
pub struct Disks<'a> {
    /// Where the plugin sees its private directory; programs run in it.
    pub root: &'a Path,
    /// What runs `qemu-img`.
    pub programs: &'a dyn Programs,
    /// The operator's images.
    pub images: &'a [Image],
    /// Folder of more of them.
    pub folder: &'a str,
}

/// A source of bytes for a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As programs in the private directory name it.
    pub path: String,
    /// What it is.
    pub format: Format,
}

/// Folder of machines' folders.
pub const MACHINES: &str = "machines";

/// Folder of a machine.
pub fn machine(seq: &str) -> String {
    format!("{MACHINES}/{seq}")
}

/// The disk that a machine boots from.
pub fn root(seq: &str) -> String {
    format!("machines/{seq}/root.qcow2")
}

/// The disk of a storage.
pub fn storage(seq: &str) -> String {
    format!("storages/{seq}.qcow2")
}

/// The copy of a storage.
pub fn backup(seq: &str) -> String {
    format!("storages/{seq}.backup.qcow2")
}

/// The copy of a machine.
pub fn saved(image: &str) -> String {
    format!("saved/{image}.qcow2")
}

/// Names of the snapshots that QEMU tells of a disk.
pub fn snapshots_of(facts: &Value) -> Vec<String> {
    let snapshots = facts.get("snapshots").and_then(Value::as_array).into_iter().flatten();
    snapshots.filter_map(|snapshot| snapshot.get("name")?.as_str().map(str::to_owned)).collect()
}

fn format_of(name: &str) -> Option<(&str, Format)> {
    let (stem, extension) = name.rsplit_once('.')?;
    match extension {
        "qcow2" => Some((stem, Format::Qcow2)),
        "raw" | "img" => Some((stem, Format::Raw)),
        _ => None,
    }
}

impl Disks<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Whether there is a file.
    pub fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    fn io(path: &str, result: std::io::Result<()>) -> Result<(), Failure> {
        result.map_err(|error| Failure::Unavailable(format!("{path} cannot be written: {error}.")))
    }

    /// Make a folder.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn folder(&self, path: &str) -> Result<(), Failure> {
        Self::io(path, std::fs::create_dir_all(self.path(path)))
    }

    /// Write a small file.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        Self::io(path, std::fs::write(self.path(path), bytes))
    }

    /// Give a file its name.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        Self::io(to, std::fs::rename(self.path(from), self.path(to)))
    }

    /// Remove a file or a folder, if it is there.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn remove(&self, path: &str) -> Result<(), Failure> {
        let full = self.path(path);
        let removed = if full.is_dir() { Self::remove_folder(&full) } else { std::fs::remove_file(full) };
        match removed {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => Self::io(path, other),
        }
    }

    /// One by one: a folder of a machine has sockets, which a component can remove but not look into. Somebody else may be
    /// removing them, too.
    fn remove_folder(full: &Path) -> std::io::Result<()> {
        let names =
            std::fs::read_dir(full)?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>()?;
        for name in names {
            match std::fs::remove_file(full.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::remove_dir(full)
    }

    /// Names of what is in a folder.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Images that lie in the folder.
    pub fn found(&self) -> Vec<Image> {
        let mut images: Vec<Image> = self
            .names(self.folder)
            .into_iter()
            .filter_map(|name| {
                let (stem, format) = format_of(&name)?;
                let file = Some(format!("{}/{name}", self.folder));
                Some(Image { id: stem.to_owned(), name: stem.to_owned(), file, format: Some(format) })
            })
            .collect();
        images.sort_by(|a, b| a.id.cmp(&b.id));
        images
    }

    /// The image of the operator's whose template has this term; its file is none for an empty disk.
    pub fn of_operator(&self, term: &str) -> Option<Option<Source>> {
        let found = self.found();
        let image = self.images.iter().chain(&found).find(|image| templates::safe(&image.id) == term)?;
        Some(image.file.clone().map(|path| {
            let format = image.format.or_else(|| format_of(&path).map(|(_, format)| format));
            Source { path, format: format.unwrap_or(Format::Raw) }
        }))
    }

    fn image(&self, arguments: &[&str]) -> Result<String, Failure> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.programs.run("qemu-img", &arguments, PATIENCE_MS)
    }

    /// Bytes that a disk has for a guest. One that leads to other files is refused.
    ///
    /// # Errors
    /// If it is no such disk.
    pub fn size(&self, source: &Source) -> Result<u64, Failure> {
        let text = self.image(&["info", "-U", "--output=json", "-f", source.format.name(), &source.path])?;
        let facts: Value = serde_json::from_str(&text).unwrap_or_default();
        let elsewhere = facts.get("backing-filename").is_some()
            || facts.pointer("/format-specific/data/data-file").is_some()
            || facts.get("encrypted").is_some();
        if elsewhere {
            return Err(Failure::Failed(format!("The image {} leads to other files.", source.path)));
        }
        let size = facts.get("virtual-size").and_then(Value::as_u64);
        size.ok_or_else(|| Failure::Failed(format!("The image {} has no size.", source.path)))
    }

    /// Make what a machine boots from, unless it is there: its image with what it will write beside it, or an empty disk.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn ensure_root(&self, entity: &Entity, image: Option<&Source>) -> Result<(), Failure> {
        let path = root(&entity.seq);
        if self.exists(&path) {
            return Ok(());
        }
        let folder = machine(&entity.seq);
        self.folder(&folder)?;
        let part = format!("{folder}/root.part");
        let wanted = entity.attributes.get(EPHEMERAL).and_then(Value::as_f64).map_or(0, bytes);
        match image {
            Some(source) => {
                let size = self.size(source)?.max(wanted).max(LEAST).to_string();
                // A path in a qcow2 file counts from where that file is.
                let base =
                    if source.path.starts_with('/') { source.path.clone() } else { format!("../../{}", source.path) };
                let format = source.format.name();
                self.image(&["create", "-q", "-f", "qcow2", "-b", &base, "-F", format, &part, &size])?;
            }
            None => {
                self.image(&["create", "-q", "-f", "qcow2", &part, &wanted.max(LEAST).to_string()])?;
            }
        }
        self.rename(&part, &path)
    }

    /// Make the disk of a storage, unless it is there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn ensure_storage(&self, entity: &Entity) -> Result<String, Failure> {
        let path = storage(&entity.seq);
        if !self.exists(&path) {
            self.folder("storages")?;
            let size = bytes(entity.attributes.get(SIZE).and_then(Value::as_f64).unwrap_or_default());
            let part = format!("{path}.part");
            self.image(&["create", "-q", "-f", "qcow2", &part, &size.to_string()])?;
            self.rename(&part, &path)?;
        }
        Ok(path)
    }

    /// An empty disk as large as a machine's, for a copy of it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn blank_like(&self, seq: &str, path: &str) -> Result<(), Failure> {
        self.folder("saved")?;
        let text = self.image(&["info", "-U", "--output=json", "-f", "qcow2", &root(seq)])?;
        let facts: Value = serde_json::from_str(&text).unwrap_or_default();
        let size = facts.get("virtual-size").and_then(Value::as_u64).unwrap_or(LEAST);
        self.image(&["create", "-q", "-f", "qcow2", path, &size.to_string()]).map(drop)
    }

    /// Enlarge a disk that nobody uses.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn resize(&self, path: &str, size: u64) -> Result<(), Failure> {
        self.image(&["resize", "-q", "-f", "qcow2", path, &size.to_string()]).map(drop)
    }

    /// Copy a disk that nobody uses, whole.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn copy(&self, from: &str, to: &str) -> Result<(), Failure> {
        let part = format!("{to}.part");
        self.image(&["convert", "-f", "qcow2", "-O", "qcow2", from, &part])?;
        self.rename(&part, to)
    }

    /// What a disk that nobody uses has noted.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn snapshots(&self, path: &str) -> Result<Vec<String>, Failure> {
        let text = self.image(&["info", "--output=json", "-f", "qcow2", path])?;
        Ok(snapshots_of(&serde_json::from_str(&text).unwrap_or_default()))
    }

    /// Take what a disk that nobody uses has noted out of it. If it has nothing of that name it is as good.
    pub fn forget(&self, path: &str, name: &str) {
        // It costs space only if it stays.
        let _ = self.image(&["snapshot", "-d", name, path]);
    }

    /// Note what a disk that nobody uses has now.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn snapshot(&self, path: &str, name: &str) -> Result<(), Failure> {
        self.image(&["snapshot", "-c", name, path]).map(drop)
    }
}

impl Workshop for Disks<'_> {
    fn folder(&self, path: &str) -> Result<(), Failure> {
        Disks::folder(self, path)
    }

    fn size(&self, source: &Source) -> Result<u64, Failure> {
        Disks::size(self, source)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        Disks::rename(self, from, to)
    }

    fn remove(&self, path: &str) -> Result<(), Failure> {
        Disks::remove(self, path)
    }
}
