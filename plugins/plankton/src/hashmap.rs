//! Hashmaps: an object's content as the list of its blocks' hashes, in JSON.
//!
//! Owns both directions of the format and the rules by which one is refused. Whether the blocks are
//! there is the store's to say. Invariant: a map that was read has as many hashes as its size needs.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};

use crate::{
    faults::Fault,
    merkle::{ALGORITHM, BLOCK_SIZE, EMPTY, Hash, hex, unhex},
};

/// Most hashes of one map: objects of up to 256 GiB.
pub const HASHES: usize = 65_536;

/// Most bytes of the JSON.
pub const BODY: u64 = 8 * 1024 * 1024;

/// The content that a client describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashmap {
    /// Bytes.
    pub bytes: u64,
    /// Hash of each block, in order; at least one.
    pub hashes: Vec<Hash>,
}

#[derive(Deserialize)]
struct Written {
    bytes: u64,
    hashes: Hashes,
}

/// The hashes, read one by one: a list of texts would take three times the memory.
struct Hashes {
    found: Vec<Hash>,
    /// The first that is no hash.
    bad: Option<String>,
}

impl<'de> Deserialize<'de> for Hashes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hashes, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Hashes;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of hashes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Hashes, A::Error> {
                let mut hashes = Hashes { found: Vec::new(), bad: None };
                while let Some(text) = list.next_element::<std::borrow::Cow<'_, str>>()? {
                    match unhex(&text) {
                        _ if hashes.found.len() == HASHES => return Err(de::Error::custom("too many hashes")),
                        Some(hash) => hashes.found.push(hash),
                        None => {
                            hashes.bad.get_or_insert_with(|| text.chars().take(80).collect());
                        }
                    }
                }
                Ok(hashes)
            }
        }
        deserializer.deserialize_seq(Reading)
    }
}

impl Hashmap {
    /// Read `{"bytes": n, "hashes": ["hex", …]}`; more keys are passed over. 400 with the reason if it
    /// is not such JSON, if the number of hashes is not what the size needs, or if one is no hash. A
    /// map of no bytes has no hash, or the empty block's.
    pub fn parse(json: &[u8]) -> Result<Hashmap, Fault> {
        let written: Written =
            serde_json::from_slice(json).map_err(|_| Fault::bad_request("Invalid data formatting"))?;
        let Hashes { mut found, bad } = written.hashes;
        if let Some(bad) = bad {
            return Err(Fault::bad_request(format!("Invalid hash: {bad}")));
        }
        let fits = match written.bytes {
            0 => found.is_empty() || found == [EMPTY],
            bytes => bytes.div_ceil(BLOCK_SIZE) == found.len() as u64,
        };
        if !fits {
            return Err(Fault::bad_request("The number of hashes does not fit the size"));
        }
        if found.is_empty() {
            found.push(EMPTY);
        }
        Ok(Hashmap { bytes: written.bytes, hashes: found })
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    block_size: u64,
    block_hash: &'a str,
    bytes: u64,
    hashes: Vec<String>,
}

/// The JSON that clients read.
pub fn render(bytes: u64, hashes: impl Iterator<Item = Hash>) -> impl Serialize {
    Shown { block_size: BLOCK_SIZE, block_hash: ALGORITHM, bytes, hashes: hashes.map(|hash| hex(&hash)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(json: &str) -> String {
        Hashmap::parse(json.as_bytes()).unwrap_err().message
    }

    #[test]
    fn the_refusals() {
        for json in ["", "[]", "{}", r#"{"bytes":1}"#, r#"{"bytes":"1","hashes":[]}"#, r#"{"bytes":-1,"hashes":[]}"#] {
            assert_eq!(refused(json), "Invalid data formatting", "{json}");
        }
        assert_eq!(refused(r#"{"bytes":1,"hashes":[7]}"#), "Invalid data formatting");
        assert_eq!(refused(r#"{"bytes":1,"hashes":["zz"]}"#), "Invalid hash: zz");
        let hash = hex(&[7; 32]);
        for (bytes, count) in [(0, 1), (1, 0), (1, 2), (BLOCK_SIZE + 1, 1)] {
            let json = serde_json::json!({ "bytes": bytes, "hashes": vec![hash.clone(); count] }).to_string();
            assert_eq!(refused(&json), "The number of hashes does not fit the size", "{json}");
        }
    }

    #[test]
    fn no_bytes_are_the_empty_block() {
        let empty = Hashmap { bytes: 0, hashes: vec![EMPTY] };
        assert_eq!(Hashmap::parse(br#"{"bytes":0,"hashes":[]}"#).unwrap(), empty);
        let json = serde_json::json!({ "bytes": 0, "hashes": [hex(&EMPTY)], "extra": {} }).to_string();
        assert_eq!(Hashmap::parse(json.as_bytes()).unwrap(), empty);
    }

    #[test]
    fn the_longest_map_fits_the_body() {
        let json = serde_json::to_vec(&render(HASHES as u64 * BLOCK_SIZE, (0..HASHES).map(|_| [0xab; 32]))).unwrap();
        assert!((json.len() as u64) < BODY);
        assert_eq!(Hashmap::parse(&json).unwrap().hashes.len(), HASHES);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(hashes in prop::collection::vec(any::<Hash>(), 1..5), less in 0..BLOCK_SIZE) {
            let bytes = hashes.len() as u64 * BLOCK_SIZE - less;
            let json = serde_json::to_vec(&render(bytes, hashes.iter().copied())).unwrap();
            prop_assert_eq!(Hashmap::parse(&json).unwrap(), Hashmap { bytes, hashes });
        }

        #[test]
        fn any_bytes_read_or_do_not(json in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Hashmap::parse(&json);
        }

        #[test]
        fn any_map_that_reads_has_as_many_hashes_as_it_needs(bytes in any::<u64>(), texts in prop::collection::vec("[0-9a-fA-F]{62,64}|.{0,4}", 0..4)) {
            let json = serde_json::json!({ "bytes": bytes, "hashes": texts }).to_string();
            if let Ok(map) = Hashmap::parse(json.as_bytes()) {
                prop_assert_eq!(map.hashes.len() as u64, crate::object::block_count(map.bytes));
            }
        }
    }
}
