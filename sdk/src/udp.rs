//! Datagrams to listed addresses. Has to be granted: `grants = ["udp"]` and `udp` in the plugin's table. Natively every
//! call is denied.

pub use crate::bindings::plugbay::plugin::udp::Error;
pub use crate::capability::udp::send;
