//! Templates: mixins that bring the size of a machine, or what runs on it.
//!
//! The parents are of infrastructure, the sizes of GFD.222 (profile 1.1), the rest comes from the operator: images
//! and flavors as OpenStack's bridges show them.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Attribute, Category, Type, TypeId,
    infrastructure::{CORES, MEMORY, id},
};
use crate::entity::{Attributes, Entity};

/// Scheme of the sizes of the templates profile.
pub const PROFILE: &str = "http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#";
/// Scheme of templates from images.
pub const IMAGES: &str = "http://schemas.openstack.org/template/os#";
/// Scheme of templates from flavors.
pub const FLAVORS: &str = "http://schemas.openstack.org/template/resource#";

/// Attribute of the size of a machine's own disk, in GiB.
pub const EPHEMERAL: &str = "occi.compute.ephemeral_storage.size";
const EPHEMERAL_DEVICE: &str = "occi.compute.ephemeral_storage.deviceid";

/// Term, cores, memory in GiB, ephemeral storage in GiB.
const SIZES: &[(&str, u64, f64, f64)] = &[
    ("small", 1, 1.0, 10.0),
    ("medium", 2, 2.0, 20.0),
    ("large", 4, 4.0, 40.0),
    ("mem_small", 1, 4.0, 10.0),
    ("mem_medium", 2, 8.0, 20.0),
];

/// A size from the operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flavor {
    /// Its name, for example `m1.tiny`.
    pub name: String,
    /// Virtual processors.
    pub cores: u64,
    /// Memory in GiB.
    pub memory: f64,
    /// Disk in GiB.
    #[serde(default)]
    pub disk: f64,
}

/// Something to boot from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its id at the image service, or its file name.
    pub id: String,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// The file with the disk; none: an empty one.
    #[serde(default)]
    pub file: Option<String>,
    /// What the file is; never guessed from what is in it.
    #[serde(default)]
    pub format: Option<Format>,
}

/// The format of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// QEMU's own.
    Qcow2,
    /// The bytes as they are.
    Raw,
}

impl Format {
    /// As QEMU calls it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Qcow2 => "qcow2",
            Format::Raw => "raw",
        }
    }
}

impl Image {
    /// One of an empty disk.
    pub fn empty(id: &str, name: &str) -> Image {
        Image { id: id.to_owned(), name: name.to_owned(), file: None, format: None }
    }

    /// The copy of a machine, named by the parameters of `save`, or else as the machine is.
    pub fn saved(machine: &Entity, parameters: &Attributes, id: String) -> Image {
        let asked = parameters.get("name").and_then(serde_json::Value::as_str);
        let name = asked.or(machine.text(super::core::TITLE)).unwrap_or("Saved machine");
        Image::empty(&id, name)
    }
}

/// The parent of every template of what runs.
pub fn os_tpl() -> TypeId {
    id("os_tpl")
}

/// The parent of every template of sizes.
pub fn resource_tpl() -> TypeId {
    id("resource_tpl")
}

/// Parents and sizes of the standard.
pub fn categories() -> Vec<Category> {
    let parents = [
        Category::mixin(os_tpl(), "What runs on a machine").at("/mixin/os_tpl/").applying_to(id("compute")),
        Category::mixin(resource_tpl(), "The size of a machine").at("/mixin/resource_tpl/").applying_to(id("compute")),
    ];
    let sizes = SIZES.iter().map(|(term, cores, memory, disk)| {
        size(TypeId::known(PROFILE, term), term, *cores, *memory).with([
            Attribute::immutable(EPHEMERAL, Type::Positive).or(json!(disk)),
            Attribute::mutable(EPHEMERAL_DEVICE, Type::Text),
        ])
    });
    parents.into_iter().chain(sizes).collect()
}

fn size(id_: TypeId, title: &str, cores: u64, memory: f64) -> Category {
    let location = format!("/mixin/resource_tpl/{}/", id_.term());
    Category::mixin(id_, title).at(&location).depending_on(resource_tpl()).applying_to(id("compute")).with([
        Attribute::immutable(CORES, Type::Integer(1, i64::MAX)).or(json!(cores)),
        Attribute::immutable(MEMORY, Type::Positive).or(json!(memory)),
    ])
}

/// The mixin of a flavor; none if its name makes no term.
pub fn of_flavor(flavor: &Flavor) -> Option<Category> {
    let term = safe(&flavor.name);
    let mut category =
        size(TypeId::of(FLAVORS, &term)?, &format!("Flavor: {}", flavor.name), flavor.cores.max(1), flavor.memory);
    let mut add = |name, of, value| category.attributes.push(Attribute::immutable(name, of).or(value));
    if flavor.disk > 0.0 {
        add(EPHEMERAL, Type::Positive, json!(flavor.disk));
        add("org.openstack.flavor.disk", Type::Positive, json!(flavor.disk));
    }
    // There are no other disks.
    for name in ["org.openstack.flavor.ephemeral", "org.openstack.flavor.swap"] {
        add(name, Type::Integer(0, i64::MAX), json!(0));
    }
    add("org.openstack.flavor.name", Type::Text, json!(flavor.name));
    category.location = Some(format!("/mixin/resource_tpl/os/{term}/"));
    Some(category)
}

/// The mixin of an image; none if its id makes no term.
pub fn of_image(image: &Image) -> Option<Category> {
    let term = safe(&image.id);
    let name = if image.name.is_empty() { &image.id } else { &image.name };
    let category = Category::mixin(TypeId::of(IMAGES, &term)?, &format!("Image: {name}"));
    Some(category.at(&format!("/mixin/os_tpl/{term}/")).depending_on(os_tpl()).applying_to(id("compute")))
}

/// Lower case, with what a term of 1.1 cannot have replaced.
pub fn safe(name: &str) -> String {
    name.chars()
        .map(|char| match char.to_ascii_lowercase() {
            kept @ ('a'..='z' | '0'..='9' | '_') => kept,
            ' ' => '_',
            _ => '-',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_terms() {
        let flavor = Flavor { name: "m1.Tiny one".to_owned(), cores: 1, memory: 0.5, disk: 0.0 };
        let category = of_flavor(&flavor).unwrap();
        assert_eq!(category.id.as_str(), "http://schemas.openstack.org/template/resource#m1-tiny_one");
        assert_eq!(category.depends, [resource_tpl()]);
        assert!(of_image(&Image::empty("", "")).is_none());
    }
}
