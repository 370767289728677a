//! Programs that the operator listed. Has to be granted: `grants = ["process"]` and `programs` in the plugin's table.
//!
//! Natively every call is denied: what runs programs puts a trait of its own between.

pub use crate::bindings::plugbay::plugin::process::{Error, Exit, Output, State};
pub use crate::capability::process::{dialogue, directory, printed, revision, run, signal, start, status, stop};
