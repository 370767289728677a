//! Who may do what, beyond what routes declare.

pub use crate::bindings::plugbay::plugin::identity::{Error, TokenInfo};
pub use crate::capability::identity::{allowed, challenge, lookup, users_by_id, users_by_name};
