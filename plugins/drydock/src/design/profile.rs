//! What host profiles and nodes hold, as it is written: one type for both, since a node is a profile with addresses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::kinds::{Labels, optional_scalar, scalar, scalars};

/// `drydock/HostProfile/v1` and `drydock/BaremetalNode/v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// The profile it inherits from.
    pub host_profile: Option<String>,
    /// Its hardware profile.
    #[serde(deserialize_with = "optional_scalar")]
    pub hardware_profile: Option<String>,
    /// The network that the node's name is in.
    #[serde(deserialize_with = "optional_scalar")]
    pub primary_network: Option<String>,
    /// Its management controller: `type`, and parameters of that type.
    #[serde(deserialize_with = "scalars")]
    pub oob: BTreeMap<String, String>,
    /// Its disks.
    pub storage: Storage,
    /// Its operating system.
    pub platform: Platform,
    /// Its interfaces; nothing drops an inherited one.
    pub interfaces: BTreeMap<String, Option<Interface>>,
    /// Tags, labels, place.
    pub metadata: Metadata,
    /// Addresses; of nodes only.
    pub addressing: Vec<Address>,
}

/// Disks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// By device or alias.
    pub physical_devices: BTreeMap<String, Device>,
    /// By name.
    pub volume_groups: BTreeMap<String, VolumeGroup>,
}

/// A disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    /// Labels.
    #[serde(deserialize_with = "scalars")]
    pub labels: Labels,
    /// The volume group that has all of it.
    pub volume_group: Option<String>,
    /// Its partitions.
    pub partitions: Vec<Partition>,
}

/// A partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// How large.
    #[serde(default, deserialize_with = "optional_scalar")]
    pub size: Option<String>,
    /// UUID to give it.
    #[serde(default)]
    pub part_uuid: Option<String>,
    /// Whether firmware starts from it.
    #[serde(default)]
    pub bootable: Option<bool>,
    /// The volume group that has it.
    #[serde(default)]
    pub volume_group: Option<String>,
    /// Labels.
    #[serde(default, deserialize_with = "scalars")]
    pub labels: Labels,
    /// What is on it.
    #[serde(default)]
    pub filesystem: Option<Filesystem>,
}

/// A volume group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeGroup {
    /// UUID to give it.
    pub vg_uuid: Option<String>,
    /// Its volumes.
    pub logical_volumes: Vec<LogicalVolume>,
}

/// A logical volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogicalVolume {
    /// Its name.
    pub name: String,
    /// UUID to give it.
    #[serde(default)]
    pub lv_uuid: Option<String>,
    /// How large.
    #[serde(default, deserialize_with = "optional_scalar")]
    pub size: Option<String>,
    /// What is on it.
    #[serde(default)]
    pub filesystem: Option<Filesystem>,
}

/// A file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filesystem {
    /// Where it is mounted.
    pub mountpoint: Option<String>,
    /// Its type; `ext4` once everything is inherited.
    pub fstype: Option<String>,
    /// With which options; `defaults` once everything is inherited.
    pub mount_options: Option<String>,
    /// UUID to give it.
    pub fs_uuid: Option<String>,
    /// Its label.
    pub fs_label: Option<String>,
}

impl Storage {
    /// Say what nobody said of file systems.
    pub fn fill(&mut self) {
        let partitions = self.physical_devices.values_mut().flat_map(|device| &mut device.partitions);
        let volumes = self.volume_groups.values_mut().flat_map(|group| &mut group.logical_volumes);
        let all = partitions.map(|one| &mut one.filesystem).chain(volumes.map(|one| &mut one.filesystem));
        for filesystem in all.flatten() {
            filesystem.fstype.get_or_insert_with(|| "ext4".to_owned());
            filesystem.mount_options.get_or_insert_with(|| "defaults".to_owned());
        }
    }
}

/// An operating system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Platform {
    /// The image.
    #[serde(deserialize_with = "optional_scalar")]
    pub image: Option<String>,
    /// The kernel.
    #[serde(deserialize_with = "optional_scalar")]
    pub kernel: Option<String>,
    /// The kernel's parameters.
    #[serde(deserialize_with = "scalars")]
    pub kernel_params: BTreeMap<String, String>,
}

/// An interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Interface {
    /// The link it is on.
    pub device_link: Option<String>,
    /// Devices or aliases it consists of.
    pub slaves: Vec<String>,
    /// Networks on it.
    pub networks: Vec<String>,
    /// Virtual functions.
    pub sriov: Option<Sriov>,
}

/// Virtual functions of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sriov {
    /// How many.
    pub vf_count: Option<u32>,
    /// Whether they are trusted.
    pub trustedmode: Option<bool>,
}

/// Tags, labels, place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metadata {
    /// Tags; `!tag` drops an inherited one.
    pub tags: Vec<String>,
    /// Labels; `!key` drops an inherited one.
    #[serde(deserialize_with = "scalars")]
    pub owner_data: Labels,
    /// The rack.
    #[serde(deserialize_with = "optional_scalar")]
    pub rack: Option<String>,
    /// Address of the interface that boots from the network.
    pub boot_mac: Option<String>,
}

/// An address on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The network.
    pub network: String,
    /// The address, or `dhcp`.
    #[serde(deserialize_with = "scalar")]
    pub address: String,
}

impl Address {
    /// Whether the network gives it out.
    pub fn is_dhcp(&self) -> bool {
        self.address.eq_ignore_ascii_case("dhcp")
    }
}
