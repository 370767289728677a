//! How a child's part and its parent's become one: the rules of inheritance, one function for each kind of part.

use std::collections::BTreeMap;

use super::profile::{Device, Filesystem, Interface, LogicalVolume, Partition, Storage, VolumeGroup};

/// The child's value if it says one, else the parent's; `!` and -1 unset.
pub fn single(child: Option<&String>, parent: Option<String>) -> Option<String> {
    match child.map(String::as_str) {
        None => parent,
        Some("!" | "-1") => None,
        Some(value) => Some(value.to_owned()),
    }
}

/// Key by key, the child wins; `!key` removes.
pub fn map(child: &BTreeMap<String, String>, parent: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut merged = parent;
    for (key, value) in child {
        match key.strip_prefix('!') {
            Some(key) => drop(merged.remove(key)),
            None => drop(merged.insert(key.clone(), value.clone())),
        }
    }
    merged
}

/// The child's first, then the parent's that are not there yet; `!x` removes an inherited one.
pub fn list(child: &[String], parent: &[String]) -> Vec<String> {
    let mut merged: Vec<String> = Vec::new();
    for value in child.iter().filter(|value| !value.starts_with('!')) {
        if !merged.contains(value) {
            merged.push(value.clone());
        }
    }
    let removed = |value: &String| child.iter().any(|of_child| of_child.strip_prefix('!') == Some(value));
    for value in parent.iter().filter(|value| !removed(value)) {
        if !merged.contains(value) {
            merged.push(value.clone());
        }
    }
    merged
}

/// Interfaces by name; nothing in place of one, or `!name`, removes it.
pub fn interfaces(
    child: &BTreeMap<String, Option<Interface>>,
    parent: BTreeMap<String, Interface>,
) -> BTreeMap<String, Interface> {
    let mut merged = parent;
    for (name, interface) in child {
        match (name.strip_prefix('!'), interface) {
            (Some(name), _) => drop(merged.remove(name)),
            (None, None) => drop(merged.remove(name)),
            (None, Some(interface)) => {
                let parent = merged.remove(name).unwrap_or_default();
                merged.insert(name.clone(), one_interface(interface, parent));
            }
        }
    }
    merged
}

fn one_interface(child: &Interface, parent: Interface) -> Interface {
    Interface {
        device_link: single(child.device_link.as_ref(), parent.device_link),
        slaves: list(&child.slaves, &parent.slaves),
        networks: list(&child.networks, &parent.networks),
        sriov: child.sriov.clone().or(parent.sriov),
    }
}

/// Devices and volume groups by name, field by field; what the child does not speak of stays.
pub fn storage(child: &Storage, parent: Storage) -> Storage {
    let mut merged = parent;
    for (name, device) in &child.physical_devices {
        match name.strip_prefix('!') {
            Some(name) => drop(merged.physical_devices.remove(name)),
            None => {
                let parent = merged.physical_devices.remove(name).unwrap_or_default();
                merged.physical_devices.insert(name.clone(), one_device(device, parent));
            }
        }
    }
    for (name, group) in &child.volume_groups {
        match name.strip_prefix('!') {
            Some(name) => drop(merged.volume_groups.remove(name)),
            None => {
                let parent = merged.volume_groups.remove(name).unwrap_or_default();
                merged.volume_groups.insert(name.clone(), one_group(group, parent));
            }
        }
    }
    merged
}

fn one_device(child: &Device, parent: Device) -> Device {
    Device {
        labels: map(&child.labels, parent.labels),
        volume_group: single(child.volume_group.as_ref(), parent.volume_group),
        partitions: named(&child.partitions, parent.partitions, |part| &part.name, one_partition),
    }
}

fn one_partition(child: &Partition, parent: &Partition) -> Partition {
    Partition {
        name: child.name.clone(),
        size: single(child.size.as_ref(), parent.size.clone()),
        part_uuid: single(child.part_uuid.as_ref(), parent.part_uuid.clone()),
        bootable: child.bootable.or(parent.bootable),
        volume_group: single(child.volume_group.as_ref(), parent.volume_group.clone()),
        labels: map(&child.labels, parent.labels.clone()),
        filesystem: filesystem(child.filesystem.as_ref(), parent.filesystem.as_ref()),
    }
}

fn filesystem(child: Option<&Filesystem>, parent: Option<&Filesystem>) -> Option<Filesystem> {
    let (Some(child), Some(parent)) = (child, parent) else { return child.or(parent).cloned() };
    let of = |child: &Option<String>, parent: &Option<String>| single(child.as_ref(), parent.clone());
    Some(Filesystem {
        mountpoint: of(&child.mountpoint, &parent.mountpoint),
        fstype: of(&child.fstype, &parent.fstype),
        mount_options: of(&child.mount_options, &parent.mount_options),
        fs_uuid: of(&child.fs_uuid, &parent.fs_uuid),
        fs_label: of(&child.fs_label, &parent.fs_label),
    })
}

fn one_group(child: &VolumeGroup, parent: VolumeGroup) -> VolumeGroup {
    let volume = |child: &LogicalVolume, parent: &LogicalVolume| LogicalVolume {
        name: child.name.clone(),
        lv_uuid: single(child.lv_uuid.as_ref(), parent.lv_uuid.clone()),
        size: single(child.size.as_ref(), parent.size.clone()),
        filesystem: filesystem(child.filesystem.as_ref(), parent.filesystem.as_ref()),
    };
    VolumeGroup {
        vg_uuid: single(child.vg_uuid.as_ref(), parent.vg_uuid),
        logical_volumes: named(&child.logical_volumes, parent.logical_volumes, |volume| &volume.name, volume),
    }
}

/// Lists of named things: the parent's order, then what the child adds; `!name` removes.
fn named<T: Clone>(child: &[T], parent: Vec<T>, name: impl Fn(&T) -> &String, one: impl Fn(&T, &T) -> T) -> Vec<T> {
    let mut merged = parent;
    for item in child {
        if let Some(removed) = name(item).strip_prefix('!') {
            merged.retain(|known| name(known) != removed);
            continue;
        }
        match merged.iter_mut().find(|known| name(known) == name(item)) {
            Some(known) => *known = one(item, known),
            None => merged.push(item.clone()),
        }
    }
    merged
}
