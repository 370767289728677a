//! What the amphora says of itself: `info` and `details`.
//!
//! The controller computes with it: the first two parts of haproxy's version choose what it writes, free memory sizes the TLS cache.
//! Types are exact, strings where the agent sends strings.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::context::Context;
use crate::haproxy::lifecycle::{process, runs};
use crate::haproxy::store::{self, balancers};
use crate::keepalived::{lvs, vrrp};
use crate::listeners;
use crate::machine::{Cpu, Fault, Machine, Memory, Network};
use crate::refusal::Refusal;

/// The version served.
pub const API_VERSION: &str = "1.0";

const VERSION_MS: u32 = 5_000;

/// `GET /1.0/info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Name of the machine.
    pub hostname: String,
    /// Version of the haproxy that checks and runs configurations.
    pub haproxy_version: String,
    /// `1.0`.
    pub api_version: &'static str,
    /// Empty if there is none.
    pub keepalived_version: String,
    /// Empty if there is none.
    pub ipvsadm_version: String,
}

/// Bytes through an interface since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Sent.
    pub network_tx: u64,
    /// Received.
    pub network_rx: u64,
}

/// Processor time in ticks since boot; three of four as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CpuTicks {
    total: u64,
    user: String,
    system: String,
    soft_irq: String,
}

/// Memory in kB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemorySizes {
    total: u64,
    free: u64,
    buffers: u64,
    cached: u64,
    swap_used: u64,
    shared: u64,
    slab: u64,
}

/// Bytes of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Disk {
    used: u64,
    available: u64,
}

/// Nothing, as an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Empty {}

/// `GET /1.0/details`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Details {
    /// What `info` says too.
    #[serde(flatten)]
    pub info: Info,
    /// Interfaces named `eth…`.
    pub networks: BTreeMap<String, Traffic>,
    /// Always.
    pub active: bool,
    /// Load balancers that run.
    pub haproxy_count: usize,
    /// LVS listeners that run.
    pub lvs_listener_process_count: usize,
    /// Processors.
    pub cpu_count: u32,
    /// Processor time.
    pub cpu: CpuTicks,
    /// Memory.
    pub memory: MemorySizes,
    /// Disk.
    pub disk: Disk,
    /// Averages over 1, 5 and 15 minutes.
    pub load: [String; 3],
    /// Empty: tuning is the operator's.
    pub active_tuned_profiles: &'static str,
    /// `SINGLE`, whatever it is.
    pub topology: &'static str,
    /// `OK`.
    pub topology_status: &'static str,
    /// Ids of all listeners, in order.
    pub listeners: Vec<String>,
    /// Always empty.
    pub packages: Empty,
}

/// The numbers that `details` is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Bytes used and available.
    pub disk: (u64, u64),
    /// Load averages.
    pub load: [f64; 3],
    /// Interfaces.
    pub networks: Vec<Network>,
    /// Load balancers that run.
    pub haproxies: usize,
    /// LVS listeners that run.
    pub lvs: usize,
    /// Ids of listeners.
    pub listeners: Vec<String>,
}

/// The document of these numbers.
pub fn document(info: Info, numbers: Numbers) -> Details {
    let Numbers { cpu, memory, disk, load, networks, haproxies, lvs, mut listeners } = numbers;
    listeners.sort();
    Details {
        info,
        networks: networks
            .into_iter()
            .filter(|network| network.name.starts_with("eth"))
            .map(|network| (network.name, Traffic { network_tx: network.tx, network_rx: network.rx }))
            .collect(),
        active: true,
        haproxy_count: haproxies,
        lvs_listener_process_count: lvs,
        cpu_count: cpu.count,
        cpu: CpuTicks {
            total: cpu.total,
            user: cpu.user.to_string(),
            system: cpu.system.to_string(),
            soft_irq: cpu.soft_irq.to_string(),
        },
        memory: MemorySizes {
            total: memory.total,
            free: memory.free,
            buffers: memory.buffers,
            cached: memory.cached,
            swap_used: memory.swap_used,
            shared: memory.shared,
            slab: memory.slab,
        },
        disk: Disk { used: disk.0, available: disk.1 },
        load: load.map(|average| format!("{average:.2}")),
        active_tuned_profiles: "",
        topology: "SINGLE",
        topology_status: "OK",
        listeners,
        packages: Empty {},
    }
}

/// `GET /1.0/info`.
///
/// # Errors
/// If haproxy does not say its version: the controller could not go on.
pub fn info(context: Context<'_>) -> Result<Info, Refusal> {
    let machine = context.machine;
    let haproxy_version = version(machine, &HAPROXY)?
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        .ok_or_else(|| Refusal::routing(500, "haproxy does not say its version"))?;
    Ok(Info {
        hostname: machine.hostname()?,
        haproxy_version,
        api_version: API_VERSION,
        keepalived_version: optional_version(machine, &KEEPALIVED),
        ipvsadm_version: optional_version(machine, &IPVSADM),
    })
}

