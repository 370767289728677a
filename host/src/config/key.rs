//! Public keys of those who may sign plugins.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Where an Ed25519 public key stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum KeySource {
    /// In the configuration itself: base64 of the 32 bytes.
    Inline([u8; 32]),
    /// In a file: base64 of the 32 bytes, or PEM (`BEGIN PUBLIC KEY`).
    File(PathBuf),
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file named.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{} is no Ed25519 public key; it should hold 32 bytes in base64, or PEM", .0.display())]
    Form(PathBuf),
}

impl From<String> for KeySource {
    /// Text that is a key is a key; everything else names a file.
    fn from(text: String) -> Self {
        match raw_key(&text) {
            Some(key) => Self::Inline(key),
            None => Self::File(text.into()),
        }
    }
}

impl KeySource {
    /// The key's 32 bytes. Reads the file anew each time.
    pub fn read(&self) -> Result<[u8; 32], KeyError> {
        match self {
            Self::Inline(key) => Ok(*key),
            Self::File(file) => read_key(file),
        }
    }
}

fn read_key(file: &Path) -> Result<[u8; 32], KeyError> {
    let text = std::fs::read_to_string(file).map_err(|source| KeyError::Read { file: file.to_owned(), source })?;
    raw_key(text.trim()).or_else(|| pem_key(&text)).ok_or_else(|| KeyError::Form(file.to_owned()))
}

fn raw_key(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The key in a SubjectPublicKeyInfo (RFC 8410), whose DER is a fixed prefix and the key.
fn pem_key(text: &str) -> Option<[u8; 32]> {
    const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let (_, rest) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()?.strip_prefix(&PREFIX)?.try_into().ok()
}
