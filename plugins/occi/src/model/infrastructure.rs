//! The kinds, mixins and actions of infrastructure (GFD.184, GFD.224), of both versions together.
//!
//! `occi.compute.speed` and the storage actions backup, snapshot and resize are of 1.1, the rest of what differs is
//! of 1.2; none contradicts the other.

use super::{Attribute, Category, Type, TypeId, core};

/// Scheme of infrastructure.
pub const SCHEME: &str = "http://schemas.ogf.org/occi/infrastructure#";

const COUNT: Type = Type::Integer(1, i64::MAX);
const ALLOCATION: Type = Type::OneOf(&["dynamic", "static"]);
const SWITCH: &[&str] = &["active", "inactive", "error"];

/// Attribute of the storage size, in GiB.
pub const SIZE: &str = "occi.storage.size";
/// Attribute of the memory, in GiB.
pub const MEMORY: &str = "occi.compute.memory";
/// Attribute of the number of cores.
pub const CORES: &str = "occi.compute.cores";
/// Attribute of the device that a storage has in a machine.
pub const DEVICE: &str = "occi.storagelink.deviceid";
/// Attribute of the interface's name in a machine.
pub const INTERFACE: &str = "occi.networkinterface.interface";
/// Attribute of the interface's hardware address.
pub const MAC: &str = "occi.networkinterface.mac";

const GIB: f64 = 1_073_741_824.0;

/// Bytes of so many GiB, in whole KiB.
pub fn bytes(gib: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are positive and bounded")]
    let bytes = (gib * GIB).ceil() as u64;
    bytes.div_ceil(1024).max(1) * 1024
}

/// GiB of so many bytes.
pub fn gibibytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sizes are below 2^53 bytes, or it is all the same")]
    let bytes = bytes as f64;
    bytes / GIB
}

/// A category of this scheme.
pub fn id(term: &str) -> TypeId {
    TypeId::known(SCHEME, term)
}

/// The term of a category of this scheme; none of another's.
pub fn term_of(id: &str) -> Option<&str> {
    id.strip_prefix(SCHEME)
}

/// An action of a kind.
pub fn action(kind: &str, term: &str) -> TypeId {
    TypeId::known(&format!("http://schemas.ogf.org/occi/infrastructure/{kind}/action#"), term)
}

/// Actions with their titles and attributes, by kind.
pub const ACTIONS: &[(&str, &str, &str, &[Attribute])] = &[
    ("compute", "start", "Start the machine", &[]),
    (
        "compute",
        "stop",
        "Stop the machine",
        &[Attribute::mutable("method", Type::OneOf(&["graceful", "acpioff", "poweroff"]))],
    ),
    (
        "compute",
        "restart",
        "Restart the machine",
        &[Attribute::mutable("method", Type::OneOf(&["graceful", "warm", "cold"]))],
    ),
    (
        "compute",
        "suspend",
        "Suspend the machine",
        &[Attribute::mutable("method", Type::OneOf(&["hibernate", "suspend"]))],
    ),
    (
        "compute",
        "save",
        "Save the machine as a template",
        &[Attribute::mutable("method", Type::OneOf(&["hot", "deferred"])), Attribute::mutable("name", Type::Text)],
    ),
    ("network", "up", "Bring the network up", &[]),
    ("network", "down", "Take the network down", &[]),
    ("storage", "online", "Bring the storage online", &[]),
    ("storage", "offline", "Take the storage offline", &[]),
    ("storage", "backup", "Back the storage up", &[]),
    ("storage", "snapshot", "Take a snapshot of the storage", &[]),
    ("storage", "resize", "Resize the storage", &[Attribute::required("size", Type::Positive)]),
];

fn actions_of(kind: &'static str) -> impl Iterator<Item = TypeId> {
    ACTIONS.iter().filter(move |(of, ..)| *of == kind).map(|(kind, term, ..)| action(kind, term))
}

