//! What is read of a certificate, and what LXD would say to it.
//!
//! Reads without the opinions of web PKI: version 1, any issuer, any extension. Invariant: the fingerprint is over the
//! bytes of the certificate, never over text.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// Facts of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Lower-case hex SHA-256 over the DER.
    pub fingerprint: String,
    /// The subject as text.
    pub subject: String,
    /// The first common name of the subject.
    pub common_name: Option<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// `RSA`, `EC`, `Ed25519` or an object identifier.
    pub key_kind: String,
    /// Bits of modulus or curve.
    pub key_bits: u32,
    /// The certificate itself.
    #[serde(with = "base64_text")]
    pub der: Vec<u8>,
}

/// Why bytes are no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// They do not parse.
    #[error("the block's bytes are not an X.509 certificate")]
    Invalid,
    /// More follows.
    #[error("bytes follow the certificate inside its block")]
    Trailing,
}

/// Why a certificate that parses cannot be registered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It has run out.
    Expired,
    /// It is not valid before that time.
    NotYetValid,
    /// RSA below 2,048 bits.
    KeyTooWeak,
}

impl Unfit {
    /// The code in certificate views.
    pub fn code(self) -> &'static str {
        match self {
            Unfit::Expired => "expired",
            Unfit::NotYetValid => "not_yet_valid",
            Unfit::KeyTooWeak => "key_too_weak",
        }
    }

    /// LXD's words.
    pub fn message(self) -> &'static str {
        match self {
            Unfit::Expired => "The provided certificate is expired",
            Unfit::NotYetValid => "The provided certificate isn't valid yet",
            Unfit::KeyTooWeak => "RSA key is too weak (minimum of 2048bit)",
        }
    }
}

impl Certificate {
    /// Read the DER of one certificate.
    ///
    /// # Errors
    /// If it is none, or more than one.
    pub fn from_der(der: &[u8]) -> Result<Certificate, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Invalid)?;
        if !rest.is_empty() {
            return Err(CertificateError::Trailing);
        }
        let (key_kind, key_bits) = key(&parsed);
        let common_name = parsed.subject().iter_common_name().next();
        Ok(Certificate {
            fingerprint: hex::encode(Sha256::digest(der)),
            subject: parsed.subject().to_string(),
            common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            key_kind,
            key_bits,
            der: der.to_vec(),
        })
    }

    /// What speaks against registering it at this time, seconds since 1970.
    pub fn unfit(&self, now: i64) -> Option<Unfit> {
        if now < self.not_before {
            return Some(Unfit::NotYetValid);
        }
        if now > self.not_after {
            return Some(Unfit::Expired);
        }
        // LXD counts whole bytes.
        (self.key_kind == "RSA" && self.key_bits.div_ceil(8) < 256).then_some(Unfit::KeyTooWeak)
    }
}

fn key(certificate: &X509Certificate<'_>) -> (String, u32) {
    let info = certificate.public_key();
    let algorithm = info.algorithm.oid().to_id_string();
    let (kind, bits) = match info.parsed() {
        Ok(PublicKey::RSA(key)) => ("RSA".to_owned(), modulus_bits(key.modulus)),
        // Each of the two coordinates of a point of P-521 has a few bits that are never set.
        Ok(PublicKey::EC(point)) => {
            ("EC".to_owned(), Some(point.key_size()).map_or(0, |bits| if bits == 528 { 521 } else { bits }))
        }
        _ if algorithm == "1.3.101.112" => ("Ed25519".to_owned(), 256),
        _ => (algorithm, info.subject_public_key.data.len() * 8),
    };
    (kind, u32::try_from(bits).unwrap_or(u32::MAX))
}

fn modulus_bits(modulus: &[u8]) -> usize {
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (modulus.len() - zeros) * 8 - first
}

/// Whether a text is a whole fingerprint: 64 lower-case hex digits.
pub fn is_fingerprint(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Bytes as base64 text in JSON.
mod base64_text {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_damaged_certificate_is_read_or_refused(at in 0..400_usize, value in any::<u8>(), cut in 0..400_usize) {
            let mut der = crate::tests::der(crate::tests::V1);
            let length = der.len();
            der[at % length] = value;
            der.truncate(length.saturating_sub(cut % length));
            if let Ok(certificate) = Certificate::from_der(&der) {
                prop_assert!(is_fingerprint(&certificate.fingerprint));
                prop_assert_eq!(certificate.der.len(), length);
            }
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(der in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Certificate::from_der(&der);
        }
    }
}
