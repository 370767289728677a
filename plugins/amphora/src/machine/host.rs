//! The machine that the host offers: its `process`, `system` and `udp` interfaces behind [`Machine`].
//!
//! Owns nothing but the translation of shapes: bytes to text, bytes to kB, errors to [`Fault`]. Natively every call is denied.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plugbay_sdk::{process, system, udp};

use super::{Cpu, Fault, Machine, Memory, Network, Output, State};
use crate::haproxy;

/// Most bytes of printed output that are looked at: the last.
const PRINTED: u32 = 16 * 1024;

/// The host's capabilities.
#[derive(Debug, Clone, Copy)]
pub struct Host;

fn of_process(error: process::Error) -> Fault {
    match error {
        process::Error::Denied => Fault::Missing("process"),
        process::Error::Invalid(why) | process::Error::NotFound(why) | process::Error::Failed(why) => {
            Fault::Failed(why)
        }
        process::Error::Timeout => Fault::Failed("it took too long".to_owned()),
    }
}

fn of_system(error: system::Error) -> Fault {
    match error {
        system::Error::Denied => Fault::Missing("system"),
        system::Error::Unavailable(why) => Fault::Failed(why),
    }
}

fn of_udp(error: udp::Error) -> Fault {
    match error {
        udp::Error::Denied => Fault::Missing("udp"),
        udp::Error::Invalid(why) | udp::Error::Unlisted(why) | udp::Error::Unreachable(why) => Fault::Failed(why),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn kilobytes(sizes: &system::MemorySizes) -> Memory {
    Memory {
        total: sizes.total / 1024,
        free: sizes.free / 1024,
        buffers: sizes.buffers / 1024,
        cached: sizes.cached / 1024,
        swap_used: sizes.swap_cached / 1024,
        shared: sizes.shared / 1024,
        slab: sizes.slab / 1024,
    }
}

impl Machine for Host {
    fn directory(&self) -> Result<String, Fault> {
        process::directory().map_err(of_process)
    }

    fn revision(&self, program: &str) -> Result<String, Fault> {
        process::revision(program).map_err(of_process)
    }

    fn run(&self, program: &str, args: &[String], stdin: &str, timeout_ms: u32) -> Result<Output, Fault> {
        let output = process::run(program, args, stdin.as_bytes(), timeout_ms).map_err(|error| match error {
            process::Error::Timeout => {
                Fault::Failed(format!("{program} did not end within {} seconds", timeout_ms / 1000))
            }
            other => of_process(other),
        })?;
        Ok(Output { status: output.exit.status, text: text(&output.stdout) + &text(&output.stderr) })
    }

    fn start(&self, name: &str, program: &str, args: &[String]) -> Result<u32, Fault> {
        process::start(name, program, args).map_err(of_process)
    }

    fn signal(&self, name: &str, signal: i32) -> Result<(), Fault> {
        process::signal(name, signal).map_err(of_process)
    }

    fn stop(&self, name: &str, grace_ms: u32) -> Result<(), Fault> {
        process::stop(name, grace_ms).map_err(of_process)
    }

    fn status(&self, name: &str) -> Result<Option<State>, Fault> {
        let state = process::status(name).map_err(of_process)?;
        Ok(state.map(|state| match state {
            process::State::Running(pid) => State::Running(pid),
            process::State::Exited(exit) => State::Exited(exit.status),
        }))
    }

    fn printed(&self, name: &str) -> Result<String, Fault> {
        process::printed(name, PRINTED).map(|bytes| text(&bytes)).map_err(of_process)
    }

    fn dialogue(&self, socket: &str, line: &str, timeout_ms: u32) -> Result<String, Fault> {
        let answer = process::dialogue(socket, format!("{line}\n").as_bytes(), None, timeout_ms);
        answer.map(|bytes| text(&bytes)).map_err(of_process)
    }

    fn pause(&self, milliseconds: u32) {
        std::thread::sleep(Duration::from_millis(u64::from(milliseconds)));
    }

    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn hostname(&self) -> Result<String, Fault> {
        system::hostname().map_err(of_system)
    }

    fn cpu(&self) -> Result<Cpu, Fault> {
        let system::CpuTimes { count, user, system, soft_irq, total } = system::cpu().map_err(of_system)?;
        Ok(Cpu { count, user, system, soft_irq, total })
    }

    fn memory(&self) -> Result<Memory, Fault> {
        system::memory(Some(haproxy::store::PROGRAM)).map(|sizes| kilobytes(&sizes)).map_err(of_system)
    }

    fn disk(&self) -> Result<(u64, u64), Fault> {
        system::disk().map_err(of_system)
    }

    fn load(&self) -> Result<[f64; 3], Fault> {
        system::load().map(|(one, five, fifteen)| [one, five, fifteen]).map_err(of_system)
    }

    fn networks(&self, program: Option<&str>) -> Result<Vec<Network>, Fault> {
        let networks = system::networks(program).map_err(of_system)?;
        Ok(networks
            .into_iter()
            .map(|network| Network {
                name: network.name,
                mac: network.mac,
                addresses: network.addresses,
                rx: network.rx_bytes,
                tx: network.tx_bytes,
            })
            .collect())
    }

    fn send(&self, to: SocketAddr, payload: &[u8]) -> Result<(), Fault> {
        udp::send(&to.to_string(), payload).map_err(of_udp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_kilobytes() {
        let sizes = system::MemorySizes {
            total: 8192,
            free: 4096,
            buffers: 1024,
            cached: 2047,
            swap_cached: 0,
            shared: 0,
            slab: 0,
        };
        let memory = kilobytes(&sizes);
        assert_eq!((memory.total, memory.free, memory.buffers, memory.cached), (8, 4, 1, 1));
    }

    #[test]
    fn what_is_denied_is_named() {
        plugbay_sdk::testing::Host::new().install();
        assert_eq!(Host.directory(), Err(Fault::Missing("process")));
        assert_eq!(Host.hostname(), Err(Fault::Missing("system")));
        assert_eq!(Host.send(([192, 0, 2, 1], 5555).into(), b""), Err(Fault::Missing("udp")));
    }
}
