//! Detached signatures of plugins.
//!
//! `NAME.wasm.sig` holds the base64 of an Ed25519 signature over the text
//! `plugbay-plugin-v1\n<name>\n<hex of the component's SHA-256>\n`. The name is the identity that the
//! operator's configuration or the file name gives, so that a signed component cannot be put in
//! another's place. With keys configured a signature is required; without keys nothing is verified.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::Digest;

/// Why a signature was not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// There is no signature file.
    #[error(
        "plugin keys are configured and there is no signature: put {0}.wasm.sig beside the file (`plugbay sign` makes it)"
    )]
    Missing(String),
    /// The file is not a signature.
    #[error("the signature file does not hold the base64 of 64 bytes")]
    Malformed,
    /// It is a signature of something else, or by somebody else.
    #[error("the signature was not made by any of the configured keys for a plugin named {0} with this content")]
    Wrong(String),
    /// A key is not an Ed25519 key.
    #[error("not an Ed25519 key: {0}")]
    Key(String),
}

/// An Ed25519 public key of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key written as base64.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        STANDARD
            .decode(text.trim())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| SignatureError::Key("expected the base64 of 32 bytes".into()))
    }
}

impl From<[u8; 32]> for PublicKey {
    fn from(key: [u8; 32]) -> Self {
        Self(key)
    }
}

/// Check the text of a signature file against `keys`.
pub fn verify(keys: &[PublicKey], name: &str, digest: &Digest, file: Option<&str>) -> Result<(), SignatureError> {
    let text = file.ok_or_else(|| SignatureError::Missing(name.into()))?;
    let signature = STANDARD.decode(text.trim()).map_err(|_| SignatureError::Malformed)?;
    if signature.len() != 64 {
        return Err(SignatureError::Malformed);
    }
    let message = message(name, digest);
    let good =
        keys.iter().any(|key| UnparsedPublicKey::new(&ED25519, &key.0).verify(message.as_bytes(), &signature).is_ok());
    if good { Ok(()) } else { Err(SignatureError::Wrong(name.into())) }
}

/// The text of a signature file, made with a PKCS #8 private key.
pub fn sign(pkcs8: &[u8], name: &str, digest: &Digest) -> Result<String, SignatureError> {
    let key = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|error| SignatureError::Key(error.to_string()))?;
    Ok(STANDARD.encode(key.sign(message(name, digest).as_bytes())))
}

/// A new key pair: the private key as PKCS #8 and the public key as base64.
pub fn generate() -> Result<(Vec<u8>, String), SignatureError> {
    let failed = |_| SignatureError::Key("the system gave no randomness".into());
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).map_err(failed)?;
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|error| SignatureError::Key(error.to_string()))?;
    Ok((pkcs8.as_ref().to_vec(), STANDARD.encode(key.public_key().as_ref())))
}

fn message(name: &str, digest: &Digest) -> String {
    format!("plugbay-plugin-v1\n{name}\n{digest}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_name_and_content_only() {
        let (private, public) = generate().unwrap();
        let keys = [PublicKey::parse(&public).unwrap()];
        let digest = Digest::of(b"component");
        let signature = sign(&private, "notes", &digest).unwrap();
        assert_eq!(verify(&keys, "notes", &digest, Some(&signature)), Ok(()));
        let wrong = |name: &str| Err(SignatureError::Wrong(name.into()));
        assert_eq!(verify(&keys, "other", &digest, Some(&signature)), wrong("other"));
        assert_eq!(verify(&keys, "notes", &Digest::of(b"changed"), Some(&signature)), wrong("notes"));
        let (_, stranger) = generate().unwrap();
        let keys = [PublicKey::parse(&stranger).unwrap()];
        assert_eq!(verify(&keys, "notes", &digest, Some(&signature)), wrong("notes"));
    }

    #[test]
    fn a_missing_or_broken_signature_is_refused() {
        let (_, public) = generate().unwrap();
        let keys = [PublicKey::parse(&public).unwrap()];
        let digest = Digest::of(b"component");
        assert_eq!(verify(&keys, "n", &digest, None), Err(SignatureError::Missing("n".into())));
        assert_eq!(verify(&keys, "n", &digest, Some("?")), Err(SignatureError::Malformed));
        assert_eq!(verify(&keys, "n", &digest, Some("AAAA")), Err(SignatureError::Malformed));
        assert!(PublicKey::parse("AAAA").is_err());
    }
}
