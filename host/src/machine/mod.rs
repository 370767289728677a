//! Facts about the machine that plugins may ask for, as numbers.
//!
//! Owns the reading of `/proc`, `statvfs` and the list of interfaces; `parse.rs` owns the formats, as pure
//! functions. Nothing is cached: each call reads, which takes well below a millisecond, but blocks for
//! as long. Interfaces are those of the host's own network namespace, or of one that is named.

mod parse;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Time that processors spent, in ticks since boot, all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// Processors that are on.
    pub count: u32,
    /// In programs, at normal priority.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// In soft interrupts.
    pub soft_irq: u64,
    /// All kinds of time, idle too.
    pub total: u64,
}

/// Bytes of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemorySizes {
    /// That the kernel can use.
    pub total: u64,
    /// Used by nothing.
    pub free: u64,
    /// Of block devices.
    pub buffers: u64,
    /// Of files.
    pub cached: u64,
    /// Swapped out, and still in memory.
    pub swap_cached: u64,
    /// Shared between processes, temporary file systems too.
    pub shared: u64,
    /// Of the kernel's caches of its own objects.
    pub slab: u64,
}

impl MemorySizes {
    /// What is left of it within a budget: no number is larger than the budget, nor are those together that
    /// say what could be had (`free`, `buffers`, `cached`).
    #[must_use]
    pub fn within(self, budget: u64) -> Self {
        let free = self.free.min(budget);
        let buffers = self.buffers.min(budget - free);
        let cached = self.cached.min(budget - free - buffers);
        Self {
            total: self.total.min(budget),
            free,
            buffers,
            cached,
            swap_cached: self.swap_cached.min(budget),
            shared: self.shared.min(budget),
            slab: self.slab.min(budget),
        }
    }
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSizes {
    /// In use.
    pub used: u64,
    /// Left for users other than root.
    pub available: u64,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// As the kernel calls it.
    pub name: String,
    /// Hardware address, if it has one.
    pub mac: Option<[u8; 6]>,
    /// Bytes received since it was made.
    pub rx_bytes: u64,
    /// Bytes sent since it was made.
    pub tx_bytes: u64,
    /// In order: IPv4, then IPv6.
    pub addresses: Vec<IpAddr>,
}

/// # Errors
/// `/proc/stat` cannot be read, or is not as expected.
pub fn cpu() -> io::Result<CpuTimes> {
    understood("/proc/stat", parse::cpu)
}

/// Of the machine, or of the control group that the host runs in, if that may use less: `total` is what
/// may be used then, and `free` what is left of that.
///
/// # Errors
/// `/proc/meminfo` cannot be read, or is not as expected.
pub fn memory() -> io::Result<MemorySizes> {
    let sizes = understood("/proc/meminfo", parse::memory)?;
    let Some((limit, used)) = group_limit().filter(|(limit, _)| *limit < sizes.total) else { return Ok(sizes) };
    let within = sizes.within(limit);
    Ok(MemorySizes { free: within.free.min(limit.saturating_sub(used)), ..within })
}

/// The machine's name.
///
/// # Errors
/// The kernel does not say it.
pub fn hostname() -> io::Result<String> {
    understood("/proc/sys/kernel/hostname", |text| Some(text.trim_end().to_owned()))
}

/// Averages of the number of processes that run or wait to, over 1, 5 and 15 minutes.
///
/// # Errors
/// `/proc/loadavg` cannot be read, or is not as expected.
pub fn load() -> io::Result<(f64, f64, f64)> {
    understood("/proc/loadavg", parse::load)
}

/// Of the file system that has this directory.
///
/// # Errors
/// The directory cannot be reached.
pub fn disk(directory: &Path) -> io::Result<DiskSizes> {
    let facts = rustix::fs::statvfs(directory)?;
    let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
    Ok(DiskSizes { used: bytes(facts.f_blocks.saturating_sub(facts.f_bfree)), available: bytes(facts.f_bavail) })
}

/// All interfaces of a network namespace, a file such as `/run/netns/NAME`, in the order of their names; none: of the host's.
///
/// # Errors
/// They cannot be listed, or the host may not enter the namespace.
pub fn networks(namespace: Option<&Path>) -> io::Result<Vec<Network>> {
    let Some(path) = namespace else { return networks_here() };
    let file = File::open(path)?;
    // The thread takes the namespace with it when it ends.
    let inside = std::thread::Builder::new().name("networks".into()).spawn(move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        networks_here()
    })?;
    inside.join().map_err(|_| io::Error::other("the interfaces could not be listed"))?
}

