//! Where things are in the store: the first bytes of every key.
//!
//! A key is an area byte, one byte for the length of the plugin's name, the name, and the rest. Areas
//! never begin with a zero byte, which is the engine's own. Keys of one plugin and area are together
//! and in the order of their rest.

use bytes::{BufMut, Bytes, BytesMut};

/// An area of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Area {
    /// What plugins write.
    Keys = b'k',
    /// Names of blobs, with the piece that holds each.
    Blobs = b'b',
    /// Durable jobs.
    Jobs = b'j',
    /// What the host remembers of a plugin, and of itself under the empty name.
    Plugin = b'p',
    /// Keys that the host keeps for plugins, sealed.
    Secrets = b'y',
    /// Secrets that plugins handed over to the host, sealed.
    Vault = b'v',
}

/// The prefix of one plugin's keys in one area.
#[derive(Debug, Clone)]
pub struct Prefix(Bytes);

impl Prefix {
    /// The prefix for `plugin`, whose name is at most 255 bytes (configuration bounds it to 64).
    pub fn new(area: Area, plugin: &str) -> Self {
        let mut prefix = BytesMut::with_capacity(2 + plugin.len());
        prefix.put_u8(area as u8);
        prefix.put_u8(u8::try_from(plugin.len()).unwrap_or(u8::MAX));
        prefix.put_slice(plugin.as_bytes());
        Self(prefix.freeze())
    }

    /// The prefix itself.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The key with this rest.
    pub fn key(&self, rest: &[u8]) -> Bytes {
        let mut key = BytesMut::with_capacity(self.0.len() + rest.len());
        key.put_slice(&self.0);
        key.put_slice(rest);
        key.freeze()
    }

    /// The rest of a key that has this prefix.
    pub fn rest<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        key.get(self.0.len()..).unwrap_or_default()
    }

    /// The first key behind all with this prefix: names end in a byte that can be counted up.
    pub fn end(&self) -> Bytes {
        let mut end = BytesMut::from(&self.0[..]);
        if let Some(last) = end.last_mut() {
            *last = last.saturating_add(1);
        }
        end.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_plugin_sees_anothers_keys() {
        let (one, other) = (Prefix::new(Area::Keys, "a"), Prefix::new(Area::Keys, "ab"));
        assert!(!other.key(b"x").starts_with(one.bytes()));
        let last = char::MAX.to_string();
        let key = one.key(last.as_bytes());
        assert!(key < one.end() && key >= one.key(b""));
        assert_eq!(one.rest(&key), last.as_bytes());
    }
}
