//! Keys that the host keeps for plugins: made once, used by name, never given out.
//!
//! Owns the host key, 32 random bytes in a file of mode 0600, and the records of plugins' keys in
//! the store, sealed with it. Whoever has the store without that file has no key. Does not own who
//! may use a key: callers give the plugin's name, and it is a part of where the record lies.
//!
//! # What is written
//!
//! A record lies under the byte `y`, one byte for the length of the plugin's name, the plugin's name
//! and the key's name. It is a version byte (1), a byte for the kind, a nonce of 12 bytes, and the
//! secret of 32 bytes under AES-256-GCM with a tag of 16. The version, the kind and the place are
//! authenticated with it: a record that was moved or relabelled does not open.
//!
//! A sealed message is a version byte (1), a nonce of 12 bytes, the ciphertext and a tag of 16.
//! Nonces are random, so **one key must not seal more than 2^32 messages** (NIST SP 800-38D, 8.3);
//! a plugin that seals more takes another key in time.
//!
//! Invariant: a key's secret is in memory only while it is used, and in the store only sealed.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::store::{Check, Commit, CommitError, Op, Quota, Store, StoreError};

/// Longest name of a key, in bytes.
pub const MAX_NAME: usize = 128;
/// Most keys of one plugin.
pub const MAX_KEYS: u64 = 1024;

/// Where the keys are in the store.
const AREA: u8 = b'y';
/// The version of records and of sealed messages.
const VERSION: u8 = 1;
/// Bytes of a secret: an AES-256 key, or the seed of an Ed25519 key.
const SECRET: usize = 32;
/// Bytes of an AES-GCM tag.
const TAG: usize = 16;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyKind {
    /// AES-256-GCM, to seal and open.
    Sealing = 1,
    /// Ed25519, to sign.
    Signing = 2,
}

impl KeyKind {
    fn name(self) -> &'static str {
        match self {
            KeyKind::Sealing => "sealing",
            KeyKind::Signing => "signing",
        }
    }
}

/// Why a key was not made or used. No text names a path of the host.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Keys have names, and not too long ones.
    #[error("a key's name has 1 to {MAX_NAME} bytes")]
    InvalidName,
    /// More than AES-GCM takes, 64 GiB.
    #[error("the message is too long to be sealed")]
    TooLong,
    /// Not an Ed25519 public key.
    #[error("an Ed25519 public key has {ED25519_PUBLIC_KEY_LEN} bytes")]
    InvalidPublicKey,
    /// There is a key of that name, for something else.
    #[error("key `{name}` is a {} key; take another name for a {} key", .is.name(), .wanted.name())]
    WrongKind {
        /// The key.
        name: String,
        /// What it is.
        is: KeyKind,
        /// What was asked for.
        wanted: KeyKind,
    },
    /// The plugin has [`MAX_KEYS`].
    #[error("the plugin has {MAX_KEYS} keys already; use those")]
    TooMany,
    /// No key of that name was ever made.
    #[error("there is no key `{0}`; make it with ensure-key first")]
    NoSuchKey(String),
    /// Sealed with another key or context, or changed, or not sealed at all.
    #[error("the message was not sealed with this key and context, or was changed")]
    NotAuthentic,
    /// The record does not open: it was sealed with another host key, or damaged.
    #[error(
        "the stored key `{0}` does not open with this host's key file; \
         the operator has to put back the key file that belongs to this store"
    )]
    Unreadable(String),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The store did not answer, or took nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store refused the record of a key.
    #[error("the key was not written: {0}")]
    Refused(CommitError),
}

/// Why there is no host key.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error("host key {}: {source}; it has to be a file that this user may read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was missing, and cannot be made.
    #[error("host key {}: {source}; its folder has to exist and be writable by this user", .path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a key.
    #[error(
        "host key {}: it is not a file of {SECRET} bytes; put back the file that belongs to this store. \
         Without it, what plugins sealed is lost; if it is, remove it and a new one is made", .path.display()
    )]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner may touch it.
    #[error("host key {0}: others may use it (mode {mode:04o}); run `chmod 600 {0}`", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes for the host key")]
    Random,
}