/// Those of the thread that asks.
fn networks_here() -> io::Result<Vec<Network>> {
    let counters = understood("/proc/thread-self/net/dev", parse::networks)?;
    let mut all: BTreeMap<String, Network> = BTreeMap::new();
    for network in counters {
        all.insert(network.name.clone(), network);
    }
    for interface in getifaddrs::getifaddrs()? {
        // An interface that came between the two readings waits for the next call. An alias, `eth0:1`, belongs to its interface.
        let name = interface.name.split(':').next().unwrap_or_default();
        let Some(network) = all.get_mut(name) else { continue };
        network.addresses.extend(interface.address.ip_addr());
        network.mac = network.mac.or(interface.address.mac_addr().filter(|mac| *mac != [0; 6]));
    }
    let mut all: Vec<Network> = all.into_values().collect();
    for network in &mut all {
        network.addresses.sort_unstable();
        network.addresses.dedup();
    }
    Ok(all)
}

/// The tightest memory limit of the host's control group and those above it, and what is used of it. None without version 2
/// of control groups, or without a limit.
fn group_limit() -> Option<(u64, u64)> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = Path::new("/sys/fs/cgroup").join(parse::group(&groups)?);
    let number =
        |folder: &Path, file: &str| std::fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    let limits = own.ancestors().take_while(|folder| folder.starts_with("/sys/fs/cgroup"));
    // A limit of "max" is no number.
    let limits = limits.filter_map(|folder| Some((number(folder, "memory.max")?, number(folder, "memory.current")?)));
    limits.min_by_key(|(limit, used)| limit.saturating_sub(*used))
}

fn understood<T>(path: &str, parse: impl FnOnce(&str) -> Option<T>) -> io::Result<T> {
    let text = std::fs::read_to_string(path)?;
    parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not as expected")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_sensible_numbers() {
        let cpu = cpu().unwrap();
        assert!(cpu.count >= 1 && cpu.total >= cpu.user + cpu.system + cpu.soft_irq && cpu.user > 0);
        let memory = memory().unwrap();
        assert!(memory.total > 1 << 20 && memory.free <= memory.total);
        let (one, five, fifteen) = load().unwrap();
        assert!(one >= 0.0 && five >= 0.0 && fifteen >= 0.0);
        let disk = disk(Path::new("/tmp")).unwrap();
        assert!(disk.used + disk.available > 0);
        assert!(super::disk(Path::new("/no/such/place")).is_err());
    }

    #[test]
    fn the_loopback_interface_has_its_address() {
        let networks = networks(None).unwrap();
        let lo = networks.iter().find(|network| network.name == "lo").unwrap();
        assert!(lo.addresses.contains(&IpAddr::from([127, 0, 0, 1])), "{networks:?}");
        assert_eq!(lo.mac, None);
    }

    #[test]
    fn a_namespace_that_is_none_is_an_error() {
        assert!(super::networks(Some(Path::new("/no/such/namespace"))).is_err());
        assert!(super::networks(Some(Path::new("/proc/self/stat"))).is_err());
    }

    #[test]
    fn a_budget_is_not_exceeded() {
        let sizes = MemorySizes { total: 100, free: 50, buffers: 5, cached: 20, swap_cached: 1, shared: 3, slab: 70 };
        let within = sizes.within(60);
        let expected = MemorySizes { total: 60, cached: 5, slab: 60, ..sizes };
        assert_eq!(within, expected);
        assert_eq!(sizes.within(10), MemorySizes { total: 10, free: 10, buffers: 0, cached: 0, slab: 10, ..sizes });
        assert_eq!(sizes.within(u64::MAX), sizes);
    }
}
