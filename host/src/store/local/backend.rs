//! What the local engine needs of the place where bytes are kept.

use std::sync::Arc;

use bytes::Bytes;

use crate::store::engine::StoreError;

/// One write: a key, and its new value or nothing.
pub(crate) type Write = (Bytes, Option<Bytes>);

/// An ordered map of bytes that can be made durable. One thread writes, many read.
///
/// Keys that begin with two zero bytes and values that do not begin with a zero byte are the
/// backend's own; nobody else uses them, and a scan does not show them.
pub(crate) trait Backend: Send + Sync + 'static {
    /// The value of one key, as last applied.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Visit the keys from `start` to before `end` in order, or the other way round, until `visit`
    /// says false. Sees no batch half applied if the caller keeps batches out meanwhile.
    fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut dyn FnMut(Bytes, Bytes) -> bool,
    ) -> Result<(), StoreError>;

    /// Asked before a group of commits is looked at. An error refuses the group and harms nothing.
    fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Write all of it or, as seen after a crash, nothing of it. Not durable yet.
    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError>;

    /// Make durable what was applied.
    fn flush(&self) -> Result<(), StoreError>;
}

impl<B: Backend> Backend for Arc<B> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        (**self).get(key)
    }

    fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut dyn FnMut(Bytes, Bytes) -> bool,
    ) -> Result<(), StoreError> {
        (**self).scan(start, end, reverse, visit)
    }

    fn ready(&self) -> Result<(), StoreError> {
        (**self).ready()
    }

    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        (**self).apply(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        (**self).flush()
    }
}