/// The host key, and with it the keys of all plugins. Holds none of those.
#[derive(Debug)]
pub struct KeyRing {
    host: LessSafeKey,
    random: SystemRandom,
}

impl KeyRing {
    /// Reads the host key at `path`, or makes it there if it is missing. Blocks. A new key is on
    /// disk when this returns, and two processes that start at once end with the same one.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let random = SystemRandom::new();
        let secret = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create(path, &random)?;
                File::open(path)
            }
            opened => opened,
        };
        let failed = |source| OpenError::Read { path: path.to_owned(), source };
        let secret = read(&mut secret.map_err(failed)?, path)?;
        let host = aes(&secret).ok_or_else(|| OpenError::NotAKey { path: path.to_owned() })?;
        Ok(Self { host, random })
    }

    /// Whether this host key is the one of this store, which remembers the first that was checked.
    /// For the start, so that a lost key file is noticed before a plugin needs it.
    pub async fn check(&self, store: &Store) -> Result<(), KeyError> {
        // No plugin has an empty name.
        self.ensure(store, "", "host", KeyKind::Sealing).await.map(drop)
    }

    /// Makes sure that there is a key of this name and kind. Durable when it returns; calls at the
    /// same time end with one key. The public key of a signing key, else nothing.
    pub async fn ensure(
        &self,
        store: &Store,
        plugin: &str,
        name: &str,
        kind: KeyKind,
    ) -> Result<Vec<u8>, KeyError> {
        let secret = match self.secret(store, plugin, name, kind).await {
            Err(KeyError::NoSuchKey(_)) => match self.make(store, plugin, name, kind).await? {
                Some(secret) => secret,
                // Another call made it. Keys are never removed, so it is there.
                None => self.secret(store, plugin, name, kind).await?,
            },
            found => found?,
        };
        match kind {
            KeyKind::Sealing => Ok(Vec::new()),
            KeyKind::Signing => Ok(ed25519(&secret, name)?.public_key().as_ref().to_vec()),
        }
    }

    /// Encrypts and authenticates `plain`, and authenticates `context`, which has to be kept apart.
    /// The result is 29 bytes longer than `plain`.
    pub async fn seal(
        &self,
        store: &Store,
        plugin: &str,
        name: &str,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let secret = self.secret(store, plugin, name, KeyKind::Sealing).await?;
        let key = aes(&secret).ok_or_else(|| KeyError::Unreadable(name.to_owned()))?;
        encrypt(&key, &self.random, &[VERSION], context, plain)
    }

    /// The plain message, if `sealed` was made by `seal` with this key and context.
    pub async fn open_sealed(
        &self,
        store: &Store,
        plugin: &str,
        name: &str,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let secret = self.secret(store, plugin, name, KeyKind::Sealing).await?;
        let key = aes(&secret).ok_or_else(|| KeyError::Unreadable(name.to_owned()))?;
        let [VERSION, sealed @ ..] = sealed else { return Err(KeyError::NotAuthentic) };
        decrypt(&key, context, sealed).ok_or(KeyError::NotAuthentic)
    }

    /// The Ed25519 signature of a message, 64 bytes.
    pub async fn sign(
        &self,
        store: &Store,
        plugin: &str,
        name: &str,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let secret = self.secret(store, plugin, name, KeyKind::Signing).await?;
        Ok(ed25519(&secret, name)?.sign(message).as_ref().to_vec())
    }

    /// The secret of a key, out of its record.
    async fn secret(
        &self,
        store: &Store,
        plugin: &str,
        name: &str,
        wanted: KeyKind,
    ) -> Result<Vec<u8>, KeyError> {
        let place = place(plugin, name)?;
        let Some(entry) = store.get(&place).await? else {
            return Err(KeyError::NoSuchKey(name.to_owned()));
        };
        let unreadable = || KeyError::Unreadable(name.to_owned());
        let [VERSION, kind, sealed @ ..] = &entry.value[..] else { return Err(unreadable()) };
        let is = match kind {
            1 => KeyKind::Sealing,
            2 => KeyKind::Signing,
            _ => return Err(unreadable()),
        };
        let secret = decrypt(&self.host, &label(is, &place), sealed).ok_or_else(unreadable)?;
        if is != wanted {
            return Err(KeyError::WrongKind { name: name.to_owned(), is, wanted });
        }
        Ok(secret)
    }

    /// Makes a key and writes its record; none if there is one by now.
    async fn make(
        &self,
        store: &Store,
        plugin: &str,
        name: &str,
        kind: KeyKind,
    ) -> Result<Option<Vec<u8>>, KeyError> {
        let place = place(plugin, name)?;
        let mut secret = vec![0; SECRET];
        self.random.fill(&mut secret).map_err(|_| KeyError::Random)?;
        let head = [VERSION, kind as u8];
        let record = encrypt(&self.host, &self.random, &head, &label(kind, &place), &secret)?;
        let commit = Commit {
            checks: vec![Check { key: place.clone(), expect: None }],
            ops: vec![Op::Put { key: place.clone(), value: record.into() }],
            quota: Some(Quota {
                prefix: place.slice(..place.len() - name.len()),
                max_bytes: MAX_KEYS * 1024,
                max_keys: MAX_KEYS,
            }),
            charges: Vec::new(),
        };
        match store.commit(commit).await {
            Ok(_) => Ok(Some(secret)),
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::QuotaExceeded) => Err(KeyError::TooMany),
            Err(CommitError::Failed(error)) => Err(error.into()),
            Err(error) => Err(KeyError::Refused(error)),
        }
    }
}

