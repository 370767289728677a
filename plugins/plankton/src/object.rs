//! An object as it is kept: one record for what it is now, the same record for what it was.
//!
//! Owns the record, its limits and how metadata headers change it. It does not read or write the
//! store. Invariant: the two metadata domains, the object store's own and the image registry's,
//! never mix; permissions and publicity belong to the path and live exactly as long as the object at it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    conditions::Current,
    faults::Fault,
    headers::{Headers, metadata_name},
    image,
    merkle::{BLOCK_SIZE, EMPTY, Hash, hex, unhex},
    sharing::Permissions,
    time::Moment,
};

/// Most characters of a container's name.
pub const CONTAINER_NAME: usize = 256;
/// Most characters of an object's name.
pub const OBJECT_NAME: usize = 1024;
/// Most bytes of one request's body: 5 GiB.
pub const BODY: u64 = 5 * 1024 * 1024 * 1024;
/// Most entries in one metadata domain.
pub const ENTRIES: usize = 32;
/// MD5 of nothing.
const EMPTY_MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
/// Most characters of a metadata name with its header prefix.
const META_NAME: usize = 128;
/// Most metadata headers of one request.
const HEADERS: usize = 90;
/// Most characters of a metadata value.
pub const META_VALUE: usize = 256;

/// One object, or one version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// The account it is in, which owns it.
    pub account: String,
    /// Name of its container.
    pub container: String,
    /// Id of its container.
    pub container_id: String,
    /// Its own name.
    pub name: String,
    /// A random uuid, kept over overwriting and moving.
    pub uuid: String,
    /// Number of this version; grows with every version at this path.
    pub version: u64,
    /// When this version was made.
    pub modified: Moment,
    /// Who made it.
    pub modified_by: String,
    /// Its bytes.
    pub content: Content,
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Encoding`, `Content-Disposition`, `X-Object-Manifest`, as far as given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub presentation: BTreeMap<String, String>,
    /// The object store's metadata domain, by normal name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
    /// The image registry's metadata domain; what makes the object an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<image::Metadata>,
    /// Who else may read and write it.
    #[serde(default, skip_serializing_if = "Permissions::is_empty")]
    pub permissions: Permissions,
    /// The id under which everyone may read it without a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// In a history only: this version ended the object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// Bytes of an object: how many, what they hash to, and which blocks they are in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// Root over the block hashes, hexadecimal.
    pub root: String,
    /// MD5 over the bytes, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Under which the blocks are referenced; empty if there are none to keep.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub map: String,
    /// The blocks.
    pub blocks: Blocks,
}

impl Content {
    /// Nothing.
    pub fn empty() -> Content {
        Content {
            size: 0,
            root: hex(&EMPTY),
            md5: Some(EMPTY_MD5.to_owned()),
            map: String::new(),
            blocks: Blocks::Inline(Vec::new()),
        }
    }
}

/// The blocks of an object, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blocks {
    /// All of them.
    Inline(Vec<Block>),
    /// That many, in the map's chunks.
    Mapped(u64),
}

/// One block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Hash of its bytes without trailing NULs.
    pub hash: Hash,
    /// Bytes kept of it, which may be fewer or more than the object has; what is missing is NUL.
    pub kept: u32,
}

impl Block {
    /// Bytes of a block in a map chunk.
    pub const PACKED: usize = 36;

    /// A block of NULs: nothing is kept of it.
    pub const ZEROS: Block = Block { hash: EMPTY, kept: 0 };

    /// Append the packed form: hash, then the count big-endian.
    pub fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&self.kept.to_be_bytes());
    }

    /// The inverse of [`Block::pack`].
    pub fn unpack(packed: &[u8]) -> Option<Block> {
        let (hash, kept) = packed.split_at_checked(32)?;
        Some(Block { hash: hash.try_into().ok()?, kept: u32::from_be_bytes(kept.try_into().ok()?) })
    }
}

/// `hash:kept`, short enough to sit in a record.
impl Serialize for Block {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", hex(&self.hash), self.kept))
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Block, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.split_once(':')
            .and_then(|(hash, kept)| Some(Block { hash: unhex(hash)?, kept: kept.parse().ok()? }))
            .ok_or_else(|| serde::de::Error::custom("a block is hash:kept"))
    }
}

/// Number of blocks that this many bytes fill; an empty object has one.
pub fn block_count(size: u64) -> u64 {
    size.div_ceil(BLOCK_SIZE).max(1)
}

impl Object {
    /// `ETag`: the MD5, or the root where no MD5 is known.
    pub fn etag(&self) -> &str {
        self.content.md5.as_deref().unwrap_or(&self.content.root)
    }

    /// What conditions compare with.
    pub fn current(&self) -> Current {
        let root = unhex(&self.content.root).unwrap_or(EMPTY);
        Current::new(self.content.md5.as_deref(), &root, self.modified)
    }
}

/// The fields besides the type that say how bytes are to be taken, by folded header name.
pub const PRESENTATION: [&str; 3] = ["content-encoding", "content-disposition", "x-object-manifest"];

/// The presentation fields a request gives, an empty value included.
pub fn presentation(headers: &Headers) -> Result<Vec<(String, String)>, Fault> {
    let mut given = Vec::new();
    for name in PRESENTATION {
        if let Some(value) = headers.text(name)? {
            given.push((name.to_owned(), value));
        }
    }
    Ok(given)
}

/// The metadata a request gives under a header prefix such as `x-object-meta-`, by normal name.
pub fn metadata(headers: &Headers, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
    let given = headers.prefixed(prefix)?;
    if given.len() > HEADERS {
        return Err(Fault::bad_request("Too many headers"));
    }
    let mut named = Vec::with_capacity(given.len());
    for (name, value) in given {
        if name.is_empty() {
            continue;
        }
        if prefix.len() + name.chars().count() > META_NAME {
            return Err(Fault::bad_request("Header name too large"));
        }
        if value.chars().count() > META_VALUE {
            return Err(Fault::bad_request("Header value too large"));
        }
        named.push((metadata_name(&name), value));
    }
    Ok(named)
}

/// Lay what was given over what there is; an empty value deletes.
pub fn overlay(there: &mut BTreeMap<String, String>, given: Vec<(String, String)>) {
    for (name, value) in given {
        if value.is_empty() {
            there.remove(&name);
        } else {
            there.insert(name, value);
        }
    }
}

/// Refuse a domain of more than [`ENTRIES`] entries.
pub fn check_entries(count: usize) -> Result<(), Fault> {
    if count > ENTRIES {
        return Err(Fault::bad_request(format!(
            "A resource cannot have more than {ENTRIES} metadata items per domain"
        )));
    }
    Ok(())
}

/// Refuse a container name that is empty, longer than 256 characters, or holds a slash or NUL.
pub fn check_container_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.contains(['/', '\0']) {
        return Err(Fault::bad_request("Invalid container name"));
    }
    if name.chars().count() > CONTAINER_NAME {
        return Err(Fault::bad_request("Container name too large"));
    }
    Ok(())
}

/// Refuse an object name that is empty, longer than 1024 characters, or holds NUL.
pub fn check_object_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.contains('\0') {
        return Err(Fault::bad_request("Invalid object name"));
    }
    if name.chars().count() > OBJECT_NAME {
        return Err(Fault::bad_request("Object name too large"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn given(name: &str, value: &str) -> Result<Vec<(String, String)>, Fault> {
        metadata(&Headers::fold([(name, value.as_bytes())]), "x-object-meta-")
    }

    #[test]
    fn names_are_normal_and_limits_count_characters() {
        assert_eq!(given("X-Object-Meta-TRASH_can", "1").unwrap(), [("Trash-Can".to_owned(), "1".to_owned())]);
        let name = |n: usize| format!("x-object-meta-{}", "a".repeat(n));
        assert!(given(&name(114), "1").is_ok());
        assert!(given(&name(115), "1").is_err());
        assert!(given("x-object-meta-a", &"%C3%A9".repeat(256)).is_ok());
        assert!(given("x-object-meta-a", &"a".repeat(257)).is_err());
    }

    #[test]
    fn an_empty_value_deletes() {
        let mut meta = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        overlay(&mut meta, vec![("A".into(), String::new()), ("B".into(), "2".into())]);
        assert_eq!(meta, BTreeMap::from([("B".to_owned(), "2".to_owned())]));
    }

    #[test]
    fn names_of_the_longest_length_are_taken() {
        assert!(check_object_name(&"☂".repeat(1024)).is_ok());
        assert!(check_object_name(&"a".repeat(1025)).is_err());
        assert!(check_container_name(&"a".repeat(256)).is_ok());
        assert!(check_container_name(&"a".repeat(257)).is_err());
        assert!(check_container_name("a/b").is_err());
    }

    #[test]
    fn blocks_are_counted_by_size() {
        assert_eq!([0, 1, BLOCK_SIZE, BLOCK_SIZE + 1].map(block_count), [1, 1, 1, 2]);
    }

    proptest! {
        #[test]
        fn a_packed_block_unpacks_to_itself(hash in any::<[u8; 32]>(), kept in any::<u32>()) {
            let block = Block { hash, kept };
            let mut packed = Vec::new();
            block.pack(&mut packed);
            prop_assert_eq!(packed.len(), Block::PACKED);
            prop_assert_eq!(Block::unpack(&packed), Some(block));
            let json = serde_json::to_string(&block).unwrap();
            prop_assert_eq!(serde_json::from_str::<Block>(&json).unwrap(), block);
        }
    }
}
