//! What a refusal is, for both surfaces.
//!
//! Owns the status codes that the plugin refuses with. It knows nothing of headers or stores.
//! Invariant: a fault is a status of 400 or above and one sentence for the client.

use plugbay_sdk::kv;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct Fault {
    /// The status code.
    pub status: u16,
    /// What is wrong, for the client.
    pub message: String,
}

impl Fault {
    /// A fault of this status.
    pub fn new(status: u16, message: impl Into<String>) -> Fault {
        Fault { status, message: message.into() }
    }

    /// 400: it does not parse, a value is wrong, something required is missing.
    pub fn bad_request(message: impl Into<String>) -> Fault {
        Fault::new(400, message)
    }

    /// 403: an immutable attribute, a mixin that does not apply, a category of the provider.
    pub fn forbidden(message: impl Into<String>) -> Fault {
        Fault::new(403, message)
    }

    /// 404: no such entity, path, category or attribute.
    pub fn not_found(message: impl Into<String>) -> Fault {
        Fault::new(404, message)
    }

    /// 405: not this method here.
    pub fn not_allowed(message: impl Into<String>) -> Fault {
        Fault::new(405, message)
    }

    /// 409: conflicting content, or not in this state.
    pub fn conflict(message: impl Into<String>) -> Fault {
        Fault::new(409, message)
    }

    /// 500, with the cause in the log only.
    pub fn internal(cause: impl std::fmt::Display) -> Fault {
        plugbay_sdk::error!("{cause}");
        Fault::new(500, "The service failed.")
    }
}

impl From<kv::Error> for Fault {
    fn from(error: kv::Error) -> Fault {
        match error {
            kv::Error::QuotaExceeded => Fault::new(507, "The space given to this service is used up."),
            kv::Error::Conflict(_) => Fault::new(503, "Too many others are writing here; try again."),
            error => Fault::internal(format_args!("store: {error:?}")),
        }
    }
}
