//! Digests in the spellings of this API.

use base64::Engine as _;
use md5::{Digest as _, Md5};
use sha1::Sha1;

/// The MD5 of some bytes in lower-case hexadecimal.
pub fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// The name that haproxy's `peers` section has for an amphora: base64 of the SHA-1 of its id, with `_` for `+`, `-` for `/`
/// (the other way round than usual), `x` for a leading `-`, and no `=`.
pub fn peer_name(amphora: &str) -> String {
    let digest = Sha1::digest(amphora.as_bytes());
    let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest).replace('+', "_").replace('/', "-");
    match text.strip_prefix('-') {
        Some(rest) => format!("x{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digests_are_bare_and_lower_case() {
        assert_eq!(md5_hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn a_peer_name_is_the_sha1_in_its_own_base64() {
        // SHA-1 of "abc" is a9993e36…, in base64 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=.
        assert_eq!(peer_name("abc"), "qZk_NkcGgWq6PiVxeFDCbJzQ2J0");
    }

    proptest! {
        #[test]
        fn a_peer_name_is_a_word_that_is_no_option(amphora in ".*") {
            let name = peer_name(&amphora);
            prop_assert_eq!(name.len(), 27);
            prop_assert!(!name.starts_with('-') && !name.contains(['+', '/', '=']));
        }
    }
}
