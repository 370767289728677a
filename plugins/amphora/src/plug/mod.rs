//! Networks: VIPs and member networks that are plugged, addresses that are looked up, and packet rules.
//!
//! With a network namespace in the settings, ports are moved into it and set up there by the programs `ip` and `ip-inside`. Without
//! one, interfaces are the operator's, and a plug call finds out whether what is asked for is there.

pub mod address;
pub mod announce;
pub mod body;
pub mod calls;
pub mod interface;
pub mod ports;
pub mod rules;

pub use body::{NetworkPlug, VipPlug};
pub use rules::Rule;
