//! Secrets that the host keeps and uses, but never gives back. Has to be granted: `grants = ["secrets"]`. Natively every
//! call is denied.

pub use crate::bindings::plugbay::plugin::secrets::{Credential, Error, Form, Named, PublicIdentity};
pub use crate::capability::secrets::{
    delete, ensure_identity, hmac, identity, names, put_credential, put_hmac_key, put_identity,
};
