//! Each rule, by a site with one thing wrong.

use super::*;
use crate::design::document;
use crate::design::effective::compile;

const SITE: &str = include_str!("../tests/site.yaml");

fn messages(text: &str, offer: &Offer) -> Vec<Message> {
    let (design, faults) = document::read(text.as_bytes()).unwrap();
    assert_eq!(faults, []);
    run(&compile(design).unwrap(), offer, Moment(0))
}

/// Codes and texts of the errors after replacing `from` by `to`.
#[track_caller]
fn errors(changes: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let mut text = SITE.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let found = messages(&text, &Offer::Any);
    found.into_iter().filter(|message| message.error).map(|message| (message.name, message.message)).collect()
}

#[track_caller]
fn one(code: &str, part: &str, changes: &[(&str, &str)]) {
    let found = errors(changes);
    assert!(!found.is_empty(), "nothing was found");
    assert!(found.iter().all(|(name, _)| *name == code), "{found:?}");
    assert!(found.iter().any(|(_, text)| text.contains(part)), "{found:?}");
}

#[test]
fn a_clean_design_has_eighteen_messages_in_order() {
    let found = messages(SITE, &Offer::Any);
    assert_eq!(found.len(), 18);
    assert!(found.iter().all(|message| message.level == Level::Info && !message.error));
    let codes: Vec<_> = found.iter().map(|message| message.name).collect();
    let expected = "DD1001 DD2006 DD1008 DD2002 DD2003 DD2004 DD2005 DD3001 DD1006 DD2002 DD2003 DD2004 DD1007 DD3003 DD4001 DD4002 DD4001 DD4002";
    assert_eq!(codes.join(" "), expected);
    assert_eq!(messages(SITE, &Offer::Any), found, "the same design gives the same messages");
}

#[test]
fn boot_storage() {
    one("DD1001", "smaller than 20 GB", &[("size: 40g", "size: 19g")]);
    one("DD1001", "smaller than 1 GB", &[("size: 2g", "size: 900m")]);
    one("DD1001", "begins with >", &[("size: 40g", "size: '>40g'")]);
    one("DD1001", "percentage", &[("size: 2g", "size: 9%")]);
    one("DD1001", "no partition root", &[("name: root", "name: system")]);
}

#[test]
fn networks() {
    one("DD2006", "host bits", &[("cidr: 10.20.2.0/24", "cidr: 10.20.2.1/24")]);
    one("DD2002", "outside network mgmt", &[("gateway: 10.20.1.1", "gateway: 10.20.9.1")]);
    one("DD2002", "no gateway", &[("      gateway: 10.20.1.1\n", "")]);
    one("DD2002", "outside network mgmt", &[("address: 10.20.1.11", "address: 10.20.5.11")]);
    one(
        "DD2002",
        "unknown network",
        &[("- network: storage\n      address: 10.20.2.21", "- network: s\n      address: 10.20.2.21")],
    );
    one("DD2003", "an MTU of 9", &[("mtu: 9000\n  linkspeed", "mtu: 9\n  linkspeed")]);
    one("DD2003", "its link pxe", &[("cidr: 10.20.0.0/24\n  mtu: 1500", "cidr: 10.20.0.0/24\n  mtu: 1501")]);
    one("DD2004", "neither", &[("    default_network: pxe\n", "")]);
    one("DD2004", "several", &[("  allowed_networks:\n    - pxe\n", "  allowed_networks: [pxe, x]\n")]);
    one("DD2004", "VLAN", &[("cidr: 127.20.0.0/24", "cidr: 127.20.0.0/24\n  vlan: '3'")]);
    one("DD2005", "ctl-01 and ctl-02", &[("10.20.1.12", "10.20.1.11")]);
    one("DD1006", "has options", &[("mode: 802.3ad", "mode: disabled")]);
    one("DD1006", "up delay", &[("up_delay: 200", "up_delay: 20")]);
    one("DD1007", "links", &[("    - storage\n", "    - storage\n    - pxe\n")]);
    one("DD1007", "unknown link", &[("device_link: pxe", "device_link: p")]);
    one("DD1007", "not allowed", &[("      networks:\n        - pxe\n", "      networks:\n        - mgmt\n")]);
}

