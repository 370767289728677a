//! keepalived: one process for the VIPs of an active-standby pair, one for each LVS listener.

pub mod lvs;
pub mod scripts;
pub mod vrrp;
