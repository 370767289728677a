//! What documents of each kind hold, apart from host profiles and nodes ([`super::profile`]) and boot actions
//! ([`super::bootaction`]).
//!
//! The types are the schemas: a key that is not here is refused, as is a value of another type.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Labels: keys and values of text.
pub type Labels = BTreeMap<String, String>;

/// Text that may have been written as a number or a boolean.
///
/// # Errors
/// If it is a list, a map or null.
pub fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        _ => Err(serde::de::Error::custom("expected text")),
    }
}

/// The same where nothing may stand.
///
/// # Errors
/// As for [`scalar`].
pub fn optional_scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => scalar(value).map(Some).map_err(serde::de::Error::custom),
    }
}

/// A map to [`scalar`]s.
///
/// # Errors
/// As for [`scalar`].
pub fn scalars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let map = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let read = |(key, value)| Ok((key, scalar(value)?));
    map.into_iter().map(read).collect::<Result<_, serde_json::Error>>().map_err(serde::de::Error::custom)
}

/// `drydock/Region/v1`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Region {
    /// Tags that the provisioner gives by itself.
    pub tag_definitions: Vec<TagDefinition>,
    /// SSH keys for every node.
    pub authorized_keys: Vec<String>,
    /// Package repositories.
    pub repositories: Repositories,
}

/// Package repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Repositories {
    /// Whether others are taken away.
    pub remove_unlisted: bool,
    /// By name.
    #[serde(flatten)]
    pub listed: BTreeMap<String, Repository>,
}

/// A package repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Of which packages.
    #[serde(default)]
    pub repo_type: RepositoryType,
    /// Where it is.
    pub url: String,
    /// Releases.
    #[serde(default)]
    pub distributions: Vec<String>,
    /// Pockets of a release, as `security`.
    #[serde(default)]
    pub subrepos: Vec<String>,
    /// Components, as `main`.
    #[serde(default)]
    pub components: Vec<String>,
    /// The key that signs it.
    #[serde(default)]
    pub gpgkey: Option<String>,
    /// Architectures.
    #[serde(default)]
    pub arches: Vec<String>,
    /// Whatever else its users are to know.
    #[serde(default, deserialize_with = "scalars")]
    pub options: BTreeMap<String, String>,
}

/// Kinds of package repositories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryType {
    /// Debian's.
    #[default]
    Apt,
    /// Those of Red Hat and others.
    Rpm,
}

/// A tag by an expression over a node's hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagDefinition {
    /// Its name.
    pub tag: String,
    /// Kind of expression.
    pub definition_type: TagDefinitionType,
    /// The expression.
    pub definition: String,
}

/// Kinds of expressions for tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagDefinitionType {
    /// XPath over the output of `lshw`.
    LshwXpath,
}

/// `drydock/Rack/v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rack {
    /// Switches by name.
    pub tor_switches: BTreeMap<String, TorSwitch>,
    /// Where it stands.
    #[serde(deserialize_with = "scalars")]
    pub location: BTreeMap<String, String>,
    /// Networks that end at the rack.
    pub local_networks: Vec<String>,
    /// Labels.
    #[serde(deserialize_with = "scalars")]
    pub labels: Labels,
}

/// A switch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TorSwitch {
    /// Address of its management interface.
    pub mgmt_ip: Option<String>,
    /// URL of its API.
    pub sdn_api_url: Option<String>,
}

/// `drydock/NetworkLink/v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkLink {
    /// How several interfaces become one.
    pub bonding: Bonding,
    /// Largest frame.
    pub mtu: Option<i64>,
    /// Speed.
    #[serde(deserialize_with = "optional_scalar")]
    pub linkspeed: Option<String>,
    /// How several networks share it.
    pub trunking: Trunking,
    /// Networks that may be on it.
    pub allowed_networks: Vec<String>,
    /// Labels.
    #[serde(deserialize_with = "scalars")]
    pub labels: Labels,
}

/// How several interfaces become one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bonding {
    /// The mode.
    pub mode: BondingMode,
    /// Which hash spreads the traffic.
    #[serde(deserialize_with = "optional_scalar")]
    pub hash: Option<String>,
    /// LACP rate.
    #[serde(deserialize_with = "optional_scalar")]
    pub peer_rate: Option<String>,
    /// Monitoring interval in milliseconds.
    pub mon_rate: Option<i64>,
    /// Milliseconds before a link that came up is used.
    pub up_delay: Option<i64>,
    /// Milliseconds before a link that went down is given up.
    pub down_delay: Option<i64>,
}

