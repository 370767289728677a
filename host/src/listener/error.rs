//! Why a listener could not be opened.

use std::io;
use std::path::PathBuf;

/// Why a listener could not be opened. Nothing of this kind happens once it serves.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ListenError {
    #[error("listener {listener}: {reason}")]
    Invalid { listener: String, reason: &'static str },

    #[error("cannot listen on {address}: {source}; choose a free address of this machine")]
    Bind { address: String, source: io::Error },

    #[error(
        "the socket path {} has {length} bytes, but a unix socket path has at most 107; \
         choose a shorter one",
        path.display()
    )]
    PathTooLong { path: PathBuf, length: usize },

    #[error("{} exists and is not a socket; remove it or choose another path", path.display())]
    NotASocket { path: PathBuf },

    #[error("another process answers on {}; stop it or choose another path", path.display())]
    InUse { path: PathBuf },

    #[error("cannot read {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },

    #[error("{} holds no PEM certificate (`-----BEGIN CERTIFICATE-----`)", path.display())]
    NoCertificate { path: PathBuf },

    #[error(
        "{} holds no usable private key: an unencrypted PEM key of RSA, ECDSA (P-256, P-384) or \
         Ed25519 is needed ({reason})",
        path.display()
    )]
    NoKey { path: PathBuf, reason: &'static str },

    #[error(
        "the certificate in {} and the key in {} do not belong together or are not usable: {source}",
        cert.display(),
        key.display()
    )]
    Pair { cert: PathBuf, key: PathBuf, source: rustls::Error },

    #[error("{} holds a certificate that is not usable as an authority: {reason}", path.display())]
    ClientCa { path: PathBuf, reason: String },

    #[error("`client_auth = \"required\"` needs `client_ca`, the authorities to accept")]
    NoClientCa,
}
