//! keepalived: one process for the VIPs of an active-standby pair, one for each LVS listener.

pub mod check;
pub mod ipvs;
pub mod lvs;
pub mod rendering;
pub mod scripts;
pub mod vrrp;
