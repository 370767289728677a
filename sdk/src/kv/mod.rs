//! The plugin's key space: reads, typed reads, scans by page, and transactions.
//!
//! Keys, limits and what is durable when are in the contract; this module adds JSON, paging and retry.

mod scan;
mod transaction;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::plugbay::plugin::kv::{Attachment, Check, Entry, Error, Op, Page, Range};
pub use crate::capability::kv::{commit, get, scan};
pub use scan::{Iter, Scan, prefix, prefix_end, range};
pub use transaction::{COMMIT_LIMIT, Committed, Transaction, transact};

/// A decoded value and the version of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<T> {
    /// The value.
    pub value: T,
    /// The key's version, for checks and entity tags.
    pub version: u64,
}

/// The value of a key, read as JSON.
///
/// # Errors
/// Those of the store, and `Invalid` if the value is not JSON of this shape.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<Stored<T>>, Error> {
    get(key)?.map(|entry| entry.json()).transpose()
}

impl Entry {
    /// The value read as JSON, with its version.
    ///
    /// # Errors
    /// `Invalid` if it is not JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<Stored<T>, Error> {
        match serde_json::from_slice(&self.value) {
            Ok(value) => Ok(Stored { value, version: self.version }),
            Err(error) => Err(Error::Invalid(format!("the value of `{}` does not read: {error}", self.key))),
        }
    }
}

pub(crate) fn encode<T: Serialize + ?Sized>(what: &str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Invalid(format!("the value of `{what}` is not JSON: {error}")))
}
