//! Texts of any length: short ones as values, long ones as blobs.
//!
//! A value holds 256 KiB and a commit 1 MiB, a bag 1 MiB. Invariant: a blob's name is used once, so a reader that
//! finds it gone knows that a newer text has taken its place.

use plugbay_sdk::kv::{self, Transaction};
use plugbay_sdk::{Problem, blobs, crypto};
use serde::{Deserialize, Serialize};

/// Longest text kept as a value, in bytes.
const INLINE: usize = 128 * 1024;

/// Where a text is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bulk {
    /// In a key.
    Key(String),
    /// In a blob.
    Blob(String),
}

impl Bulk {
    /// Have a transaction keep a text. `key` is where a short one goes.
    ///
    /// # Errors
    /// Those of the host.
    pub fn put(tx: &mut Transaction, key: &str, text: &str) -> Result<Bulk, Problem> {
        if text.len() <= INLINE {
            tx.put(key, text);
            return Ok(Bulk::Key(key.to_owned()));
        }
        let name = format!("{key}/{}", crypto::hex(&crypto::random(32)?));
        let piece = blobs::write(text.as_bytes(), &[])?;
        tx.attach(name.as_str(), &piece);
        tx.delete(key);
        Ok(Bulk::Blob(name))
    }

    /// Have a transaction forget a text.
    pub fn forget(&self, tx: &mut Transaction) {
        match self {
            Bulk::Key(key) => tx.delete(key.as_str()),
            Bulk::Blob(name) => tx.drop_blob(name.as_str()),
        };
    }

    /// The text; none if a newer one has taken its place meanwhile.
    ///
    /// # Errors
    /// Those of the host.
    pub fn read(&self) -> Result<Option<String>, Problem> {
        let bytes = match self {
            Bulk::Key(key) => kv::get(key)?.map(|entry| entry.value),
            Bulk::Blob(name) => match blobs::read(&plugbay_sdk::BlobRange::whole(name)) {
                Ok(bytes) => Some(bytes),
                Err(blobs::Error::NotFound) => None,
                Err(error) => return Err(error.into()),
            },
        };
        bytes.map(|bytes| String::from_utf8(bytes).map_err(Problem::internal)).transpose()
    }
}
