//! Block hashes and the root over them.
//!
//! A block's hash leaves its trailing NUL bytes out; an object's hash is the root of a binary tree
//! over its blocks' hashes, padded with all-zero leaves to a power of two.

use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// Name of the block hash, as told to clients.
pub const ALGORITHM: &str = "sha256";

/// Bytes in a block, as told to clients: 4 MiB.
pub const BLOCK_SIZE: u64 = 4 * 1024 * 1024;

/// The hash of nothing, which is also the hash of a block of NULs.
pub const EMPTY: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The root over the hashes of an object's blocks, in order.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY,
        [only] => *only,
        leaves => {
            let mut level = leaves.to_vec();
            level.resize(leaves.len().next_power_of_two(), [0; 32]);
            while level.len() > 1 {
                level = level
                    .chunks_exact(2)
                    .map(|pair| {
                        let mut hasher = Sha256::new();
                        for half in pair {
                            hasher.update(half);
                        }
                        hasher.finalize().into()
                    })
                    .collect();
            }
            level.first().copied().unwrap_or(EMPTY)
        }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The hash written as 64 hexadecimal digits of either case.
pub fn unhex(text: &str) -> Option<Hash> {
    let mut out = [0u8; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let mut value = 0u32;
        for digit in pair {
            value = value * 16 + char::from(*digit).to_digit(16)?;
        }
        *byte = u8::try_from(value).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(text: &str) -> Hash {
        Sha256::digest(text.as_bytes()).into()
    }

    fn root_of(blocks: &[&str]) -> String {
        hex(&root(&blocks.iter().map(|b| leaf(b)).collect::<Vec<_>>()))
    }

    #[test]
    fn roots_of_the_published_table() {
        let table: [(&[&str], &str); 5] = [
            (&[], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (&["a"], "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
            (&["a", "b"], "e5a01fee14e0ed5c48714f22180f25ad8365b53f9779f79dc4a3d7e93963f94a"),
            (&["a", "b", "c"], "d0a664079d491a97357efa1ce1eab5aeb566adef78a2b910e8d13e901e192832"),
            (&["a", "b", "c", "d", "e"], "c6cde104e4847b9111f224882d4fb270b5f240f1bd24dda998828dc06303708c"),
        ];
        for (blocks, expected) in table {
            assert_eq!(root_of(blocks), expected, "{blocks:?}");
        }
    }

    #[test]
    fn the_empty_hash_is_the_hash_of_nothing() {
        assert_eq!(EMPTY, leaf(""));
        assert_eq!(unhex(&hex(&EMPTY)), Some(EMPTY));
        assert_eq!(unhex("e3"), None);
        assert_eq!(unhex(&"g".repeat(64)), None);
    }
}
