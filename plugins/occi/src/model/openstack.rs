//! What OpenStack's bridges added (the sheet's section 11): key pairs, user data, and what a machine shows.
//!
//! The standard mixins of 1.2 do the same as two of these; a machine has one of each pair at most.

use super::{
    Attribute, Category, Type, TypeId,
    infrastructure::{self, id},
};

/// Attribute of the standard's user data: once only.
pub const USERDATA: &str = "occi.compute.userdata";
/// Attribute of the bridges' user data: once only.
pub const OLD_USERDATA: &str = "org.openstack.compute.user_data";
/// Attribute with the address of a machine's console.
pub const CONSOLE: &str = "org.openstack.compute.console.vnc";

/// Attributes that are given at creation or with their mixin, and never again.
pub const ONCE: [&str; 2] = [USERDATA, OLD_USERDATA];

/// The mixin that every machine has.
pub fn os_vms() -> TypeId {
    TypeId::known("http://schemas.openstack.org/compute/instance#", "os_vms")
}

/// Pairs of mixins that say the same: both at once is a conflict.
pub fn rivals() -> [(TypeId, TypeId); 2] {
    let standard =
        |part: &str, term: &str| TypeId::known(&format!("http://schemas.ogf.org/occi/infrastructure/{part}#"), term);
    [(standard("credentials", "ssh_key"), public_key()), (standard("compute", "user_data"), user_data())]
}

fn public_key() -> TypeId {
    TypeId::known("http://schemas.openstack.org/instance/credentials#", "public_key")
}

fn user_data() -> TypeId {
    TypeId::known("http://schemas.openstack.org/compute/instance#", "user_data")
}

/// All of it.
pub fn categories() -> Vec<Category> {
    let mixin = |id: TypeId, title: &str| {
        let location = format!("/mixin/openstack/{}/", id.term());
        Category::mixin(id, title).at(&location).applying_to(infrastructure::id("compute"))
    };
    vec![
        mixin(public_key(), "A key pair").with([
            Attribute::mutable("org.openstack.credentials.publickey.name", Type::Text),
            Attribute::required("org.openstack.credentials.publickey.data", Type::Text),
        ]),
        mixin(user_data(), "What the machine is given at its first start, in base64")
            .with([Attribute::required(OLD_USERDATA, Type::Text)]),
        mixin(os_vms(), "What a machine shows of itself").with([
            Attribute::immutable(CONSOLE, Type::Text),
            Attribute::immutable("org.openstack.compute.state", Type::Text),
        ]),
        Category::mixin(
            TypeId::known("http://schemas.openstack.org/infrastructure/network#", "osnetwork"),
            "A network as OpenStack has it",
        )
        .at("/mixin/openstack/osnetwork/")
        .applying_to(id("network"))
        .with([Attribute::mutable("org.openstack.network.ip_version", Type::Integer(4, 6))]),
    ]
}
