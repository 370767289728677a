//! A TLS client's identity: a certificate chain and its private key.
//!
//! Owns the reading of both and the check that they belong together. Invariant: the key is in no text: there is no way
//! to read it back, and `Debug` shows the fingerprint only.

use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Most certificates of a chain.
const MAX_CHAIN: usize = 8;

/// SHA-256 over the DER of a certificate.
pub type Fingerprint = [u8; 32];

/// SHA-256 over some bytes.
pub(super) fn sha256(bytes: &[u8]) -> Fingerprint {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, bytes).as_ref());
    fingerprint
}

/// A certificate chain with the key of its first certificate. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

/// Why a chain and a key are no identity. Says nothing of the key's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No certificate, or something that is none.
    #[error("the certificate chain is not 1 to {MAX_CHAIN} PEM certificates")]
    Chain,
    /// No key, or of a kind that is not supported.
    #[error(
        "there is no usable private key: PKCS #8, PKCS #1 or SEC 1 in PEM; RSA, P-256, P-384 or Ed25519; not encrypted"
    )]
    Key,
    /// Each is fine by itself.
    #[error("the private key does not belong to the first certificate")]
    Mismatch,
}

impl Identity {
    /// Of a chain, leaf first, and a key, both PEM; other blocks are passed over.
    ///
    /// # Errors
    /// If either cannot be read or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(chain).take(MAX_CHAIN + 1).collect::<Result<Vec<_>, _>>();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::Key)?;
        let chain = chain.ok().filter(|chain| chain.len() <= MAX_CHAIN).ok_or(IdentityError::Chain)?;
        let leaf = chain.first().ok_or(IdentityError::Chain)?;
        let fingerprint = sha256(leaf);
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| IdentityError::Chain)?;
        let signing = any_supported_type(&key).map_err(|_| IdentityError::Key)?;
        // Not by webpki's parser, which knows no certificates of version 1.
        let matches = signing.public_key().is_some_and(|public| public.as_ref() == parsed.public_key().raw);
        match matches {
            true => Ok(Self { certified: Arc::new(CertifiedKey::new(chain, signing)), fingerprint }),
            false => Err(IdentityError::Mismatch),
        }
    }

    /// Of the first certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The chain, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", hex::encode(self.fingerprint))
    }
}
