//! Plugbay: an API host into which documented APIs are plugged as WebAssembly components.
//!
//! The library holds everything; the binary parses arguments and calls [`cli::run`]. Data flows one
//! way: `listener` → `dispatch` (with `routing` and `auth`) → `plugin` → `capability` → `store` and
//! `blob`. ARCHITECTURE.md at the top of the repository is the map.

pub mod admin;
pub mod auth;
pub mod blob;
mod capability;
pub mod cli;
pub mod config;
pub mod datagram;
pub mod dispatch;
mod jobs;
pub mod keystone;
mod layout;
pub mod listener;
pub mod machine;
pub mod metrics;
pub mod outbound;
pub mod plugin;
mod private;
mod private_file;
pub mod program;
pub mod routing;
pub mod run;
pub mod secret;
mod services;
pub mod store;
mod tls_signature;