/// Whether this is the signature of `message` by this Ed25519 public key of 32 bytes.
pub fn verify(public: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, KeyError> {
    if public.len() != ED25519_PUBLIC_KEY_LEN {
        return Err(KeyError::InvalidPublicKey);
    }
    Ok(UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok())
}

/// The store's key of a record.
fn place(plugin: &str, name: &str) -> Result<Bytes, KeyError> {
    let length = u8::try_from(plugin.len()).map_err(|_| KeyError::InvalidName)?;
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(KeyError::InvalidName);
    }
    Ok([&[AREA, length], plugin.as_bytes(), name.as_bytes()].concat().into())
}

/// What is authenticated with a record's secret.
fn label(kind: KeyKind, place: &[u8]) -> Vec<u8> {
    [&[VERSION, kind as u8], place].concat()
}

/// The AES key of a secret; none if it has another length.
fn aes(secret: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, secret).ok().map(LessSafeKey::new)
}

/// The Ed25519 key of a secret, of which the public key is made each time.
fn ed25519(secret: &[u8], name: &str) -> Result<Ed25519KeyPair, KeyError> {
    Ed25519KeyPair::from_seed_unchecked(secret).map_err(|_| KeyError::Unreadable(name.to_owned()))
}

/// `head`, a new nonce, the ciphertext and its tag.
fn encrypt(
    key: &LessSafeKey,
    random: &SystemRandom,
    head: &[u8],
    context: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce).map_err(|_| KeyError::Random)?;
    let start = head.len() + NONCE_LEN;
    let mut out = Vec::with_capacity(start + plain.len() + TAG);
    out.extend_from_slice(head);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plain);
    let (_, body) = out.split_at_mut(start);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(context), body);
    out.extend_from_slice(tag.map_err(|_| KeyError::TooLong)?.as_ref());
    Ok(out)
}