fn kinds() -> Vec<Category> {
    vec![
        Category::kind(id("compute"), Some(core::resource()), "Compute resource")
            .at("/compute/")
            .with([
                Attribute::mutable("occi.compute.architecture", Type::OneOf(&["x86", "x64"])),
                Attribute::mutable(CORES, COUNT),
                Attribute::mutable("occi.compute.hostname", Type::Token),
                Attribute::mutable(MEMORY, Type::Positive),
                Attribute::mutable("occi.compute.speed", Type::Positive),
                Attribute::mutable("occi.compute.share", Type::Integer(0, i64::MAX)),
                Attribute::immutable("occi.compute.state", Type::OneOf(&["active", "inactive", "suspended", "error"])),
                Attribute::immutable("occi.compute.state.message", Type::Text),
            ])
            .doing(actions_of("compute")),
        Category::kind(id("network"), Some(core::resource()), "Network resource")
            .at("/network/")
            .with([
                Attribute::mutable("occi.network.vlan", Type::Integer(0, 4095)),
                Attribute::mutable("occi.network.label", Type::Token),
                Attribute::immutable("occi.network.state", Type::OneOf(SWITCH)),
                Attribute::immutable("occi.network.state.message", Type::Text),
            ])
            .doing(actions_of("network")),
        Category::kind(id("storage"), Some(core::resource()), "Storage resource")
            .at("/storage/")
            .with([
                Attribute::required(SIZE, Type::Positive),
                Attribute::immutable(
                    "occi.storage.state",
                    Type::OneOf(&["online", "offline", "backup", "snapshot", "resize", "degraded", "error"]),
                ),
                Attribute::immutable("occi.storage.state.message", Type::Text),
            ])
            .doing(actions_of("storage")),
        Category::kind(id("networkinterface"), Some(core::link()), "Link to a network").at("/networkinterface/").with(
            [
                Attribute::immutable(INTERFACE, Type::Text),
                Attribute::mutable(MAC, Type::Mac),
                Attribute::immutable("occi.networkinterface.state", Type::OneOf(SWITCH)),
                Attribute::immutable("occi.networkinterface.state.message", Type::Text),
            ],
        ),
        Category::kind(id("storagelink"), Some(core::link()), "Link to a storage").at("/storagelink/").with([
            Attribute::mutable(DEVICE, Type::Text),
            Attribute::mutable("occi.storagelink.mountpoint", Type::Text),
            Attribute::immutable("occi.storagelink.state", Type::OneOf(SWITCH)),
            Attribute::immutable("occi.storagelink.state.message", Type::Text),
        ]),
    ]
}

fn mixins() -> Vec<Category> {
    let mixin = |part: &str, term: &str, title: &str| {
        let scheme = format!("http://schemas.ogf.org/occi/infrastructure/{part}#");
        Category::mixin(TypeId::known(&scheme, term), title).at(&format!("/mixin/{term}/"))
    };
    vec![
        mixin("network", "ipnetwork", "A network with addresses").applying_to(id("network")).with([
            Attribute::mutable("occi.network.address", Type::Cidr),
            Attribute::mutable("occi.network.gateway", Type::Address),
            Attribute::mutable("occi.network.allocation", ALLOCATION),
        ]),
        mixin("networkinterface", "ipnetworkinterface", "An interface with an address")
            .applying_to(id("networkinterface"))
            .with([
                Attribute::mutable("occi.networkinterface.address", Type::Address),
                Attribute::mutable("occi.networkinterface.gateway", Type::Address),
                Attribute::mutable("occi.networkinterface.allocation", ALLOCATION),
            ]),
        mixin("credentials", "ssh_key", "A public key for the machine's user")
            .applying_to(id("compute"))
            .with([Attribute::required("occi.credentials.ssh.publickey", Type::Text)]),
        mixin("compute", "user_data", "What the machine is given at its first start")
            .applying_to(id("compute"))
            .with([Attribute::required(super::openstack::USERDATA, Type::Text)]),
    ]
}

/// All of it.
pub fn categories() -> Vec<Category> {
    let actions = ACTIONS.iter().map(|(kind, term, title, attributes)| {
        Category::action(action(kind, term), title).with(attributes.iter().cloned())
    });
    kinds().into_iter().chain(mixins()).chain(actions).collect()
}