/// Modes of bonding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BondingMode {
    /// None.
    #[default]
    #[serde(rename = "disabled")]
    Disabled,
    /// LACP.
    #[serde(rename = "802.3ad")]
    Lacp,
    /// One at a time.
    #[serde(rename = "active-backup")]
    ActiveBackup,
    /// In turn.
    #[serde(rename = "balance-rr")]
    BalanceRoundRobin,
}

/// How several networks share a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trunking {
    /// The mode.
    pub mode: TrunkingMode,
    /// The network without a tag.
    pub default_network: Option<String>,
}

/// Modes of trunking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrunkingMode {
    /// One network, without a tag.
    #[default]
    #[serde(rename = "disabled")]
    Disabled,
    /// VLAN tags.
    #[serde(rename = "802.1q")]
    Tagged,
}

/// `drydock/Network/v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// VLAN tag.
    #[serde(deserialize_with = "optional_scalar")]
    pub vlan: Option<String>,
    /// Largest frame.
    pub mtu: Option<i64>,
    /// The network's addresses.
    pub cidr: Option<String>,
    /// Networks that reach each other through routers.
    pub routedomain: Option<String>,
    /// What stretches of addresses are for.
    pub ranges: Vec<AddressRange>,
    /// Static routes.
    pub routes: Vec<Route>,
    /// Names.
    pub dns: Dns,
    /// Forwarding of DHCP.
    #[serde(deserialize_with = "scalars")]
    pub dhcp_relay: BTreeMap<String, String>,
    /// Labels.
    #[serde(deserialize_with = "scalars")]
    pub labels: Labels,
}

/// A stretch of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressRange {
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: RangeKind,
    /// First address.
    pub start: String,
    /// Last address.
    pub end: String,
}

/// What stretches of addresses are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RangeKind {
    /// Addresses that designs give out.
    Static,
    /// Addresses that DHCP gives out.
    Dhcp,
    /// Addresses of others.
    Reserved,
}

/// A static route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// To where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// By which router.
    pub gateway: Option<String>,
    /// The smaller wins.
    pub metric: Option<i64>,
    /// To all networks of this domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routedomain: Option<String>,
}

/// Names of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// Domain of its hosts.
    pub domain: Option<String>,
    /// Name servers, separated by commas.
    pub servers: Option<String>,
}

/// `drydock/HardwareProfile/v1`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HardwareProfile {
    /// Who made it.
    #[serde(deserialize_with = "optional_scalar")]
    pub vendor: Option<String>,
    /// Its generation.
    #[serde(deserialize_with = "optional_scalar")]
    pub generation: Option<String>,
    /// Its version.
    #[serde(deserialize_with = "optional_scalar")]
    pub hw_version: Option<String>,
    /// Version of its firmware.
    #[serde(deserialize_with = "optional_scalar")]
    pub bios_version: Option<String>,
    /// How firmware starts it.
    pub boot_mode: Option<BootMode>,
    /// Where it starts from first.
    pub bootstrap_protocol: Option<Bootstrap>,
    /// Which interface boots from the network.
    #[serde(deserialize_with = "optional_scalar")]
    pub pxe_interface: Option<String>,
    /// Devices by their place in the machine.
    pub device_aliases: BTreeMap<String, DeviceAlias>,
    /// Lists of processors.
    #[serde(deserialize_with = "scalars")]
    pub cpu_sets: BTreeMap<String, String>,
    /// Huge pages.
    pub hugepages: BTreeMap<String, Hugepages>,
}

/// How firmware starts a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootMode {
    /// BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

/// Where a machine starts from first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bootstrap {
    /// The network.
    Pxe,
    /// A stick.
    Usb,
    /// A disk.
    Hdd,
}

/// A device by its place in the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceAlias {
    /// `pci` or `scsi`.
    pub bus_type: Option<String>,
    /// What it is.
    pub dev_type: Option<String>,
    /// Its address on the bus.
    pub address: Option<String>,
}

/// Huge pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hugepages {
    /// Of one page.
    #[serde(deserialize_with = "scalar")]
    pub size: String,
    /// How many.
    #[serde(deserialize_with = "scalar")]
    pub count: String,
}
