//! The command line of a machine.
//!
//! Nothing of a client is in it but numbers, hardware addresses and CIDR ranges that the model has checked; files are named by ids
//! of this service or by the operator. Devices are given as JSON, so that no value can become another option.
//! Each device says its place on the bus: a hibernated machine needs every device where it was.

use serde_json::{Value, json};

use super::{disk, network};
use crate::{
    entity::Entity,
    model::infrastructure::{CORES, MAC, MEMORY},
    provider::Failure,
    settings::{self, Accelerator, UserNetwork},
};

/// Of the machine's own devices.
const ROOT_PLACE: u8 = 3;
const SEED_PLACE: u8 = 4;

/// Attribute of the architecture.
pub const ARCHITECTURE: &str = "occi.compute.architecture";

/// A disk or an interface of a machine, as QMP adds it and as the command line has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// What is behind it: arguments of `blockdev-add` or `netdev_add`.
    pub backend: Value,
    /// Whether that is a disk.
    pub is_disk: bool,
    /// What the guest sees: arguments of `device_add`.
    pub frontend: Value,
    /// Whether its cable is plugged in.
    pub connected: bool,
}

/// The last digits of an id: as many as a disk's serial number has.
pub fn short(seq: &str) -> &str {
    seq.get(seq.len().saturating_sub(20)..).unwrap_or(seq)
}

/// Name of the device of a link.
pub fn device_name(link: &Entity) -> String {
    format!("l{}", short(&link.seq))
}

/// Name of what is behind it.
pub fn backend_name(link: &Entity) -> String {
    format!("b{}", short(&link.seq))
}

fn qcow2(node: &str, path: &str) -> Value {
    json!({"driver": "qcow2", "node-name": node, "discard": "unmap", "file": {"driver": "file", "filename": path}})
}

/// The disk of a storage.
pub fn disk_device(link: &Entity, storage: &str, path: &str, place: u8) -> Device {
    let node = backend_name(link);
    let frontend = json!({"driver": "virtio-blk-pci", "id": device_name(link), "drive": node,
        "serial": short(storage), "addr": format!("{place:#x}")});
    Device { backend: qcow2(&node, path), is_disk: true, frontend, connected: true }
}

/// An interface to a network.
///
/// # Errors
/// If it cannot have the address that it is to have.
pub fn interface(link: &Entity, settings: &settings::Qemu, network: &Entity, place: u8) -> Result<Device, Failure> {
    let id = backend_name(link);
    let backend = match network::bridge(settings, network) {
        Some(bridge) => json!({"type": "bridge", "id": id, "br": bridge, "helper": settings.bridge_helper}),
        None => {
            let plan = network::plan(link, network)?;
            json!({"type": "user", "id": id, "ipv6": false, "net": network.text("occi.network.address").unwrap_or(network::RANGE),
                "host": plan.host, "dhcpstart": plan.guest, "restrict": settings.user_network == UserNetwork::Isolated})
        }
    };
    let frontend = json!({"driver": "virtio-net-pci", "id": device_name(link), "netdev": id,
        "mac": link.text(MAC).unwrap_or_default(), "addr": format!("{place:#x}")});
    Ok(Device { backend, is_disk: false, frontend, connected: network.state() == Some("active") })
}

/// Memory of a machine in MiB.
pub fn mebibytes(machine: &Entity) -> u64 {
    let gib = machine.attributes.get(MEMORY).and_then(Value::as_f64).unwrap_or(0.5);
    disk::bytes(gib).div_ceil(1 << 20).max(1)
}

/// All arguments of a machine with these devices. It waits to be told to run.
pub fn line(machine: &Entity, settings: &settings::Qemu, devices: &[Device], seed: bool, wake: bool) -> Vec<String> {
    let folder = disk::machine(&machine.seq);
    let cores = machine.attributes.get(CORES).and_then(Value::as_u64).unwrap_or(1);
    let part = |range| machine.seq.get(range).unwrap_or_default();
    let uuid = format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32));
    let narrow = machine.text(ARCHITECTURE) == Some("x86");
    let accelerator = match settings.accelerator {
        Accelerator::Tcg => "tcg,tb-size=64",
        Accelerator::Kvm => "kvm",
    };
    let processor = if narrow { "qemu32" } else { &settings.processor };
    // A bridge needs a helper, which is another program.
    let helper = devices.iter().any(|device| device.backend.get("helper").is_some());
    let spawn = if helper { "allow" } else { "deny" };
    let mut line: Vec<String> = [
        "-name",
        &machine.seq,
        "-uuid",
        &uuid,
        "-no-user-config",
        "-nodefaults",
        "-S",
        "-machine",
        &settings.machine,
        "-accel",
        accelerator,
        "-cpu",
        processor,
        "-smp",
        &cores.to_string(),
        "-m",
        &mebibytes(machine).to_string(),
        "-rtc",
        "base=utc",
        "-sandbox",
        &format!("on,obsolete=deny,elevateprivileges={spawn},spawn={spawn},resourcecontrol=deny"),
        "-action",
        "panic=pause",
        "-device",
        "pvpanic",
        "-device",
        "VGA,addr=0x2",
        "-vnc",
        &format!("unix:{folder}/vnc"),
        "-chardev",
        &format!("socket,id=qmp,path={folder}/qmp,server=on,wait=off"),
        "-mon",
        "chardev=qmp,mode=control",
        // What the guest says goes where the program's own words go: to a file that the host bounds.
        "-chardev",
        "stdio,id=serial,signal=off",
        "-serial",
        "chardev:serial",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    let mut add = |option: &str, value: &Value| line.extend([option.to_owned(), value.to_string()]);
    add("-blockdev", &qcow2("root", &disk::root(&machine.seq)));
    add(
        "-device",
        &json!({"driver": "virtio-blk-pci", "drive": "root", "addr": format!("{ROOT_PLACE:#x}"), "bootindex": 0}),
    );
    if seed {
        let file = json!({"driver": "file", "filename": format!("{folder}/seed.iso"), "read-only": true});
        add("-blockdev", &json!({"driver": "raw", "node-name": "seed", "read-only": true, "file": file}));
        add("-device", &json!({"driver": "virtio-blk-pci", "drive": "seed", "addr": format!("{SEED_PLACE:#x}")}));
    }
    for device in devices {
        add(if device.is_disk { "-blockdev" } else { "-netdev" }, &device.backend);
        add("-device", &device.frontend);
    }
    if wake {
        line.extend(["-loadvm".to_owned(), super::HIBERNATION.to_owned()]);
    }
    line
}
