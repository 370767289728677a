//! The machine behind the API: programs, numbers and datagrams.
//!
//! The seam to the host's `process`, `system` and `udp` interfaces, with the same shapes: [`Host`] is a thin adapter, tests have
//! a fake. Nothing outside this trait starts a program or asks a socket.

#[cfg(test)]
pub mod fake;
mod host;

use std::net::SocketAddr;

pub use host::Host;

use crate::files;

/// Why the machine did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The operator did not grant it: the capability that is missing.
    #[error("the operator denies `{0}` to the plugin")]
    Missing(&'static str),
    /// It was tried and failed; the system's words.
    #[error("{0}")]
    Failed(String),
}

impl From<files::Error> for Fault {
    fn from(error: files::Error) -> Fault {
        Fault::Failed(error.to_string())
    }
}

/// What a program that ran to its end left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// Standard output, then standard error.
    pub text: String,
}

/// A program started under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its process id.
    Running(u32),
    /// Its exit status if known.
    Exited(Option<i32>),
}

/// Processor time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Processors that are on.
    pub count: u32,
    /// Ticks since boot in user mode.
    pub user: u64,
    /// Ticks in the kernel.
    pub system: u64,
    /// Ticks in soft interrupts.
    pub soft_irq: u64,
    /// Ticks of every kind.
    pub total: u64,
}

/// Memory in kB, of what the load balancers may really use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// Unused.
    pub free: u64,
    /// In buffers.
    pub buffers: u64,
    /// In the page cache.
    pub cached: u64,
    /// Swap that is also in memory.
    pub swap_used: u64,
    /// Shared.
    pub shared: u64,
    /// The kernel's own caches.
    pub slab: u64,
}

/// One network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Hardware address as `fa:16:3e:00:00:01`, if it has one.
    pub mac: Option<String>,
    /// Addresses without prefix length.
    pub addresses: Vec<String>,
    /// Bytes received since it was made.
    pub rx: u64,
    /// Bytes sent since it was made.
    pub tx: u64,
}

/// What the API needs of a machine.
pub trait Machine {
    /// Path of the private directory as programs see it.
    fn directory(&self) -> Result<String, Fault>;

    /// A text that changes with the program's file.
    fn revision(&self, program: &str) -> Result<String, Fault>;

    /// Run a program that the operator named to its end, with this input.
    fn run(&self, program: &str, args: &[String], stdin: &str, timeout_ms: u32) -> Result<Output, Fault>;

    /// Start a program under a name; it outlives the request. A name that runs is a fault.
    fn start(&self, name: &str, program: &str, args: &[String]) -> Result<u32, Fault>;

    /// Send a signal to what was started under a name.
    fn signal(&self, name: &str, signal: i32) -> Result<(), Fault>;

    /// Terminate it, kill it after the grace time, and forget the name. Nothing of that name is no fault.
    fn stop(&self, name: &str, grace_ms: u32) -> Result<(), Fault>;

    /// How it is; none if nothing was started under that name, or it was stopped.
    fn status(&self, name: &str) -> Result<Option<State>, Fault>;

    /// The last that it printed.
    fn printed(&self, name: &str) -> Result<String, Fault>;

    /// Send a line to a unix socket of the private directory and read to the end.
    fn dialogue(&self, socket: &str, line: &str, timeout_ms: u32) -> Result<String, Fault>;

    /// Wait.
    fn pause(&self, milliseconds: u32);

    /// Milliseconds since 1970.
    fn now(&self) -> u64;

    /// Name of the machine.
    fn hostname(&self) -> Result<String, Fault>;

    /// Processor time.
    fn cpu(&self) -> Result<Cpu, Fault>;

    /// Memory.
    fn memory(&self) -> Result<Memory, Fault>;

    /// Bytes used and available on the file system of the private directory.
    fn disk(&self) -> Result<(u64, u64), Fault>;

    /// Load averages over 1, 5 and 15 minutes.
    fn load(&self) -> Result<[f64; 3], Fault>;

    /// Network interfaces that a listed program has, or those of the host.
    fn networks(&self, program: Option<&str>) -> Result<Vec<Network>, Fault>;

    /// Send one datagram.
    fn send(&self, to: SocketAddr, payload: &[u8]) -> Result<(), Fault>;
}