#[test]
fn disks() {
    one(
        "DD2002",
        "both",
        &[("logdisk:\n        volume_group", "logdisk:\n        partitions: [{name: x}]\n        volume_group")],
    );
    let neither = [
        ("        volume_group: log_vg\n", "        labels: {a: b}\n"),
        (
            "    volume_groups:\n      log_vg:\n        logical_volumes:\n          - name: log_lv\n            size: '80%'\n            filesystem:\n              mountpoint: /var/log\n              fstype: xfs\n              mount_options: noatime\n",
            "",
        ),
    ];
    one("DD2002", "neither", &neither);
    one("DD2002", "on no device", &[("      log_vg:\n", "      log_vg: {}\n      other:\n")]);
    one("DD2003", "-8%", &[("size: '80%'", "size: '-8%'")]);
    one("DD2003", "100%", &[("size: '80%'", "size: '100%'")]);
    one("DD2004", "/boot", &[("mountpoint: /var/log", "mountpoint: /boot")]);
    assert_eq!(errors(&[("mountpoint: /var/log", "mountpoint: /boot")]).len(), 1, "stops at the first");
}

#[test]
fn platforms_and_controllers() {
    one("DD1008", "hugepages", &[("      hugepagesz: 'hardwareprofile:hugepages.dataplane.size'\n", "")]);
    one("DD4001", "no oob parameter credential", &[("type: redfish", "type: ipmi"), ("    credential: secret\n", "")]);
    one("DD4002", "no libvirt_uri", &[("type: redfish", "type: libvirt")]);
    one("DD4002", "not qemu+ssh", &[("type: redfish", "type: libvirt\n    libvirt_uri: qemu:///system")]);
    one("DD3003", "c_1", &[("name: ctl-01", "name: c_1")]);
    one("DD4002", "chrony", &[("'4.2-2'", "'4.2'")]);
    one("DD4002", "empty", &[("        curl: null\n        chrony: '4.2-2'\n", "        {}\n")]);
}

#[test]
fn images_are_asked_for_where_that_can_be_done() {
    let offer = |kernel: &str| Offer::Images([("jammy".to_owned(), vec![kernel.to_owned()])].into());
    assert_eq!(messages(SITE, &offer("ga-22.04")).len(), 18);
    let found = messages(SITE, &offer("hwe"));
    assert_eq!(found.iter().filter(|message| message.error && message.name == "DD3001").count(), 6);
    assert!(
        messages(SITE, &Offer::Images(BTreeMap::new())).iter().any(|message| message.message.contains("not offered"))
    );
    let found = messages(SITE, &Offer::Unknown("away".to_owned()));
    assert_eq!(found.iter().filter(|message| message.level == Level::Warning).count(), 1);
    assert_eq!(found.len(), 19);
}

#[test]
fn what_is_missing_altogether_is_worth_a_warning() {
    let found = messages("", &Offer::Any);
    let codes: Vec<_> = found.iter().filter(|message| message.level == Level::Warning).map(|one| one.name).collect();
    assert_eq!(codes, ["DD2006", "DD2002", "DD2002", "DD2005"]);
    let without = SITE.replace("schema: 'drydock/BootAction/v1'", "schema: 'other/BootAction/v1'");
    let found = messages(&without, &Offer::Any);
    assert_eq!(found.iter().filter(|message| message.level == Level::Warning && message.name == "DD4001").count(), 6);
}

#[test]
fn a_site_of_two_thousand_nodes_is_validated() {
    let mut text = SITE.split("---\nschema: 'drydock/BaremetalNode/v1'").next().unwrap().to_owned();
    for n in 0..2_000 {
        let (high, low) = (n / 250, n % 250 + 1);
        text.push_str(&format!(
            "---\nschema: drydock/BaremetalNode/v1\nmetadata: {{name: n-{n}}}\ndata:\n  host_profile: worker-storage\n  \
             addressing: [{{network: mgmt, address: 10.20.{high}.{low}}}]\n  metadata: {{rack: rack-a}}\n"
        ));
    }
    let text =
        text.replace("cidr: 10.20.1.0/24", "cidr: 10.20.0.0/16").replace("cidr: 10.20.0.0/24", "cidr: 10.99.0.0/24");
    let found = messages(&text, &Offer::Any);
    assert!(!found.iter().any(|message| message.error), "{:?}", found.iter().find(|message| message.error));
    assert_eq!(found.iter().filter(|message| message.level == Level::Warning).count(), 2_000);
}
