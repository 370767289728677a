//! Digests, authentication codes, certificates, and keys that the host keeps.

use crate::DigestAlgorithm;
pub use crate::bindings::plugbay::plugin::crypto::{Certificate, Error, KeyKind};
pub use crate::capability::crypto::{
    Hasher, digest, ensure_key, equal, hmac, open, parse_certificate, parse_certificates, random, seal, sign, verify,
};

/// The SHA-256 of some bytes.
///
/// # Errors
/// `Denied` in `describe`.
pub fn sha256(data: &[u8]) -> Result<Vec<u8>, Error> {
    digest(DigestAlgorithm::Sha256, data)
}

/// The MD5 of some bytes, for APIs that name objects by it.
///
/// # Errors
/// `Denied` in `describe`.
pub fn md5(data: &[u8]) -> Result<Vec<u8>, Error> {
    digest(DigestAlgorithm::Md5, data)
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
