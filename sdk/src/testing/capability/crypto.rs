//! `crypto` in memory: real digests and HMAC, repeatable random bytes, and stand-ins for sealing and signing that
//! keep the rules (a changed message is not authentic, keys have kinds) without being ciphers.

use std::cell::RefCell;

use sha2::digest::DynDigest;

use crate::DigestAlgorithm;
use crate::crypto::{Certificate, Error, KeyKind};
use crate::testing::Host;
use crate::testing::digest as real;
use crate::testing::host::{HostKey, State};

const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;
const TAG: usize = 32;

/// The digest of some bytes.
pub fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Result<Vec<u8>, Error> {
    granted()?;
    Ok(real::digest(algorithm, data))
}

/// A digest taken in parts.
pub struct Hasher(RefCell<Box<dyn DynDigest>>);

impl Hasher {
    /// Of nothing yet.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self(RefCell::new(real::hasher(algorithm)))
    }

    /// Add these bytes.
    pub fn update(&self, data: &[u8]) {
        self.0.borrow_mut().update(data);
    }

    /// The digest of all updates so far.
    pub fn finish(&self) -> Vec<u8> {
        self.0.borrow().box_clone().finalize().into_vec()
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

/// HMAC under a key that the plugin holds.
pub fn hmac(algorithm: DigestAlgorithm, key: &[u8], data: &[u8]) -> Result<Vec<u8>, Error> {
    granted()?;
    Ok(real::hmac(algorithm, key, data))
}

/// Whether two byte strings are equal.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a == b
}

/// Bytes that look random and are the same in every run.
pub fn random(length: u32) -> Result<Vec<u8>, Error> {
    granted()?;
    if length > 4096 {
        return Err(Error::Invalid("at most 4,096 random bytes at once".to_owned()));
    }
    Ok(Host::current().state(|state| bytes(state, usize::try_from(length).unwrap_or(0))))
}

/// The certificates registered for this text.
pub fn parse_certificates(pem: &[u8]) -> Result<Vec<Certificate>, Error> {
    granted()?;
    Host::current().state(|state| {
        let known = state.certificates.iter().filter(|(bytes, _)| bytes == pem);
        Ok(known.map(|(_, certificate)| certificate.clone()).collect())
    })
}

/// The certificate registered for these bytes.
pub fn parse_certificate(der: &[u8]) -> Result<Certificate, Error> {
    parse_certificates(der)?
        .into_iter()
        .next()
        .ok_or_else(|| Error::Invalid("no such certificate was given to `Host::add_certificate`".to_owned()))
}

/// Make sure a key of this name and kind exists.
pub fn ensure_key(name: &str, kind: KeyKind) -> Result<Vec<u8>, Error> {
    granted()?;
    Host::current().state(|state| {
        if !state.keys.contains_key(name) {
            let secret = bytes(state, TAG);
            state.keys.insert(name.to_owned(), HostKey { kind, secret });
        }
        key(state, name, kind).map(|secret| match kind {
            KeyKind::Sealing => Vec::new(),
            KeyKind::Signing => public(secret),
        })
    })
}

/// Make a message unreadable by eye and bound to its context.
pub fn seal(name: &str, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
    granted()?;
    Host::current().state(|state| {
        let secret = key(state, name, KeyKind::Sealing)?;
        let mut sealed = tag(secret, context, plain);
        sealed.extend(plain.iter().map(|byte| byte ^ 0xa5));
        Ok(sealed)
    })
}

/// Undo `seal`, if neither message nor context changed.
pub fn open(name: &str, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    granted()?;
    Host::current().state(|state| {
        let secret = key(state, name, KeyKind::Sealing)?;
        let (expected, masked) = sealed.split_at_checked(TAG).ok_or(Error::NotAuthentic)?;
        let plain: Vec<u8> = masked.iter().map(|byte| byte ^ 0xa5).collect();
        if tag(secret, context, &plain) == expected { Ok(plain) } else { Err(Error::NotAuthentic) }
    })
}

/// Sign with a host-kept key.
pub fn sign(name: &str, message: &[u8]) -> Result<Vec<u8>, Error> {
    granted()?;
    Host::current().state(|state| {
        let secret = key(state, name, KeyKind::Signing)?;
        Ok(signature(&public(secret), message))
    })
}

/// Whether this is what `sign` gives for this public key.
pub fn verify(public_key: &[u8], message: &[u8], given: &[u8]) -> Result<bool, Error> {
    granted()?;
    if public_key.len() != TAG {
        return Err(Error::Invalid("an Ed25519 public key has 32 bytes".to_owned()));
    }
    Ok(signature(public_key, message) == given)
}

fn granted() -> Result<(), Error> {
    if Host::current().state(|state| state.describing) { Err(Error::Denied) } else { Ok(()) }
}

fn bytes(state: &mut State, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state.random += 1;
        bytes.extend(real::digest(SHA256, &state.random.to_be_bytes()));
    }
    bytes.truncate(length);
    bytes
}

fn key<'a>(state: &'a State, name: &str, kind: KeyKind) -> Result<&'a [u8], Error> {
    match state.keys.get(name) {
        None => Err(Error::NoSuchKey),
        Some(key) if key.kind != kind => Err(Error::Invalid(format!("the key `{name}` is of another kind"))),
        Some(key) => Ok(&key.secret),
    }
}

fn public(secret: &[u8]) -> Vec<u8> {
    real::digest(SHA256, secret)
}

fn tag(secret: &[u8], context: &[u8], plain: &[u8]) -> Vec<u8> {
    let context = real::digest(SHA256, context);
    real::hmac(SHA256, secret, &[context.as_slice(), plain].concat())
}

/// As long as an Ed25519 signature, and made of public parts only.
fn signature(public_key: &[u8], message: &[u8]) -> Vec<u8> {
    real::hmac(DigestAlgorithm::Sha512, public_key, message)
}
