//! Why a command did not do what it was asked for.

use std::io;
use std::path::PathBuf;

use super::output;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The host did not start.
    #[error(transparent)]
    Start(#[from] crate::run::StartError),
    /// The store did not open.
    #[error(transparent)]
    Open(#[from] crate::store::OpenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// An export or import broke off.
    #[error(transparent)]
    Transfer(#[from] crate::store::TransferError),
    /// The token file.
    #[error(transparent)]
    Token(#[from] crate::auth::TokenFileError),
    /// A key or signature.
    #[error(transparent)]
    Signature(#[from] crate::plugin::signature::SignatureError),
    /// A certificate could not be made.
    #[error("making a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A file, or what stands for one.
    #[error("{what}: {source}")]
    File {
        /// Which.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Standard output.
    #[error("standard output: {0}")]
    Output(io::Error),
    /// Nobody answers on the admin socket.
    #[error("no host answers on {}: {source}; is it running, with this configuration, as a user whose socket you may open?", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The host hung up.
    #[error("the connection to the host broke: {0}")]
    Broken(#[from] hyper::Error),
    /// Something else, in words.
    #[error("{0}")]
    Words(String),
}

impl CliError {
    pub(super) fn file(what: impl Into<String>, source: io::Error) -> Self {
        Self::File { what: what.into(), source }
    }

    /// Say it on standard error. Nothing is said to a reader who has heard enough.
    pub(super) fn report(&self) {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            error => output::say(&format!("error: {error}")),
        }
    }
}
