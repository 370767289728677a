//! What can go wrong, one type for each way into this module.
//!
//! The texts may be shown to plugins and name no path of the host; paths are in the sources, for
//! the log. Errors of opening are for the operator and say where.

use std::{error::Error, path::PathBuf};

use super::piece::PieceId;

/// The blob store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Only the local file system is built in.
    #[error("blob store `{0}`: the address must be `file:PATH`, for example `file:data/blobs`")]
    Scheme(String),
    /// Another process has it open.
    #[error("blob store {}: in use by another process; give each process a folder of its own", .0.display())]
    InUse(PathBuf),
    /// The folder could not be made, locked or synced.
    #[error("blob store {}: {source}; the folder has to be writable by this user", .root.display())]
    Folder {
        /// The folder.
        root: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The first object could not be written.
    #[error("blob store {}: {source}; the folder has to be writable by this user, and the disk not full", .root.display())]
    Store {
        /// The folder.
        root: PathBuf,
        /// What the object store said.
        source: object_store::Error,
    },
    /// The runtime is going down.
    #[error("the host is stopping")]
    Stopped,
}

/// The name of a plugin that cannot be a folder's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` cannot own blobs: a name has 1 to 64 letters, digits, `-`, `_` and `.`, and does not begin with `.`")]
pub struct InvalidOwner(pub String);

/// The object store failed. The source is for the log: it may name paths.
#[derive(Debug, thiserror::Error)]
#[error("the blob store could not {action}; the disk may be full, or its folder not writable")]
pub struct StorageError {
    action: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StorageError {
    pub(super) fn new(action: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self { action, source: Some(Box::new(source)) }
    }

    /// Whether there is no room on its disk.
    pub fn is_full(&self) -> bool {
        let mut source: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = source {
            if error.downcast_ref::<std::io::Error>().is_some_and(crate::private::is_full) {
                return true;
            }
            source = error.source();
        }
        false
    }

    /// A task of ours was cut short, which happens only when the runtime goes down.
    pub(super) fn stopped() -> Self {
        Self { action: "go on while the host is stopping", source: None }
    }
}

/// A body did not become pieces. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum StageError<E> {
    /// Longer than the plan's limit, or than the most pieces hold.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// Most bytes taken.
        limit: u64,
    },
    /// The plugin holds too many bytes in pieces that are not attached.
    #[error("too many bytes of this plugin are staged and not attached; try again later")]
    QuotaExceeded,
    /// The body ended with an error of its own.
    #[error("the body was cut off: {0}")]
    CutOff(E),
    /// The plan is outside the contract.
    #[error("{0}")]
    InvalidPlan(&'static str),
    /// The object store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such piece, or no longer.
    #[error("there is no piece {0}")]
    NotFound(PieceId),
    /// A range that ends beyond 2^64, or more than can be read at once.
    #[error("{0}")]
    InvalidRange(&'static str),
    /// The object store failed, or the range is not within the piece.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The sweep stopped. What it removed up to then was not attached.
#[derive(Debug, thiserror::Error)]
pub enum SweepError<E> {
    /// The question which pieces are attached was not answered.
    #[error("cannot tell which pieces are attached: {0}")]
    Unknown(E),
    /// The object store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
