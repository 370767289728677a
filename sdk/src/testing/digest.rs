//! Real digests, for the host in memory.

use sha2::digest::DynDigest;

use crate::DigestAlgorithm;

pub(super) fn hasher(algorithm: DigestAlgorithm) -> Box<dyn DynDigest> {
    match algorithm {
        DigestAlgorithm::Md5 => Box::new(md5::Md5::default()),
        DigestAlgorithm::Sha1 => Box::new(sha1::Sha1::default()),
        DigestAlgorithm::Sha256 => Box::new(sha2::Sha256::default()),
        DigestAlgorithm::Sha512 => Box::new(sha2::Sha512::default()),
    }
}

pub(super) fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Vec<u8> {
    let mut hasher = hasher(algorithm);
    hasher.update(data);
    hasher.finalize().into_vec()
}

/// RFC 2104.
pub(super) fn hmac(algorithm: DigestAlgorithm, key: &[u8], data: &[u8]) -> Vec<u8> {
    let block = if algorithm == DigestAlgorithm::Sha512 { 128 } else { 64 };
    let mut key = if key.len() > block { digest(algorithm, key) } else { key.to_vec() };
    key.resize(block, 0);
    let padded = |pad: u8, data: &[u8]| {
        let mut hasher = hasher(algorithm);
        hasher.update(&key.iter().map(|byte| byte ^ pad).collect::<Vec<_>>());
        hasher.update(data);
        hasher.finalize()
    };
    padded(0x5c, &padded(0x36, data)).into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex;

    #[test]
    fn hmac_gives_the_values_of_rfc_4231() {
        let tag = hmac(DigestAlgorithm::Sha256, b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let tag = hmac(DigestAlgorithm::Sha512, &[0x0b; 20], b"Hi There");
        assert!(hex(&tag).starts_with("87aa7cdea5ef619d4ff0b4241a1d6cb0"));
    }
}
