//! The command line of a machine.
//!
//! Nothing of a client is in it but numbers, hardware addresses and CIDR ranges that the model has checked; files are named by ids
//! of this service or by the operator. Devices are given as JSON, so that no value can become another option.
//! Each device says its place on the bus: a hibernated machine needs every device where it was.

use serde_json::{Value, json};

use super::{disk, network};
use crate::{
    entity::Entity,
    model::{
        infrastructure::{CORES, MAC, MEMORY, bytes},
        templates::Format,
    },
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

fn disk(node: &str, path: &str, format: Format) -> Value {
    json!({"driver": format.name(), "node-name": node, "discard": "unmap", "file": {"driver": "file", "filename": path}})
}

/// The disk of a storage, which the guest knows by the end of this id.
pub fn disk_device(link: &Entity, id: &str, path: &str, format: Format, place: u8) -> Device {
    let node = backend_name(link);
    let frontend = json!({"driver": "virtio-blk-pci", "id": device_name(link), "drive": node,
        "serial": short(id), "addr": format!("{place:#x}")});
    Device { backend: disk(&node, path, format), is_disk: true, frontend, connected: true }
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
    bytes(gib).div_ceil(1 << 20).max(1)
}

/// All arguments of a machine with these devices. It waits to be told to run.
pub fn line(machine: &Entity, settings: &settings::Qemu, devices: &[Device], seed: bool) -> Vec<String> {
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
    add("-blockdev", &disk("root", &disk::root(&machine.seq), Format::Qcow2));
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
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entity::Attributes, model::infrastructure::id};

    fn entity(kind: &str, pairs: &[(&str, Value)]) -> Entity {
        let attributes: Attributes = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let (seq, path) = ("0123456789abcdef0123456789abcdef".to_owned(), format!("/{kind}/x"));
        Entity { seq, path, kind: id(kind), mixins: Vec::new(), attributes, links: Vec::new(), ends: None }
    }

    #[test]
    fn a_machine_waits_for_the_monitor_and_cannot_start_programs() {
        let machine = entity("compute", &[(CORES, json!(2)), (MEMORY, json!(0.0625))]);
        let line = line(&machine, &settings::Qemu::default(), &[], false);
        let after = |option: &str| line.iter().skip_while(|word| *word != option).nth(1).map(String::as_str);
        assert!(line.iter().any(|word| word == "-S"));
        assert_eq!((after("-m"), after("-smp")), (Some("64"), Some("2")));
        assert!(after("-sandbox").unwrap().contains("spawn=deny"));
        assert_eq!(after("-uuid"), Some("01234567-89ab-cdef-0123-456789abcdef"));
    }

    #[test]
    fn every_disk_says_its_format_and_its_place() {
        let link = entity("storagelink", &[]);
        for (format, name) in [(Format::Qcow2, "qcow2"), (Format::Raw, "raw")] {
            let device = disk_device(&link, &link.seq, "a/file", format, 7);
            assert_eq!((&device.backend["driver"], &device.backend["file"]["driver"]), (&json!(name), &json!("file")));
            assert_eq!(device.frontend["addr"], json!("0x7"));
            assert_eq!(device.frontend["drive"], device.backend["node-name"]);
        }
    }

    #[test]
    fn a_network_is_the_bridge_of_its_label_or_leads_nowhere() {
        let mut settings = settings::Qemu::default();
        settings.bridges.insert("lan".to_owned(), "br0".to_owned());
        let link = entity("networkinterface", &[(MAC, json!("52:54:00:00:00:01"))]);
        let lan = entity("network", &[("occi.network.label", json!("lan")), ("occi.network.state", json!("active"))]);
        let device = interface(&link, &settings, &lan, 5).unwrap();
        assert_eq!((&device.backend["br"], device.connected), (&json!("br0"), true));
        let other = interface(&link, &settings, &entity("network", &[]), 5).unwrap();
        assert_eq!((&other.backend["restrict"], &other.backend["dhcpstart"]), (&json!(true), &json!("10.0.2.15")));
        assert!(!other.connected);
    }
}
