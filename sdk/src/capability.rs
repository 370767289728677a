//! Where capability calls go: to the host in a component, to the host in memory everywhere else.
//!
//! Types are the generated ones on both sides; only functions differ.

#[cfg(target_arch = "wasm32")]
pub use crate::bindings::plugbay::plugin::{
    blobs, config, crypto, http_client, identity, jobs, kv, log, process, secrets, system, udp,
};

#[cfg(not(target_arch = "wasm32"))]
pub use crate::testing::capability::{
    blobs, config, crypto, http_client, identity, jobs, kv, log, process, secrets, system, udp,
};
