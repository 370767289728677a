//! What is kept of a CDMI object, and the keys of that.
//!
//! | key | value | for |
//! | --- | --- | --- |
//! | `SPACE/d/ID` | record, JSON | an object; the value of a data object is the blob it names |
//! | `SPACE/n/ID/NAME` | `o` or `c` and an id | what is called so in a container, in the order of names |
//!
//! Invariant: whoever adds a name to a container writes the container's record too, so that none is left behind in one
//! that is deleted meanwhile.

use plugbay_sdk::kv;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id;
use crate::{
    fault::Fault,
    store::{batch::Batch, keys::Keys},
};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Holds others.
    Container,
    /// Holds a value.
    DataObject,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Object id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its name, without a slash; empty for the root and for what has an id only.
    pub name: String,
    /// Id of its container.
    pub parent: Option<String>,
    /// Items of the user.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Microseconds since 1970.
    pub created: u64,
    /// Likewise.
    pub modified: u64,
    /// How often it was modified.
    #[serde(default)]
    pub changes: u64,
    /// Who made it.
    pub owner: String,
    /// Media type of the value.
    #[serde(default)]
    pub mimetype: String,
    /// Whether the value goes as text.
    #[serde(default)]
    pub utf8: bool,
    /// Bytes of the value.
    #[serde(default)]
    pub size: u64,
    /// Blob with the value.
    #[serde(default)]
    pub blob: Option<String>,
    /// File with the value, in place of a blob: it is, or was, a machine's disk.
    #[serde(default)]
    pub file: Option<String>,
    /// Whether more of the value is to come.
    #[serde(default)]
    pub partial: bool,
    /// Exports of a container.
    #[serde(default)]
    pub exports: Map<String, Value>,
    /// Path of the OCCI storage that a container is.
    #[serde(default)]
    pub storage: Option<String>,
    /// Id of the data object that is this storage's disk, once that is settled.
    #[serde(default)]
    pub image: Option<String>,
}

/// A record and the version of its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The record.
    pub record: Record,
    /// The version; none for a root that nothing was written to yet.
    pub version: Option<u64>,
}

/// Microseconds since 1970.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Record {
    /// A new object of this kind.
    pub fn new(id: String, kind: Kind, name: &str, parent: Option<String>, owner: &str) -> Record {
        let now = now();
        Record {
            id,
            kind,
            name: name.to_owned(),
            parent,
            metadata: Map::new(),
            created: now,
            modified: now,
            changes: 0,
            owner: owner.to_owned(),
            mimetype: String::new(),
            utf8: true,
            size: 0,
            blob: None,
            file: None,
            partial: false,
            exports: Map::new(),
            storage: None,
            image: None,
        }
    }

    /// Changed just now.
    pub fn touch(&mut self) {
        self.modified = now();
        self.changes += 1;
    }
}

/// Key of an object.
pub fn key(keys: &Keys, id: &str) -> String {
    format!("{}/d/{id}", keys.space())
}

/// Prefix of the names in a container.
pub fn names(keys: &Keys, container: &str) -> String {
    format!("{}/n/{container}/", keys.space())
}

/// Id of the root of a name space.
pub fn root_id(keys: &Keys) -> String {
    id::of(keys.space())
}

/// The object with an id. The root is always there.
///
/// # Errors
/// Those of the store.
pub fn by_id(keys: &Keys, id: &str) -> Result<Option<Kept>, Fault> {
    if let Some(stored) = kv::get_json::<Record>(&key(keys, id))? {
        return Ok(Some(Kept { record: stored.value, version: Some(stored.version) }));
    }
    let root = (id == root_id(keys)).then(|| Record {
        created: 0,
        modified: 0,
        ..Record::new(id.to_owned(), Kind::Container, "", None, "")
    });
    Ok(root.map(|record| Kept { record, version: None }))
}

/// What is called so in a container: its kind and id.
///
/// # Errors
/// Those of the store.
pub fn child(keys: &Keys, container: &str, name: &str) -> Result<Option<(Kind, String)>, Fault> {
    let entry = kv::get(&format!("{}{name}", names(keys, container)))?;
    entry.map(|entry| leads_to(entry.value)).transpose()
}

/// Kind and id of what a name leads to.
pub fn leads_to(value: Vec<u8>) -> Result<(Kind, String), Fault> {
    let text = String::from_utf8(value).map_err(Fault::internal)?;
    let kind = if text.starts_with('c') { Kind::Container } else { Kind::DataObject };
    Ok((kind, text.get(1..).unwrap_or_default().to_owned()))
}

/// Give an object its name in a container.
pub fn enter(keys: &Keys, batch: &mut Batch, record: &Record) {
    if let Some(parent) = &record.parent {
        let name = format!("{}{}", names(keys, parent), record.name);
        let letter = if record.kind == Kind::Container { 'c' } else { 'o' };
        batch.unchanged(&name, None);
        batch.put(name, &format!("{letter}{}", record.id));
    }
}

/// Path of an object, with a slash at the end if it is a container; none if it has an id only.
///
/// # Errors
/// Those of the store.
pub fn path(keys: &Keys, record: &Record) -> Result<Option<String>, Fault> {
    let slash = if record.kind == Kind::Container { "/" } else { "" };
    let Some(parent) = &record.parent else {
        return Ok((record.id == root_id(keys)).then(|| "/".to_owned()));
    };
    let mut path = format!("{}{slash}", record.name);
    let mut parent = parent.clone();
    while let Some(kept) = by_id(keys, &parent)? {
        let Some(next) = kept.record.parent else { break };
        path = format!("{}/{path}", kept.record.name);
        parent = next;
    }
    Ok(Some(format!("/{path}")))
}
