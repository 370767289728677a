//! `system`: numbers of the machine, within what the plugin's programs may use.
//!
//! What is read is in [`crate::machine`]. Reading blocks for well below a millisecond, so that it is done where
//! the guest runs; only entering another network namespace is done on a thread of its own.

use crate::machine::{self, Network as Interface};
use crate::plugin::GuestState;
use crate::plugin::bindings::system::{CpuTimes, Error, Host, MemorySizes, Network};
use crate::program::{ProgramError, Programs};

impl From<Interface> for Network {
    fn from(network: Interface) -> Self {
        let mac = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
        Self {
            name: network.name,
            mac: network.mac.map(mac),
            rx_bytes: network.rx_bytes,
            tx_bytes: network.tx_bytes,
            addresses: network.addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

fn unavailable(error: impl ToString) -> Error {
    Error::Unavailable(error.to_string())
}

impl GuestState {
    /// What the operator's entry says of a program; none if none is asked about.
    fn of_program<'a, T>(
        &'a self,
        program: Option<&str>,
        fact: impl FnOnce(&'a Programs, &str) -> Result<T, ProgramError>,
    ) -> Result<Option<T>, Error> {
        let Some(program) = program else { return Ok(None) };
        let programs = self.plugin.programs.as_ref().ok_or(Error::Denied)?;
        fact(programs, program).map(Some).map_err(unavailable)
    }
}

impl Host for GuestState {
    async fn hostname(&mut self) -> wasmtime::Result<Result<String, Error>> {
        Ok(machine::hostname().map_err(unavailable))
    }

    async fn cpu(&mut self) -> wasmtime::Result<Result<CpuTimes, Error>> {
        let times = machine::cpu().map(|times| CpuTimes {
            count: times.count,
            user: times.user,
            system: times.system,
            soft_irq: times.soft_irq,
            total: times.total,
        });
        Ok(times.map_err(unavailable))
    }

    async fn memory(&mut self, program: Option<String>) -> wasmtime::Result<Result<MemorySizes, Error>> {
        let budget = match self.of_program(program.as_deref(), Programs::memory) {
            Ok(budget) => budget.unwrap_or(u64::MAX),
            Err(error) => return Ok(Err(error)),
        };
        let sizes = machine::memory().map(|sizes| sizes.within(budget)).map(|sizes| MemorySizes {
            total: sizes.total,
            free: sizes.free,
            buffers: sizes.buffers,
            cached: sizes.cached,
            swap_cached: sizes.swap_cached,
            shared: sizes.shared,
            slab: sizes.slab,
        });
        Ok(sizes.map_err(unavailable))
    }

    async fn disk(&mut self) -> wasmtime::Result<Result<(u64, u64), Error>> {
        let Some(directory) = &self.plugin.directory else {
            return Ok(Err(Error::Unavailable("the plugin has no private directory".into())));
        };
        let disk = machine::disk(directory).map(|disk| (disk.used, disk.available));
        Ok(disk.map_err(unavailable))
    }

    async fn load(&mut self) -> wasmtime::Result<Result<(f64, f64, f64), Error>> {
        Ok(machine::load().map_err(unavailable))
    }

    async fn networks(&mut self, program: Option<String>) -> wasmtime::Result<Result<Vec<Network>, Error>> {
        let namespace = match self.of_program(program.as_deref(), Programs::network_namespace) {
            Ok(namespace) => namespace.flatten(),
            Err(error) => return Ok(Err(error)),
        };
        let networks = match namespace {
            None => machine::networks(None),
            Some(path) => {
                let path = path.to_owned();
                let entering = tokio::task::spawn_blocking(move || machine::networks(Some(&path)));
                self.cpu.waiting(entering).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
            }
        };
        Ok(networks.map(|all| all.into_iter().map(Into::into).collect()).map_err(unavailable))
    }
}
