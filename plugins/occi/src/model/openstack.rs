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

/// Scheme of what machines have at OpenStack's bridges.
pub const INSTANCE: &str = "http://schemas.openstack.org/compute/instance#";
/// Term of the mixin that a machine shows its console by.
pub const OS_VMS: &str = "os_vms";
/// Both together.
pub const OS_VMS_ID: &str = "http://schemas.openstack.org/compute/instance#os_vms";

/// Spellings of early drafts of 1.2, of mixins and of attributes, that a bridge has made known; and what they mean.
const SPELLINGS: [(&str, &str); 4] = [
    (
        "http://schemas.ogf.org/occi/credentials#ssh_key",
        "http://schemas.ogf.org/occi/infrastructure/credentials#ssh_key",
    ),
    ("http://schemas.ogf.org/occi/compute#user_data", "http://schemas.ogf.org/occi/infrastructure/compute#user_data"),
    ("occi.credentials.ssh_key", "occi.credentials.ssh.publickey"),
    ("occi.compute.user_data", USERDATA),
];

/// What a spelling of early drafts means; none if it is none.
pub fn meant(spelling: &str) -> Option<&'static str> {
    SPELLINGS.iter().find(|(known, _)| *known == spelling).map(|(_, meant)| *meant)
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
    TypeId::known(INSTANCE, "user_data")
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
        mixin(TypeId::known(INSTANCE, OS_VMS), "What a machine shows of itself")
            .with([Attribute::immutable(CONSOLE, Type::Text)]),
        Category::mixin(
            TypeId::known("http://schemas.openstack.org/infrastructure/network#", "osnetwork"),
            "A network as OpenStack has it",
        )
        .at("/mixin/openstack/osnetwork/")
        .applying_to(id("network"))
        .with([Attribute::mutable("org.openstack.network.ip_version", Type::Integer(4, 6))]),
    ]
}
