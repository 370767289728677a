//! TLS for a listener, with files that may be replaced while it runs.
//!
//! Before each handshake the files' identities are compared with those last loaded (a `stat`
//! each). If one changed, all are read and checked together. Invariant: the files in use are always
//! ones that loaded whole; a replacement that does not load leaves them in use and is logged once.
//!
//! The whole `ServerConfig` is replaced, not the certificate alone: its cache of sessions goes with
//! it, so that no client resumes a session past an authority that is trusted no more. Connections
//! keep the one they began with.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use ring::digest::{Context, Digest, SHA256};
use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::verifier::AnyIssuer;
use super::{ClientAuth, ListenError, TlsConfig, TlsVersion, pem};

/// Two writes within a file system's clock tick leave the same time stamp. A file this young may
/// have been written again after it was read, so its content is compared once more.
const SETTLED: Duration = Duration::from_secs(2);

pub(super) struct Tls {
    config: TlsConfig,
    listener: Arc<str>,
    current: ArcSwap<ServerConfig>,
    seen: Mutex<Seen>,
}

/// What the last look at the files found, whether or not it could be used.
struct Seen {
    stamps: Vec<Option<Stamp>>,
    /// Nothing that could still change without changing the stamps.
    settled: bool,
    /// Of all contents; `None` if they could not be read.
    digest: Option<[u8; 32]>,
}

/// A file's identity, close enough to tell that it was written or replaced.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Tls {
    /// Reads the files; an error here refuses the listener.
    pub(super) fn open(config: TlsConfig, listener: Arc<str>) -> Result<Self, ListenError> {
        let (stamps, settled) = look(&config);
        let contents = Contents::read(&config)?;
        let current = ArcSwap::from_pointee(contents.build(&config)?);
        let seen = Seen { stamps, settled, digest: Some(contents.digest()) };
        Ok(Self { config, listener, current, seen: Mutex::new(seen) })
    }

    /// What the next handshake uses: the files as they are now, or as they last were good.
    pub(super) async fn current(self: &Arc<Self>) -> Arc<ServerConfig> {
        let tls = Arc::clone(self);
        // Files may lie on a slow disk. If the task fails, the old pair is still a good answer.
        let _ = tokio::task::spawn_blocking(move || tls.refresh()).await;
        self.current.load_full()
    }

    fn refresh(&self) {
        match self.take_over() {
            None => {}
            Some(Ok(())) => tracing::info!(listener = %self.listener, "TLS files replaced"),
            Some(Err(error)) => tracing::error!(
                listener = %self.listener,
                "changed TLS files are not usable, the former ones stay in use: {error}"
            ),
        }
    }

    /// Uses the files from now on if they changed and are good; `None` if there is nothing new to
    /// say of them. Blocks.
    pub(super) fn take_over(&self) -> Option<Result<(), ListenError>> {
        let mut seen = self.seen.lock();
        let (stamps, settled) = look(&self.config);
        let touched = stamps != seen.stamps;
        if seen.settled && !touched {
            return None;
        }
        seen.stamps = stamps;
        seen.settled = settled;
        let read = Contents::read(&self.config);
        let digest = read.as_ref().ok().map(Contents::digest);
        // What cannot be read has no digest, and each time it is touched may have another reason.
        if digest == seen.digest && (digest.is_some() || !touched) {
            return None;
        }
        seen.digest = digest;
        let built = read.and_then(|contents| contents.build(&self.config));
        Some(built.map(|config| self.current.store(Arc::new(config))))
    }
}

fn files(config: &TlsConfig) -> impl Iterator<Item = &PathBuf> {
    std::iter::once(&config.cert).chain(own_key(config)).chain(&config.client_ca)
}

/// The file of the key, if it is not that of the certificate. One file is read once, so that its
/// two parts are always of one writing.
fn own_key(config: &TlsConfig) -> Option<&PathBuf> {
    config.key.as_ref().filter(|key| **key != config.cert)
}

fn look(config: &TlsConfig) -> (Vec<Option<Stamp>>, bool) {
    let settled_before = SystemTime::now()
        .checked_sub(SETTLED)
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0, |time| time.as_secs() as i64);
    let mut settled = true;
    let stamps = files(config)
        .map(|path| {
            let metadata = fs::metadata(path).ok()?;
            settled &= metadata.ctime() < settled_before;
            Some(Stamp {
                device: metadata.dev(),
                inode: metadata.ino(),
                length: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            })
        })
        .collect();
    (stamps, settled)
}

/// The files' bytes, read at one time.
struct Contents {
    cert: Vec<u8>,
    /// Absent: in the same file as the certificate.
    key: Option<Vec<u8>>,
    client_ca: Option<(PathBuf, Vec<u8>)>,
}

impl Contents {
    fn read(config: &TlsConfig) -> Result<Self, ListenError> {
        let read = |path: &Path| pem::read(path, config.plugins.as_deref());
        let client_ca = match &config.client_ca {
            Some(path) => Some((path.clone(), read(path)?)),
            None => None,
        };
        let key = own_key(config).map(|path| read(path)).transpose()?;
        Ok(Self { cert: read(&config.cert)?, key, client_ca })
    }

    fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let client_ca = self.client_ca.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        for part in [&self.cert[..], self.key.as_deref().unwrap_or_default(), client_ca] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let digest: Digest = context.finish();
        digest.as_ref().try_into().unwrap_or_default()
    }

    fn build(&self, config: &TlsConfig) -> Result<ServerConfig, ListenError> {
        let key_file: &Path = own_key(config).unwrap_or(&config.cert);
        let certificates = pem::certificates(&config.cert, &self.cert)?;
        let key = pem::private_key(key_file, self.key.as_ref().unwrap_or(&self.cert))?;
        // Named here, so that no process-wide default is needed or obeyed.
        let crypto = Arc::new(provider::default_provider());
        let versions: &[_] = match config.min_version {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let pair = |source| ListenError::Pair { cert: config.cert.clone(), key: key_file.to_owned(), source };
        let verifier = self.verifier(config, &crypto)?;
        let mut server = ServerConfig::builder_with_provider(crypto)
            .with_protocol_versions(versions)
            .map_err(pair)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates, key)
            .map_err(pair)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(server)
    }

    fn verifier(
        &self,
        config: &TlsConfig,
        crypto: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, ListenError> {
        Ok(match config.client_auth {
            ClientAuth::None => Arc::new(NoClientAuth),
            ClientAuth::OptionalAny => Arc::new(AnyIssuer { provider: Arc::clone(crypto) }),
            ClientAuth::Required => {
                let (path, bytes) = self.client_ca.as_ref().ok_or(ListenError::NoClientCa)?;
                let bad = |reason| ListenError::ClientCa { path: path.clone(), reason };
                let mut roots = RootCertStore::empty();
                for certificate in pem::certificates(path, bytes)? {
                    roots.add(certificate).map_err(|error| bad(error.to_string()))?;
                }
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(crypto))
                    .build()
                    .map_err(|error| bad(error.to_string()))?
            }
        })
    }
}
