//! A world in which nothing can be reached: what there is until the host has the capabilities.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Clock, Fault, Fetch, Inbound, Outbound, Secrets};

/// Every call says which capability is missing.
#[derive(Debug, Clone, Copy)]
pub struct Absent;

impl Fetch for Absent {
    fn send(&self, _request: &Outbound) -> Result<Inbound, Fault> {
        Err(Fault::Missing("http-client"))
    }
}

impl Secrets for Absent {
    fn put_identity(&self, _name: &str, _certificate: &str, _key: &str) -> Result<(), Fault> {
        Err(Fault::Missing("secrets"))
    }

    fn delete(&self, _name: &str) -> Result<(), Fault> {
        Err(Fault::Missing("secrets"))
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct Machine;

impl Clock for Machine {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
