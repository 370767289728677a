//! A machine on which everything is missing: what there is until the host has the capabilities.

use std::net::SocketAddr;

use super::{Cpu, Fault, Machine, Memory, Network, Output, State};

/// Every call says which capability is missing.
#[derive(Debug, Clone, Copy)]
pub struct Absent;

const PROCESS: Fault = Fault::Missing("process");
const SYSTEM: Fault = Fault::Missing("system");

impl Machine for Absent {
    fn directory(&self) -> Result<String, Fault> {
        Err(PROCESS)
    }

    fn run(&self, _program: &str, _args: &[String], _timeout_ms: u32) -> Result<Output, Fault> {
        Err(PROCESS)
    }

    fn start(&self, _name: &str, _program: &str, _args: &[String]) -> Result<u32, Fault> {
        Err(PROCESS)
    }

    fn signal(&self, _name: &str, _signal: i32) -> Result<(), Fault> {
        Err(PROCESS)
    }

    fn stop(&self, _name: &str, _grace_ms: u32) -> Result<(), Fault> {
        Err(PROCESS)
    }

    fn status(&self, _name: &str) -> Result<Option<State>, Fault> {
        Err(PROCESS)
    }

    fn output(&self, _name: &str) -> Result<String, Fault> {
        Err(PROCESS)
    }

    fn dialogue(&self, _socket: &str, _line: &str, _timeout_ms: u32) -> Result<String, Fault> {
        Err(PROCESS)
    }

    fn pause(&self, _milliseconds: u32) {}

    fn hostname(&self) -> Result<String, Fault> {
        Err(SYSTEM)
    }

    fn cpu(&self) -> Result<Cpu, Fault> {
        Err(SYSTEM)
    }

    fn memory(&self) -> Result<Memory, Fault> {
        Err(SYSTEM)
    }

    fn disk(&self) -> Result<(u64, u64), Fault> {
        Err(SYSTEM)
    }

    fn load(&self) -> Result<[f64; 3], Fault> {
        Err(SYSTEM)
    }

    fn networks(&self) -> Result<Vec<Network>, Fault> {
        Err(SYSTEM)
    }

    fn send(&self, _to: SocketAddr, _payload: &[u8]) -> Result<(), Fault> {
        Err(Fault::Missing("udp"))
    }
}
