//! The host functions behind the interfaces of `wit/`, one file or folder an interface.
//!
//! Each file owns its interface's limits and the translation between the contract's types and the
//! part of the host that does the work. A host function is bounded in what it takes and gives, gives
//! up the guest's processor permit while it waits, and never learns which plugin it serves but by the
//! [`GuestState`](crate::plugin::GuestState) it runs on.

pub mod blobs;
mod config;
pub mod crypto;
mod http_client;
mod identity;
mod jobs;
pub mod kv;
mod log;
mod process;
mod secrets;
mod system;
mod types;
mod udp;
