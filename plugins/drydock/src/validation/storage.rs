//! Rules about disks.

use std::collections::BTreeSet;

use super::{Context, Findings, of_node};
use crate::design::Node;
use crate::design::size::{self, Amount};

/// Least bytes of the partition `root`.
const ROOT: u64 = 20_000_000_000;
/// Least bytes of the partition `boot`.
const BOOT: u64 = 1_000_000_000;
/// Most percent of a device or group that may be given away.
const WHOLE: i64 = 99;

/// DD1001: there is a root partition, and it and boot are large enough.
pub(super) fn boot(context: &Context<'_>, findings: &mut Findings) {
    for node in &context.site.nodes {
        let mut root = false;
        for partition in node.storage.physical_devices.values().flat_map(|device| &device.partitions) {
            let least = match partition.name.as_str() {
                "root" => ROOT,
                "boot" if root => BOOT,
                _ => continue,
            };
            root = true;
            if let Some(wrong) = too_small(partition.size.as_deref().unwrap_or_default(), least) {
                findings.error(of_node(node), format!("partition {} of node {} {wrong}", partition.name, node.name));
            }
        }
        if !root {
            findings.error(of_node(node), format!("node {} has no partition root", node.name));
        }
    }
}

fn too_small(text: &str, least: u64) -> Option<String> {
    let gigabytes = least / 1_000_000_000;
    match size::parse(text) {
        None => Some(format!("has {text:?} as its size")),
        Some(size) if size.at_least => Some("has a size that begins with >".to_owned()),
        Some(size) => match size.amount {
            Amount::Percent(_) => Some("has a percentage as its size".to_owned()),
            Amount::Bytes(bytes) if bytes < least => Some(format!("is smaller than {gigabytes} GB")),
            Amount::Bytes(_) => None,
        },
    }
}

/// DD2002: a device has partitions or a volume group, and each group is on a device.
pub(super) fn partitioning(context: &Context<'_>, findings: &mut Findings) {
    for node in &context.site.nodes {
        let mut used = BTreeSet::new();
        for (name, device) in &node.storage.physical_devices {
            used.extend(device.volume_group.as_deref());
            used.extend(device.partitions.iter().filter_map(|partition| partition.volume_group.as_deref()));
            let what = match (device.partitions.is_empty(), &device.volume_group) {
                (false, Some(_)) => "both",
                (true, None) => "neither",
                _ => continue,
            };
            let text = format!("device {name} of node {} has {what} of partitions and a volume group", node.name);
            findings.error(of_node(node), text);
        }
        for group in node.storage.volume_groups.keys().filter(|group| !used.contains(group.as_str())) {
            findings.error(of_node(node), format!("volume group {group} of node {} is on no device", node.name));
        }
    }
}

/// DD2003: percentages are not negative and leave something.
pub(super) fn sizing(context: &Context<'_>, findings: &mut Findings) {
    for node in &context.site.nodes {
        for (name, device) in &node.storage.physical_devices {
            let sizes = device.partitions.iter().filter_map(|partition| partition.size.as_deref());
            sum(node, &format!("device {name}"), sizes, findings);
        }
        for (name, group) in &node.storage.volume_groups {
            let sizes = group.logical_volumes.iter().filter_map(|volume| volume.size.as_deref());
            sum(node, &format!("volume group {name}"), sizes, findings);
        }
    }
}

fn sum<'a>(node: &Node, what: &str, sizes: impl Iterator<Item = &'a str>, findings: &mut Findings) {
    let mut total = 0i64;
    for text in sizes {
        if let Some(Amount::Percent(percent)) = size::parse(text).map(|size| size.amount) {
            if percent < 0 {
                findings.error(of_node(node), format!("{what} of node {} has a size of {text}", node.name));
            }
            total = total.saturating_add(percent);
        }
    }
    if total > WHOLE {
        findings.error(of_node(node), format!("{what} of node {} is given away to {total}%", node.name));
    }
}

/// DD2004: no mountpoint is there twice. One finding is enough.
pub(super) fn mountpoints(context: &Context<'_>, findings: &mut Findings) {
    for node in &context.site.nodes {
        let mut seen = BTreeSet::new();
        let partitions = node.storage.physical_devices.values().flat_map(|device| &device.partitions);
        let volumes = node.storage.volume_groups.values().flat_map(|group| &group.logical_volumes);
        let filesystems = partitions
            .filter_map(|one| one.filesystem.as_ref())
            .chain(volumes.filter_map(|one| one.filesystem.as_ref()));
        for mountpoint in filesystems.filter_map(|filesystem| filesystem.mountpoint.as_deref()) {
            if !seen.insert(mountpoint) {
                let text = format!("mountpoint {mountpoint} is there twice on node {}", node.name);
                return findings.error(of_node(node), text);
            }
        }
    }
}
