//! What the kernel calls the devices that a design knows by their place in the machine, as far as `lshw` told.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};
use serde::Serialize;

use crate::design::kinds::DeviceAlias;

/// A device of a design.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Device<'a> {
    /// Where it is.
    #[serde(flatten)]
    alias: &'a DeviceAlias,
    /// What the kernel calls it; none while nobody told.
    name: Option<String>,
}

/// Devices by their aliases. What is no XML tells nothing.
pub(super) fn named<'a>(
    aliases: &'a BTreeMap<String, DeviceAlias>,
    lshw: Option<&str>,
) -> BTreeMap<&'a str, Device<'a>> {
    let names = lshw.and_then(|text| Some(names(&Document::parse(text).ok()?))).unwrap_or_default();
    let device = |alias: &'a DeviceAlias| {
        let place = alias.bus_type.as_ref().zip(alias.address.as_ref());
        let name = place.and_then(|(bus, address)| names.get(&format!("{bus}@{address}")).cloned());
        Device { alias, name }
    };
    aliases.iter().map(|(name, alias)| (name.as_str(), device(alias))).collect()
}

/// The kernel's names by place, as `pci@0000:00:03.0`.
fn names(document: &Document<'_>) -> BTreeMap<String, String> {
    let text = |node: Node<'_, '_>, name: &str| {
        let child = node.children().find(|child| child.has_tag_name(name))?;
        child.text().map(|text| text.trim().to_owned())
    };
    let named = |node| Some((text(node, "businfo")?, text(node, "logicalname")?));
    let found = document.descendants().filter(|node| node.has_tag_name("node")).filter_map(named);
    found.map(|(place, name)| (place, name.strip_prefix("/dev/").unwrap_or(&name).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LSHW: &str = "<?xml version='1.0'?><list><node id='sto' class='system'><node id='network' class='network'>\
        <businfo>pci@0000:00:03.0</businfo><logicalname>ens3</logicalname></node><node id='disk'>\
        <businfo>scsi@2:0.0.0</businfo><logicalname>/dev/sda</logicalname><logicalname>/</logicalname></node>\
        <node id='bridge'><businfo>pci@0000:00:01.0</businfo></node></node></list>";

    fn alias(bus: &str, address: &str) -> DeviceAlias {
        DeviceAlias { bus_type: Some(bus.into()), address: Some(address.into()), dev_type: None }
    }

    #[test]
    fn devices_are_named_by_the_place_that_lshw_found_them_at() {
        let aliases = BTreeMap::from([
            ("left".to_owned(), alias("pci", "0000:00:03.0")),
            ("root".to_owned(), alias("scsi", "2:0.0.0")),
            ("gone".to_owned(), alias("pci", "0000:00:09.0")),
            ("bridge".to_owned(), alias("pci", "0000:00:01.0")),
            ("bare".to_owned(), DeviceAlias::default()),
        ]);
        let names = |lshw: Option<&str>| -> Vec<Option<String>> {
            named(&aliases, lshw).into_values().map(|device| device.name).collect()
        };
        let found = ["bare", "bridge", "gone", "left", "root"].map(|name| match name {
            "left" => Some("ens3".to_owned()),
            "root" => Some("sda".to_owned()),
            _ => None,
        });
        assert_eq!(names(Some(LSHW)), found);
        let bomb = "<!DOCTYPE a [<!ENTITY a 'x'><!ENTITY b '&a;&a;'>]><list>&b;</list>";
        for nothing in [None, Some(""), Some("{}"), Some("<node>"), Some(bomb)] {
            assert_eq!(names(nothing), [const { None }; 5]);
        }
        let shown = serde_json::to_value(&named(&aliases, Some(LSHW))["left"]).unwrap();
        assert_eq!(shown, json!({"bus_type": "pci", "address": "0000:00:03.0", "dev_type": null, "name": "ens3"}));
    }
}
