//! Site designs of any size for Drydock, and the time that its rules take natively.
//!
//! Each node is at its own address, inherits over two levels, and is in the scope of two boot actions, one of which it reports.

use std::fmt::Write as _;
use std::time::Instant;

use drydock::design::document;
use drydock::design::effective::compile;
use drydock::time::Moment;
use drydock::validation::{self, Offer};

/// What all nodes share.
const SHARED: &str = r"---
schema: drydock/Region/v1
metadata: {name: lakeside}
data:
  authorized_keys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDemo ops@lakeside']
---
schema: drydock/NetworkLink/v1
metadata: {name: pxe}
data:
  bonding: {mode: disabled}
  mtu: 1500
  trunking: {mode: disabled, default_network: pxe}
  allowed_networks: [pxe]
---
schema: drydock/NetworkLink/v1
metadata: {name: fabric}
data:
  bonding: {mode: 802.3ad, hash: layer3+4, peer_rate: fast, mon_rate: 100, up_delay: 200, down_delay: 200}
  mtu: 9000
  trunking: {mode: 802.1q}
  allowed_networks: [mgmt, storage]
---
schema: drydock/Network/v1
metadata: {name: pxe}
data:
  cidr: 10.16.0.0/16
  ranges: [{type: dhcp, start: 10.16.200.0, end: 10.16.250.0}]
  dns: {domain: pxe.lakeside.example, servers: 10.16.0.2}
---
schema: drydock/Network/v1
metadata: {name: mgmt}
data:
  vlan: '100'
  mtu: 1500
  cidr: 10.32.0.0/12
  ranges: [{type: static, start: 10.32.1.0, end: 10.47.255.0}]
  routes: [{subnet: 0.0.0.0/0, gateway: 10.32.0.1, metric: 10}]
  dns: {domain: lakeside.example, servers: 10.32.0.2}
---
schema: drydock/Network/v1
metadata: {name: storage}
data:
  vlan: '101'
  mtu: 9000
  cidr: 10.48.0.0/12
  ranges: [{type: static, start: 10.48.1.0, end: 10.63.255.0}]
  dns: {domain: storage.lakeside.example, servers: 10.32.0.2}
---
schema: drydock/HardwareProfile/v1
metadata: {name: slab}
data:
  vendor: Slab
  generation: '3'
  hw_version: '1'
  bios_version: '2.0'
  boot_mode: uefi
  bootstrap_protocol: pxe
  pxe_interface: 0
  device_aliases:
    left: {address: '0000:00:03.0', dev_type: Ethernet, bus_type: pci}
    right: {address: '0000:00:04.0', dev_type: Ethernet, bus_type: pci}
    disk: {address: '2:0.0.0', dev_type: SSD, bus_type: scsi}
  cpu_sets: {data: '2,4,6'}
---
schema: drydock/HostProfile/v1
metadata: {name: base}
data:
  hardware_profile: slab
  primary_network: mgmt
  oob: {type: noop}
  storage:
    physical_devices:
      disk:
        labels: {bootdrive: 'true'}
        partitions:
          - {name: root, size: 40g, bootable: true, filesystem: {mountpoint: /, fstype: ext4}}
          - {name: boot, size: 2g, filesystem: {mountpoint: /boot, fstype: ext4}}
  platform:
    image: jammy
    kernel: ga-22.04
    kernel_params: {console: ttyS0}
  interfaces:
    pxe: {device_link: pxe, slaves: [left], networks: [pxe]}
    bond0: {device_link: fabric, slaves: [left, right], networks: [mgmt]}
  metadata:
    tags: [managed]
    owner_data: {site: lakeside}
---
schema: drydock/HostProfile/v1
metadata: {name: worker}
data:
  host_profile: base
  interfaces:
    bond0: {networks: [storage]}
  platform:
    kernel_params: {isolcpus: 'hardwareprofile:cpuset.data'}
  metadata:
    tags: [worker]
---
schema: drydock/BootAction/v1
metadata: {name: first-boot}
data:
  signaling: true
  assets:
    - path: /opt/first-boot.sh
      type: file
      permissions: '755'
      data: |
        #!/bin/sh
        # {{ node.hostname }} {{ node.network.default.ip }}
        exec report {{ action.report_url }}{{ action.action_id }} {{ action.action_key }}
      data_pipeline: [utf8_decode, template, utf8_encode]
---
schema: drydock/BootAction/v1
metadata: {name: motd}
data:
  signaling: false
  assets:
    - path: /etc/motd
      type: file
      data: '{{ node.hostname }}'
      data_pipeline: [utf8_decode, template]
";

/// A valid design with so many nodes, twenty to a rack.
pub fn design(nodes: usize) -> Result<String, std::fmt::Error> {
    let mut text = SHARED.to_owned();
    for rack in 0..nodes.div_ceil(20) {
        write!(
            text,
            "---\nschema: drydock/Rack/v1\nmetadata: {{name: rack-{rack}}}\ndata:\n  tor_switches: {{}}\n  \
             location: {{clli: LAKE01, grid: G{rack}}}\n  local_networks: [pxe]\n  labels: {{row: '{}'}}\n",
            rack % 10
        )?;
    }
    for node in 0..nodes {
        let (high, low) = (1 + node / 250, 1 + node % 250);
        write!(
            text,
            "---\nschema: drydock/BaremetalNode/v1\nmetadata: {{name: node-{node:04}}}\ndata:\n  host_profile: worker\n  \
             addressing:\n    - {{network: pxe, address: dhcp}}\n    - {{network: mgmt, address: 10.32.{high}.{low}}}\n    \
             - {{network: storage, address: 10.48.{high}.{low}}}\n  metadata:\n    \
             boot_mac: '52:54:{:02x}:{:02x}:{:02x}:00'\n    rack: rack-{}\n    owner_data: {{number: '{node}'}}\n",
            node / 65_536,
            node / 256 % 256,
            node % 256,
            node / 20
        )?;
    }
    Ok(text)
}

/// Milliseconds that reading, working out and validating a design takes, a number a round, and how many errors it has.
pub fn validate(text: &[u8], rounds: usize) -> Result<(Vec<f64>, usize), String> {
    let mut all = Vec::with_capacity(rounds);
    let mut errors = 0;
    for _ in 0..rounds {
        let start = Instant::now();
        let (design, faults) = document::read(text).map_err(|error| error.to_string())?;
        if let Some(fault) = faults.first() {
            return Err(fault.text.clone());
        }
        let site = compile(design).map_err(|error| error.to_string())?;
        let found = validation::run(&site, &Offer::Any, Moment(1));
        all.push(start.elapsed().as_secs_f64() * 1000.0);
        errors = found.iter().filter(|message| message.error).count();
    }
    Ok((all, errors))
}
