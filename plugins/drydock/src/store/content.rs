//! Text of any length under a key: in the key itself, or in a blob beside it when it is long.

use plugbay_sdk::kv::{self, Transaction};
use plugbay_sdk::{BlobRange, blobs};
use serde::{Deserialize, Serialize};

use super::ids;
use crate::fault::Broken;
use crate::time::Moment;

/// Longest text kept in the key itself; a value has 256 KiB, and JSON may double text.
const INLINE: usize = 64 * 1024;

/// A text, or the blob that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Here.
    #[serde(rename = "text")]
    Text(String),
    /// There.
    #[serde(rename = "blob")]
    Blob(String),
}

impl Content {
    /// Take a text; a blob is attached by the transaction.
    ///
    /// # Errors
    /// Those of the host.
    pub fn keep(tx: &mut Transaction, text: &str, now: Moment) -> Result<Content, Broken> {
        if text.len() <= INLINE {
            return Ok(Content::Text(text.to_owned()));
        }
        let name = ids::order(now)?;
        let mut pieces = Vec::new();
        for part in text.as_bytes().chunks(usize::try_from(blobs::READ_LIMIT).unwrap_or(INLINE)) {
            pieces.push(blobs::write(part, &[])?);
        }
        let ranges: Vec<BlobRange> = pieces.iter().map(plugbay_sdk::Piece::range).collect();
        let whole = blobs::concat(&ranges, &[])?;
        tx.attach(&*name, &whole);
        Ok(Content::Blob(name))
    }

    /// Have this text under a key, in place of what was there.
    ///
    /// # Errors
    /// Those of the host.
    pub fn replace(key: &str, text: &str, now: Moment) -> Result<(), Broken> {
        kv::transact(|tx| {
            let old = tx.get_json::<Content>(key)?;
            if let Some(blob) = old.as_ref().and_then(|old| old.value.blob()) {
                tx.drop_blob(blob);
            }
            let content = Content::keep(tx, text, now)?;
            tx.put_json(key, &content)?;
            Ok::<_, Broken>(())
        })?;
        Ok(())
    }

    /// The text.
    ///
    /// # Errors
    /// Those of the host.
    pub fn read(&self) -> Result<String, Broken> {
        let name = match self {
            Content::Text(text) => return Ok(text.clone()),
            Content::Blob(name) => name,
        };
        let size = blobs::size(name)?.ok_or(blobs::Error::NotFound)?;
        let mut bytes = Vec::new();
        let mut offset = 0;
        while offset < size {
            let length = blobs::READ_LIMIT.min(size - offset);
            bytes.extend(blobs::read(&BlobRange::part(name, offset, length))?);
            offset += length;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The blob, if there is one.
    pub fn blob(&self) -> Option<&str> {
        match self {
            Content::Text(_) => None,
            Content::Blob(name) => Some(name),
        }
    }
}
