//! Writing more than one commit holds, in as many as it takes.
//!
//! For writes that need not be seen together and depend on nothing that was read.

use plugbay_sdk::kv::{self, Error, Transaction};
use serde::Serialize;

/// Ops of one commit; leaves room below the contract's 96.
const OPS: usize = 80;
/// Bytes of one commit; below the contract's 1 MiB.
const BYTES: usize = 700 * 1024;

/// Puts and deletes that are committed when there are enough of them.
#[derive(Default)]
pub struct Writer {
    tx: Transaction,
    bytes: usize,
}

impl Writer {
    /// Write a key as JSON.
    ///
    /// # Errors
    /// Those of the store.
    pub fn put<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), Error> {
        let value = serde_json::to_vec(value).map_err(|error| Error::Invalid(error.to_string()))?;
        let size = key.len() + value.len();
        if self.tx.size() >= OPS || self.bytes + size > BYTES {
            self.flush()?;
        }
        self.bytes += size;
        self.tx.put(key, value);
        Ok(())
    }

    /// Delete a key.
    ///
    /// # Errors
    /// Those of the store.
    pub fn delete(&mut self, key: String) -> Result<(), Error> {
        if self.tx.size() >= OPS {
            self.flush()?;
        }
        self.tx.delete(key);
        Ok(())
    }

    /// Drop a blob.
    ///
    /// # Errors
    /// Those of the store.
    pub fn drop_blob(&mut self, name: String) -> Result<(), Error> {
        if self.tx.size() >= OPS {
            self.flush()?;
        }
        self.tx.drop_blob(name);
        Ok(())
    }

    /// Delete all keys with a prefix.
    ///
    /// # Errors
    /// Those of the store.
    pub fn delete_all(&mut self, prefix: &str) -> Result<(), Error> {
        for entry in kv::prefix(prefix) {
            self.delete(entry?.key)?;
        }
        Ok(())
    }

    /// Commit what is left.
    ///
    /// # Errors
    /// Those of the store.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.bytes = 0;
        let tx = std::mem::take(&mut self.tx);
        if tx.size() > 0 {
            tx.commit()?;
        }
        Ok(())
    }
}
