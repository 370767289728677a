//! How the local engine lays out a backend.
//!
//! Callers' keys are stored as they are, the engine's own keys begin with a zero byte. Every value
//! is preceded by its version, eight bytes, most significant first. No version comes near 2^56, so
//! every stored value begins with a zero byte.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::store::engine::{Commit, CommitError, MAX_COMMIT, MAX_ITEMS, MAX_KEY, MAX_VALUE, Op, StoreError, Usage};

/// The first key that is not the engine's own.
pub(super) const FIRST: &[u8] = &[1];
/// Format of this layout; its version is [`FORMAT_VERSION`].
pub(super) const FORMAT: &[u8] = b"\0format";
/// What this code reads and writes.
pub(super) const FORMAT_VERSION: u64 = 1;
/// There while an import is not complete.
pub(super) const IMPORTING: &[u8] = b"\0importing";
/// Its version is the revision of the store.
pub(super) const REVISION: &[u8] = b"\0revision";
/// Followed by the name of a counter.
pub(super) const COUNTER: &[u8] = b"\0counter/";
/// Followed by a measured prefix.
pub(super) const USAGE: &[u8] = b"\0usage/";
/// Bytes of the version before each value.
const HEAD: usize = size_of::<u64>();

pub(super) fn own_key(area: &[u8], name: &[u8]) -> Bytes {
    let mut key = BytesMut::with_capacity(area.len() + name.len());
    key.put_slice(area);
    key.put_slice(name);
    key.freeze()
}

/// The stored form of a value.
pub(super) fn encode(version: u64, value: &[u8]) -> Bytes {
    let mut raw = BytesMut::with_capacity(HEAD + value.len());
    raw.put_u64(version);
    raw.put_slice(value);
    raw.freeze()
}

/// Version and value of a stored form. The value shares the bytes.
pub(super) fn decode(mut raw: Bytes) -> Result<(u64, Bytes), StoreError> {
    let version = raw.try_get_u64().map_err(|_| damaged())?;
    Ok((version, raw))
}

/// What a key and its stored value count towards usage.
pub(super) fn cost(key: &[u8], raw: &[u8]) -> u64 {
    (key.len() + raw.len().saturating_sub(HEAD)) as u64
}

pub(super) fn encode_usage(version: u64, usage: Usage) -> Bytes {
    let mut value = [0; 2 * HEAD];
    let mut rest = value.as_mut_slice();
    rest.put_u64(usage.bytes);
    rest.put_u64(usage.keys);
    encode(version, &value)
}

/// The usage in a value without its version.
pub(super) fn decode_usage(mut value: Bytes) -> Result<Usage, StoreError> {
    let bytes = value.try_get_u64().map_err(|_| damaged())?;
    let keys = value.try_get_u64().map_err(|_| damaged())?;
    Ok(Usage { bytes, keys })
}

pub(super) fn encode_number(version: u64, number: u64) -> Bytes {
    encode(version, &number.to_be_bytes())
}

/// The number in a value without its version.
pub(super) fn decode_number(mut value: Bytes) -> Result<u64, StoreError> {
    value.try_get_u64().map_err(|_| damaged())
}

fn damaged() -> StoreError {
    StoreError::Read("a stored value is shorter than its own header".into())
}

/// Whether callers may use this key.
pub(super) fn check_key(key: &[u8]) -> Result<(), StoreError> {
    match key.first() {
        Some(first) if *first != 0 && key.len() <= MAX_KEY => Ok(()),
        _ => Err(StoreError::InvalidKey),
    }
}

/// Whether the commit is within the limits; its size in bytes.
pub(super) fn check_commit(commit: &Commit) -> Result<usize, CommitError> {
    let invalid = |text: String| Err(CommitError::Invalid(text));
    let Commit { checks, ops, quota, charges } = commit;
    if checks.len().max(ops.len()).max(charges.len()) > MAX_ITEMS {
        return invalid(format!("a commit has at most {MAX_ITEMS} checks, operations and charges each"));
    }
    let counters = charges.iter().map(|charge| &charge.counter);
    let keys = checks.iter().map(|check| &check.key).chain(ops.iter().map(Op::key)).chain(counters);
    let mut size = 0;
    for key in keys.chain(quota.iter().map(|quota| &quota.prefix)) {
        check_key(key).map_err(|error| CommitError::Invalid(error.to_string()))?;
        size += key.len();
    }
    for op in ops {
        let Op::Put { value, .. } = op else { continue };
        if value.len() > MAX_VALUE {
            return invalid(format!("a value of {} bytes is longer than {MAX_VALUE}", value.len()));
        }
        size += value.len();
    }
    if size > MAX_COMMIT {
        return invalid(format!("a commit of {size} bytes is larger than {MAX_COMMIT}"));
    }
    let mut written: Vec<_> = ops.iter().map(Op::key).collect();
    written.sort_unstable();
    if written.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return invalid("a commit writes the same key twice".into());
    }
    Ok(size)
}
