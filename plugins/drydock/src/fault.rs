//! What goes wrong on this side: the store, the host's functions, the settings.
//!
//! One type for all of it. Requests make a 500 or 503 of it ([`crate::api::refusal`]), jobs are tried again.

use plugbay_sdk::{blobs, config, crypto, identity, jobs, kv};

/// Something on this side does not work. The text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Broken {
    /// What.
    pub text: String,
    /// Whether trying again may help.
    pub retry: bool,
}

macro_rules! from {
    ($($error:ty, $what:literal, $retry:expr;)*) => { $(
        impl From<$error> for Broken {
            fn from(error: $error) -> Broken {
                let retry: fn(&$error) -> bool = $retry;
                Broken { retry: retry(&error), text: format!("{}: {error:?}", $what) }
            }
        }
    )* };
}

from! {
    kv::Error, "store", |error| matches!(error, kv::Error::Storage(_) | kv::Error::Conflict(_));
    blobs::Error, "blobs", |error| matches!(error, blobs::Error::Storage(_));
    crypto::Error, "crypto", |error| matches!(error, crypto::Error::Storage(_));
    identity::Error, "identity", |error| matches!(error, identity::Error::Throttled | identity::Error::Unavailable(_));
    jobs::Error, "jobs", |error| matches!(error, jobs::Error::Storage(_));
}

impl From<config::Error> for Broken {
    fn from(error: config::Error) -> Broken {
        Broken { text: error.to_string(), retry: false }
    }
}

impl From<serde_json::Error> for Broken {
    fn from(error: serde_json::Error) -> Broken {
        Broken { text: error.to_string(), retry: false }
    }
}