/// `GET /1.0/details`.
///
/// # Errors
/// If a number is not to be had, or a stored configuration cannot be read.
pub fn details(context: Context<'_>) -> Result<Details, Refusal> {
    let info = info(context)?;
    let machine = context.machine;
    let (balancers, lvs) = (balancers(context.files)?, lvs::listeners(context.files)?);
    let numbers = Numbers {
        cpu: machine.cpu()?,
        memory: machine.memory()?,
        disk: machine.disk()?,
        load: machine.load()?,
        networks: machine.networks(Some(store::PROGRAM))?,
        haproxies: running(context, balancers.iter().map(|(lb, _)| process(lb)))?,
        lvs: running(context, lvs.iter().map(lvs::process))?,
        listeners: listeners::ids(context, &balancers, &lvs)?,
    };
    Ok(document(info, numbers))
}

fn running(context: Context<'_>, mut names: impl Iterator<Item = String>) -> Result<usize, Fault> {
    names.try_fold(0, |count, name| Ok(count + usize::from(runs(context, &name)?)))
}

/// How a program says its version: `HAProxy version 2.6.12-1 …`, `Keepalived v2.2.7 (…)`, `ipvsadm v1.31 …`.
struct Asked {
    program: &'static str,
    flag: &'static str,
    /// Which word it is.
    word: usize,
}

const HAPROXY: Asked = Asked { program: store::PROGRAM, flag: "-v", word: 2 };
const KEEPALIVED: Asked = Asked { program: vrrp::PROGRAM, flag: "-v", word: 1 };
const IPVSADM: Asked = Asked { program: lvs::IPVSADM, flag: "--version", word: 1 };

thread_local! {
    /// Revision and version by program: `details` starts none as long as their files stay the same.
    static VERSIONS: RefCell<BTreeMap<&'static str, (String, Option<String>)>> = const { RefCell::new(BTreeMap::new()) };
}

/// The version that a program says it has; none if it says nothing of the kind, as `ipvsadm` does where the kernel has no LVS.
fn version(machine: &dyn Machine, asked: &Asked) -> Result<Option<String>, Fault> {
    let revision = machine.revision(asked.program)?;
    let known = VERSIONS.with_borrow(|known| known.get(asked.program).filter(|(at, _)| *at == revision).cloned());
    if let Some((_, version)) = known {
        return Ok(version);
    }
    let output = machine.run(asked.program, &[asked.flag.to_owned()], "", VERSION_MS)?;
    let version = Some(output).filter(|output| output.status == Some(0));
    let version = version.and_then(|output| version_word(&output.text, asked.word));
    VERSIONS.with_borrow_mut(|known| known.insert(asked.program, (revision, version.clone())));
    Ok(version)
}

/// The same of a program that need not be there: then empty.
fn optional_version(machine: &dyn Machine, asked: &Asked) -> String {
    version(machine, asked).ok().flatten().unwrap_or_default()
}

fn version_word(text: &str, index: usize) -> Option<String> {
    text.split_whitespace().nth(index).map(|word| word.trim_start_matches('v').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn details_have_exactly_these_fields_and_types() {
        let info = Info {
            hostname: "a".into(),
            haproxy_version: "2.6.12-1+deb12u4".into(),
            api_version: API_VERSION,
            keepalived_version: "2.2.7".into(),
            ipvsadm_version: "1.31".into(),
        };
        let network = |name: &str| Network { name: name.into(), rx: 2, tx: 1, ..Network::default() };
        let numbers = Numbers {
            cpu: Cpu { count: 2, user: 3, system: 4, soft_irq: 5, total: 99 },
            memory: Memory { total: 1, free: 2, buffers: 3, cached: 4, swap_used: 5, shared: 6, slab: 7 },
            disk: (10, 20),
            load: [0.1, 0.25, 12.0],
            networks: vec![network("eth1"), network("lo")],
            haproxies: 1,
            lvs: 0,
            listeners: vec!["b".into(), "a".into()],
        };
        let expected = json!({
            "hostname": "a", "haproxy_version": "2.6.12-1+deb12u4", "api_version": "1.0",
            "keepalived_version": "2.2.7", "ipvsadm_version": "1.31",
            "networks": {"eth1": {"network_tx": 1, "network_rx": 2}},
            "active": true, "haproxy_count": 1, "lvs_listener_process_count": 0, "cpu_count": 2,
            "cpu": {"total": 99, "user": "3", "system": "4", "soft_irq": "5"},
            "memory": {"total": 1, "free": 2, "buffers": 3, "cached": 4, "swap_used": 5, "shared": 6, "slab": 7},
            "disk": {"used": 10, "available": 20},
            "load": ["0.10", "0.25", "12.00"],
            "active_tuned_profiles": "", "topology": "SINGLE", "topology_status": "OK",
            "listeners": ["a", "b"], "packages": {},
        });
        assert_eq!(serde_json::to_value(document(info, numbers)).unwrap(), expected);
    }

    #[test]
    fn the_third_word_is_haproxys_version() {
        let text = "HAProxy version 2.6.12-1+deb12u4 2025/01/01 - https://haproxy.org/";
        assert_eq!(version_word(text, 2).as_deref(), Some("2.6.12-1+deb12u4"));
    }
}