/// The other way, without the head; none if it is not authentic.
fn decrypt(key: &LessSafeKey, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut plain = body.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key.open_in_place(nonce, Aad::from(context), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

fn read(file: &mut File, path: &Path) -> Result<[u8; SECRET], OpenError> {
    let failed = |source| OpenError::Read { path: path.to_owned(), source };
    let not_a_key = || OpenError::NotAKey { path: path.to_owned() };
    let metadata = file.metadata().map_err(failed)?;
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(OpenError::Exposed { path: path.to_owned(), mode });
    }
    if !metadata.is_file() || metadata.len() != SECRET as u64 {
        return Err(not_a_key());
    }
    let mut secret = [0; SECRET];
    file.read_exact(&mut secret).map_err(failed)?;
    Ok(secret)
}

/// Writes a new host key, unless there is one by then. It is whole from the moment it is there:
/// written beside, synced, then linked, which unlike a rename never replaces a file.
fn create(path: &Path, random: &SystemRandom) -> Result<(), OpenError> {
    let failed = |source| OpenError::Create { path: path.to_owned(), source };
    let (mut secret, mut suffix) = ([0; SECRET], [0; 8]);
    random.fill(&mut secret).map_err(|_| OpenError::Random)?;
    random.fill(&mut suffix).map_err(|_| OpenError::Random)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".new-{}", hex::encode(suffix)));
    let beside = PathBuf::from(beside);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let written = written.and_then(|mut file| {
        file.write_all(&secret)?;
        file.sync_all()?;
        std::fs::hard_link(&beside, path)
    });
    // Whatever happened: another name for the key, or a key that is not used.
    let removed = std::fs::remove_file(&beside);
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        written => written.and(removed).map_err(failed)?,
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use futures_util::future::join_all;
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::store::{self, EngineKind, StoreConfig};

    fn memory() -> Store {
        let config = StoreConfig { engine: EngineKind::Memory, path: PathBuf::new(), cache: 0 };
        store::open(&config).unwrap()
    }

    fn ring() -> (TempDir, KeyRing) {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(&folder.path().join("host.key")).unwrap();
        (folder, ring)
    }

    async fn put(store: &Store, key: &[u8], value: &[u8]) {
        let op = Op::Put { key: key.to_vec().into(), value: value.to_vec().into() };
        store.commit(Commit { ops: vec![op], ..Commit::default() }).await.unwrap();
    }

    const SEALING: KeyKind = KeyKind::Sealing;
    const SIGNING: KeyKind = KeyKind::Signing;

    #[test]
    fn a_missing_host_key_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.key");
        KeyRing::open(&path).unwrap();
        let secret = std::fs::read(&path).unwrap();
        assert_eq!(secret.len(), SECRET);
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.nlink()), (0o600, 1));
        KeyRing::open(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), secret);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn a_host_key_made_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.key");
        create(&path, &SystemRandom::new()).unwrap();
        let secret = std::fs::read(&path).unwrap();
        create(&path, &SystemRandom::new()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), secret);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_host_key_that_is_exposed_or_no_key_is_refused_with_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.key");
        let refused = |path: &Path| KeyRing::open(path).unwrap_err().to_string();
        KeyRing::open(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let text = refused(&path);
            assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
            assert!(text.contains(&format!("chmod 600 {}", path.display())), "{text}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        for bytes in [&b""[..], &[1; SECRET - 1], &[1; SECRET + 1]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(refused(&path).contains("not a file of 32 bytes"));
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is left as it was");
        }
        assert!(refused(&folder.path().join("no/host.key")).contains("has to exist"));
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert!(refused(folder.path()).contains("not a file of 32 bytes"));
    }

    #[tokio::test]
    async fn what_was_sealed_opens_with_the_same_key_and_context_only() {
        let ((_folder, ring), store) = (ring(), memory());
        for (plugin, name) in [("one", "a"), ("one", "b"), ("two", "a"), ("on", "ea")] {
            assert!(ring.ensure(&store, plugin, name, SEALING).await.unwrap().is_empty());
        }
        let sealed = ring.seal(&store, "one", "a", b"context", b"plain").await.unwrap();
        assert_eq!(sealed.len(), b"plain".len() + 29);
        assert_eq!(sealed[0], VERSION);
        let plain = ring.open_sealed(&store, "one", "a", b"context", &sealed).await.unwrap();
        assert_eq!(plain, b"plain");
        for (plugin, name, context) in [
            ("one", "a", &b"Context"[..]),
            ("one", "a", b""),
            ("one", "b", b"context"),
            ("two", "a", b"context"),
            ("on", "ea", b"context"),
        ] {
            let opened = ring.open_sealed(&store, plugin, name, context, &sealed).await;
            assert!(matches!(opened, Err(KeyError::NotAuthentic)), "{plugin} {name}");
        }
    }

    #[tokio::test]
    async fn a_message_with_any_bit_changed_or_byte_missing_does_not_open() {
        let ((_folder, ring), store) = (ring(), memory());
        ring.ensure(&store, "p", "k", SEALING).await.unwrap();
        let sealed = ring.seal(&store, "p", "k", b"", b"plain").await.unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let opened = ring.open_sealed(&store, "p", "k", b"", &changed).await;
            assert!(matches!(opened, Err(KeyError::NotAuthentic)), "bit {bit}");
        }
        for length in 0..sealed.len() {
            let opened = ring.open_sealed(&store, "p", "k", b"", &sealed[..length]).await;
            assert!(matches!(opened, Err(KeyError::NotAuthentic)), "{length} bytes");
        }
        let empty = ring.seal(&store, "p", "k", b"", b"").await.unwrap();
        assert_eq!(ring.open_sealed(&store, "p", "k", b"", &empty).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn the_same_message_is_never_sealed_the_same_way() {
        let ((_folder, ring), store) = (ring(), memory());
        ring.ensure(&store, "p", "k", SEALING).await.unwrap();
        let one = ring.seal(&store, "p", "k", b"", b"plain").await.unwrap();
        let other = ring.seal(&store, "p", "k", b"", b"plain").await.unwrap();
        assert_ne!(one[1..=NONCE_LEN], other[1..=NONCE_LEN]);
    }

    #[tokio::test]
    async fn a_signature_holds_for_its_message_and_key_only() {
        let ((_folder, ring), store) = (ring(), memory());
        let public = ring.ensure(&store, "p", "k", SIGNING).await.unwrap();
        let other = ring.ensure(&store, "p", "other", SIGNING).await.unwrap();
        assert_eq!(ring.ensure(&store, "p", "k", SIGNING).await.unwrap(), public);
        assert_ne!(public, other);
        let signature = ring.sign(&store, "p", "k", b"message").await.unwrap();
        assert_eq!(signature.len(), 64);
        assert!(verify(&public, b"message", &signature).unwrap());
        assert!(!verify(&public, b"Message", &signature).unwrap());
        assert!(!verify(&other, b"message", &signature).unwrap());
        assert!(!verify(&public, b"message", &signature[1..]).unwrap());
        assert!(!verify(&public, b"message", b"").unwrap());
        assert!(matches!(verify(&public[1..], b"message", &signature), Err(KeyError::InvalidPublicKey)));
    }

    #[test]
    fn signatures_are_as_in_rfc_8032() {
        let [secret, public] = [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ]
        .map(|text| hex::decode(text).unwrap());
        let key = ed25519(&secret, "k").unwrap();
        assert_eq!(key.public_key().as_ref(), public);
        let signature = key.sign(&[0x72]);
        assert_eq!(
            hex::encode(signature.as_ref()),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert!(verify(&public, &[0x72], signature.as_ref()).unwrap());
    }

    #[tokio::test]
    async fn a_key_is_of_one_kind_for_ever() {
        let ((_folder, ring), store) = (ring(), memory());
        ring.ensure(&store, "p", "k", SEALING).await.unwrap();
        let error = ring.ensure(&store, "p", "k", SIGNING).await.unwrap_err();
        assert_eq!(error.to_string(), "key `k` is a sealing key; take another name for a signing key");
        let error = ring.sign(&store, "p", "k", b"").await.unwrap_err();
        assert!(matches!(error, KeyError::WrongKind { is: SEALING, wanted: SIGNING, .. }));
    }

    #[tokio::test]
    async fn a_key_that_was_never_made_or_named_is_told_apart() {
        let ((_folder, ring), store) = (ring(), memory());
        let error = ring.seal(&store, "p", "k", b"", b"").await.unwrap_err();
        assert!(matches!(error, KeyError::NoSuchKey(name) if name == "k"));
        for name in [String::new(), "n".repeat(MAX_NAME + 1)] {
            let error = ring.ensure(&store, "p", &name, SEALING).await.unwrap_err();
            assert!(matches!(error, KeyError::InvalidName));
        }
        ring.ensure(&store, "p", &"n".repeat(MAX_NAME), SEALING).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn calls_at_once_end_with_one_key() {
        let ((_folder, ring), store) = (ring(), memory());
        let (ring, calls) = (std::sync::Arc::new(ring), 32);
        let made = join_all((0..calls).map(|_| {
            let (ring, store) = (ring.clone(), store.clone());
            tokio::spawn(async move { ring.ensure(&store, "p", "k", SIGNING).await.unwrap() })
        }));
        let mut made: Vec<_> = made.await.into_iter().map(Result::unwrap).collect();
        made.dedup();
        assert_eq!(made.len(), 1);
        assert_eq!(ring.ensure(&store, "p", "k", SIGNING).await.unwrap(), made[0]);
    }

    #[tokio::test]
    async fn a_key_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.key");
        let config =
            StoreConfig { engine: EngineKind::Sled, path: folder.path().join("store"), cache: 1024 * 1024 };
        let store = store::open(&config).unwrap();
        let ring = KeyRing::open(&path).unwrap();
        let public = ring.ensure(&store, "p", "sign", SIGNING).await.unwrap();
        ring.ensure(&store, "p", "seal", SEALING).await.unwrap();
        let sealed = ring.seal(&store, "p", "seal", b"", b"plain").await.unwrap();
        store.close().await.unwrap();
        drop(store);
        let store = store::open(&config).unwrap();
        let ring = KeyRing::open(&path).unwrap();
        assert_eq!(ring.ensure(&store, "p", "sign", SIGNING).await.unwrap(), public);
        assert_eq!(ring.open_sealed(&store, "p", "seal", b"", &sealed).await.unwrap(), b"plain");
    }

    #[tokio::test]
    async fn another_host_key_opens_nothing_and_replaces_nothing() {
        let ((_folder, ring), store) = (ring(), memory());
        let (_other_folder, other) = self::ring();
        ring.check(&store).await.unwrap();
        ring.ensure(&store, "p", "k", SEALING).await.unwrap();
        let before = store.get(b"y\x01pk").await.unwrap();
        assert!(matches!(other.check(&store).await, Err(KeyError::Unreadable(_))));
        let error = other.ensure(&store, "p", "k", SEALING).await.unwrap_err();
        assert!(error.to_string().contains("put back the key file"), "{error}");
        assert_eq!(store.get(b"y\x01pk").await.unwrap(), before);
        ring.check(&store).await.unwrap();
    }

    #[tokio::test]
    async fn a_record_that_was_moved_or_changed_does_not_open() {
        let ((_folder, ring), store) = (ring(), memory());
        ring.ensure(&store, "p", "k", SEALING).await.unwrap();
        let record = store.get(b"y\x01pk").await.unwrap().unwrap().value;
        assert_eq!(record.len(), 2 + NONCE_LEN + SECRET + TAG);
        put(&store, b"y\x01qk", &record).await;
        put(&store, b"y\x01pl", &record).await;
        for (plugin, name) in [("q", "k"), ("p", "l")] {
            let used = ring.seal(&store, plugin, name, b"", b"").await;
            assert!(matches!(used, Err(KeyError::Unreadable(_))));
        }
        for at in 0..record.len() {
            let mut changed = record.to_vec();
            changed[at] ^= 3;
            put(&store, b"y\x01pk", &changed).await;
            for kind in [SEALING, SIGNING] {
                let used = ring.ensure(&store, "p", "k", kind).await;
                assert!(matches!(used, Err(KeyError::Unreadable(_))), "byte {at}");
            }
        }
    }

    #[tokio::test]
    async fn a_plugin_has_a_bounded_number_of_keys() {
        let ((_folder, ring), store) = (ring(), memory());
        let ensure = |plugin, name: u64| {
            let (ring, store) = (&ring, &store);
            // As long as names get: the bound of bytes must not be met first.
            let name = format!("{name:0>MAX_NAME$}");
            async move { ring.ensure(store, plugin, &name, SEALING).await }
        };
        for made in join_all((0..MAX_KEYS).map(|name| ensure("p", name))).await {
            made.unwrap();
        }
        assert!(matches!(ensure("p", MAX_KEYS).await, Err(KeyError::TooMany)));
        ensure("p", 0).await.unwrap();
        ensure("q", MAX_KEYS).await.unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_opened_without_panic(
            sealed in prop::collection::vec(any::<u8>(), 0..64),
            context in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let key = aes(&[7; SECRET]).unwrap();
            prop_assert_eq!(decrypt(&key, &context, &sealed), None);
            prop_assert_eq!(verify(&[9; 32], &context, &sealed).unwrap(), false);
        }
    }
}
