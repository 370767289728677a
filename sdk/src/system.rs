//! Facts about the machine. Has to be granted: `grants = ["system"]`. Natively every call is denied.

pub use crate::bindings::plugbay::plugin::system::{CpuTimes, Error, MemorySizes, Network};
pub use crate::capability::system::{cpu, disk, hostname, load, memory, networks};
