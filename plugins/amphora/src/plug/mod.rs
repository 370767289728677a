//! Networks: VIPs and member networks that are plugged, addresses that are looked up, and packet rules.
//!
//! Interfaces are made and given addresses by the operator; the plugin has no capability for it. So a plug call finds out whether what is
//! asked for is there, and only asks the machine where it is not.

pub mod address;
pub mod body;
pub mod calls;
pub mod rules;

pub use body::{NetworkPlug, VipPlug};
pub use rules::Rule;
