//! Why a secret was not kept or used. No text has anything of a secret's content, or a path of the host.

use crate::capability::crypto::KeyError;
use crate::store::{CommitError, StoreError};

use super::record::Kind;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A name or a content that cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// There is no secret of that name.
    #[error("there is no secret `{0}`")]
    NotFound(String),
    /// The operator gave a secret of that name; the plugin can use it, and nothing else.
    #[error("the secret `{0}` is the operator's")]
    Operators(String),
    /// There is one, of another kind.
    #[error("the secret `{name}` is {is}, not {wanted}")]
    WrongKind {
        /// The secret.
        name: String,
        /// What it is.
        is: Kind,
        /// What was asked for.
        wanted: Kind,
    },
    /// The plugin has as many as it may have.
    #[error("the plugin has {} secrets already; remove one", super::MAX_SECRETS)]
    TooMany,
    /// The store did not answer, the host key does not open the record, or a file of the operator is of no use.
    #[error("{0}")]
    Storage(String),
}

impl From<KeyError> for SecretError {
    fn from(error: KeyError) -> Self {
        Self::Storage(error.to_string())
    }
}

impl From<StoreError> for SecretError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.to_string())
    }
}

impl From<CommitError> for SecretError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::QuotaExceeded => Self::TooMany,
            error => Self::Storage(error.to_string()),
        }
    }
}
