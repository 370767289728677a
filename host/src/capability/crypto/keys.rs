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

use crate::layout::{Area, Prefix};
use crate::store::{Check, Commit, CommitError, Op, Quota, Store, StoreError};

/// Longest name of a key, in bytes.
pub const MAX_NAME: usize = 128;
/// Most keys of one plugin.
pub const MAX_KEYS: u64 = 1024;

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
    pub async fn ensure(&self, store: &Store, plugin: &str, name: &str, kind: KeyKind) -> Result<Vec<u8>, KeyError> {
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
    pub async fn sign(&self, store: &Store, plugin: &str, name: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let secret = self.secret(store, plugin, name, KeyKind::Signing).await?;
        Ok(ed25519(&secret, name)?.sign(message).as_ref().to_vec())
    }

    /// The secret of a key, out of its record.
    async fn secret(&self, store: &Store, plugin: &str, name: &str, wanted: KeyKind) -> Result<Vec<u8>, KeyError> {
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
    async fn make(&self, store: &Store, plugin: &str, name: &str, kind: KeyKind) -> Result<Option<Vec<u8>>, KeyError> {
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
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(KeyError::InvalidName);
    }
    Ok(Prefix::new(Area::Secrets, plugin).key(name.as_bytes()))
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
mod tests;
