//! HMAC under keys that plugins hold, and comparison in constant time. Keeps no state and no key.

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::blob::Algorithm;

/// HMAC (RFC 2104) of `data` under `key`, which may have any length. As long as the digest is.
#[must_use]
pub fn hmac(algorithm: Algorithm, key: &[u8], data: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::Md5 => over::<Md5>(key, data),
        Algorithm::Sha1 => over::<Sha1>(key, data),
        Algorithm::Sha256 => over::<Sha256>(key, data),
        Algorithm::Sha512 => over::<Sha512>(key, data),
    }
}

#[expect(clippy::expect_used, reason = "HMAC is defined for keys of every length")]
fn over<D: EagerHash>(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<D>::new_from_slice(key).expect("a key of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// Whether both are equal, in a time that depends on their lengths only.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(algorithm: Algorithm, key: &[u8], data: &[u8], expected: &str) {
        assert_eq!(hex::encode(hmac(algorithm, key, data)), expected, "{algorithm:?}");
    }

    #[test]
    fn md5_as_in_rfc_2202() {
        let md5 = Algorithm::Md5;
        check(md5, &[0x0b; 16], b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d");
        check(md5, b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738");
        check(
            md5,
            &[0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
        );
    }

    #[test]
    fn sha1_as_in_rfc_2202() {
        let sha1 = Algorithm::Sha1;
        check(sha1, &[0x0b; 20], b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00");
        check(sha1, b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        check(
            sha1,
            &[0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        );
    }

    #[test]
    fn sha2_as_in_rfc_4231() {
        let (short, long) = (Algorithm::Sha256, Algorithm::Sha512);
        check(short, &[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        check(
            long,
            &[0x0b; 20],
            b"Hi There",
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde\
             daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        );
        check(
            short,
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(
            long,
            b"Jefe",
            b"what do ya want for nothing?",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        );
        let hashed = b"Test Using Larger Than Block-Size Key - Hash Key First";
        check(short, &[0xaa; 131], hashed, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
        check(
            long,
            &[0xaa; 131],
            hashed,
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352\
             6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        );
    }

    #[test]
    fn an_empty_key_is_a_key() {
        check(Algorithm::Sha256, b"", b"", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    }

    #[test]
    fn equal_looks_at_every_byte_and_the_length() {
        assert!(equal(b"", b""));
        assert!(equal(b"token", b"token"));
        assert!(!equal(b"token", b"tokeN"));
        assert!(!equal(b"Token", b"token"));
        assert!(!equal(b"token", b"token\0"));
    }
}
