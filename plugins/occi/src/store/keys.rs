//! The layout of the key space of OCCI. Every key of it is made here.
//!
//! | key | value | for |
//! | --- | --- | --- |
//! | `SPACE/ePATH` | entity record, JSON | the truth |
//! | `SPACE/a/SEQ` | path | all entities, by creation |
//! | `SPACE/c/CATEGORY/SEQ` | path | entities of a kind or with a mixin |
//! | `SPACE/f/PAIR/SEQ` | path | entities with this value of this attribute |
//! | `SPACE/i/PATH-HASH/SEQ` | path of the link | links that lead to an entity |
//! | `SPACE/x/a`, `SPACE/x/c/CATEGORY` | nothing | its version says when something of that list last came or went elsewhere than at its end |
//! | `SPACE/m/ID` | mixin, JSON | mixins of clients, and templates made by `save` |
//! | `SPACE/lLOCATION` | id | from a location to such a mixin |
//! | `machine/SEQ` | record, JSON | what QEMU does for a machine, with its name space and path |
//!
//! `SPACE` is the name space of a project or user. `CATEGORY`, `PAIR` and `PATH-HASH` are 128 bits of a hash.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::TypeId;

/// 128 bits of a hash, hexadecimal.
pub fn digest(text: &str) -> String {
    let whole = Sha256::digest(text.as_bytes());
    plugbay_sdk::crypto::hex(whole.get(..16).unwrap_or_default())
}

/// Prefix of what is kept of machines, of all name spaces.
pub const MACHINES: &str = "machine/";

/// The keys of one name space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    space: String,
}

impl Keys {
    /// Of the name space of this owner.
    pub fn of(owner: &str) -> Keys {
        Keys { space: digest(owner) }
    }

    /// Of a name space whose name is known.
    pub fn within(space: &str) -> Keys {
        Keys { space: space.to_owned() }
    }

    /// The name space itself, as other layouts use it.
    pub fn space(&self) -> &str {
        &self.space
    }

    /// Key of an entity's record; a path that ends in `/` is the prefix of all below it.
    pub fn entity(&self, path: &str) -> String {
        format!("{}/e{path}", self.space)
    }

    /// Prefix of all entities.
    pub fn all(&self) -> String {
        format!("{}/a/", self.space)
    }

    /// Prefix of the entities of a kind or with a mixin.
    pub fn category(&self, id: &TypeId) -> String {
        format!("{}/c/{}/", self.space, digest(id.as_str()))
    }

    /// Prefix of the entities with this value of this attribute.
    pub fn pair(&self, name: &str, value: &Value) -> String {
        // Numbers are the same however they are written.
        let value = match value.as_f64() {
            Some(number) => number.to_string(),
            None => value.to_string(),
        };
        format!("{}/f/{}/", self.space, digest(&format!("{name}={value}")))
    }

    /// Prefix of the links that lead to an entity.
    pub fn incoming(&self, path: &str) -> String {
        format!("{}/i/{}/", self.space, digest(path))
    }

    /// Key that is written when something of a list comes or goes elsewhere than at its end; by the list's prefix or one
    /// of its postings. None for lists of which that is not kept.
    pub fn changes(&self, of_list: &str) -> Option<String> {
        let rest =
            of_list.strip_prefix(&self.space).filter(|rest| rest.starts_with("/a/") || rest.starts_with("/c/"))?;
        let (list, _) = rest.rsplit_once('/')?;
        Some(format!("{}/x{list}", self.space))
    }

    /// Key of a mixin that a client defined.
    pub fn mixin(&self, id: &TypeId) -> String {
        format!("{}/m/{id}", self.space)
    }

    /// Prefix of the mixins that clients defined.
    pub fn mixins(&self) -> String {
        format!("{}/m/", self.space)
    }

    /// Key from a location to such a mixin.
    pub fn location(&self, location: &str) -> String {
        format!("{}/l{location}", self.space)
    }
}
