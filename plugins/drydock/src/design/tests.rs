//! Designs: documents, inheritance, filters.

use serde_json::json;

use super::document::{self, PROCESSING, SCHEMA};
use super::effective::{Site, compile};
use super::filter::NodeFilter;

const SITE: &str = include_str!("../tests/site.yaml");

fn site(text: &str) -> Site {
    let (design, faults) = document::read(text.as_bytes()).unwrap();
    assert_eq!(faults, []);
    compile(design).unwrap()
}

fn select(site: &Site, filter: serde_json::Value) -> Vec<String> {
    let filter: NodeFilter = serde_json::from_value(filter).unwrap();
    site.select(Some(&filter)).unwrap()
}

/// A document of a kind.
fn doc(kind: &str, name: &str, data: &str) -> String {
    format!("---\nschema: drydock/{kind}/v1\nmetadata: {{name: {name}}}\ndata: {data}\n")
}

fn node(name: &str, data: &str) -> String {
    doc("BaremetalNode", name, &format!("{{addressing: [{{network: n, address: dhcp}}], {data}}}"))
}

#[test]
fn the_whole_site_is_read() {
    let site = site(SITE);
    let names: Vec<_> = site.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["ctl-01", "ctl-02", "cmp-01", "cmp-02", "sto-01", "sto-02"]);
    let storage = site.node("sto-02").unwrap();
    assert_eq!(storage.tags, ["storage", "managed"]);
    assert_eq!(storage.labels["tier"], "archive");
    assert_eq!(storage.labels["site"], "riverton");
    assert_eq!(storage.oob_type.as_deref(), Some("manual"));
    assert_eq!(storage.domain, "riverton.example");
    assert_eq!(storage.interfaces["bond0"].networks, ["storage", "mgmt"]);
    assert_eq!(storage.kernel_params["isolcpus"], "2,4,6");
    assert_eq!(storage.kernel_params["hugepagesz"], "1G");
    assert_eq!(storage.kernel_params["hugepages"], "16");
    assert_eq!(storage.kernel_params["console"], "ttyS0");
    let routes = &site.shared.networks["mgmt"].routes;
    assert_eq!(routes.len(), 2);
    assert_eq!(routes[1].subnet.as_deref(), Some("10.20.2.0/24"));
    let targets: Vec<_> = site.boot_actions.iter().map(|action| action.nodes.len()).collect();
    assert_eq!(targets, [6, 6, 2]);
    assert_eq!(site.boot_actions[2].nodes, ["cmp-02", "sto-01"]);
}

#[test]
fn exclamation_marks_remove_what_is_inherited() {
    let text = doc(
        "HostProfile",
        "p",
        "{primary_network: n, platform: {image: a, kernel_params: {x: '1', y: '2'}}, metadata: {tags: [t, u], owner_data: {k: v}},
          oob: {type: redfish, account: me}, interfaces: {e0: {networks: [n, m]}, e1: {networks: [n]}, e2: {networks: [n]}}}",
    ) + &node(
        "c",
        "host_profile: p, primary_network: '!', platform: {image: -1, kernel_params: {'!x': ''}},
          oob: {type: manual, '!account': ''},
          metadata: {tags: ['!t', w], owner_data: {'!k': ''}}, interfaces: {e0: {networks: ['!m']}, e1: null, '!e2': {}}",
    );
    let site = site(&text);
    let node = &site.nodes[0];
    assert_eq!((&node.primary_network, &node.image), (&None, &None));
    assert_eq!(node.kernel_params.keys().collect::<Vec<_>>(), ["y"]);
    assert_eq!(node.tags, ["w", "u"]);
    assert!(node.labels.is_empty() && node.oob.is_empty());
    assert_eq!(node.interfaces.keys().collect::<Vec<_>>(), ["e0"]);
    assert_eq!(node.interfaces["e0"].networks, ["n"]);
    assert_eq!(node.domain, "local");
}

#[test]
fn inherited_disks_stay_when_a_child_lists_its_own() {
    let parent = "{storage: {physical_devices: {
        a: {partitions: [{name: root, size: 20g, bootable: true}, {name: boot, size: 1g}]}, b: {volume_group: v}, c: {labels: {x: '1'}}},
        volume_groups: {v: {logical_volumes: [{name: l, size: 10%}]}}}}";
    let text = doc("HostProfile", "empty", "{}")
        + &doc("HostProfile", "p", parent)
        + &doc("HostProfile", "late", &parent.replace("{storage", "{host_profile: empty, storage"))
        + &node(
            "c",
            "host_profile: p, storage: {physical_devices: {a: {partitions: [{name: root, size: 30g, volume_group: w}]}}, volume_groups: {v: {vg_uuid: u}}}",
        )
        + &node("d", "host_profile: late");
    let site = site(&text);
    let storage = &site.nodes[0].storage;
    assert_eq!(storage.physical_devices.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    let root = &storage.physical_devices["a"].partitions[0];
    assert_eq!(
        (root.size.as_deref(), root.bootable, root.volume_group.as_deref()),
        (Some("30g"), Some(true), Some("w"))
    );
    assert_eq!(storage.volume_groups["v"].logical_volumes.len(), 1);
    assert_eq!(storage.volume_groups["v"].vg_uuid.as_deref(), Some("u"));
    assert_eq!(site.nodes[1].storage.physical_devices.len(), 3);
}

#[test]
fn file_systems_are_inherited_field_by_field_and_have_defaults_at_the_end() {
    let storage = |root: &str, volume: &str| {
        format!(
            "storage: {{physical_devices: {{a: {{partitions: [{{name: root, filesystem: {root}}}]}}}},
              volume_groups: {{v: {{logical_volumes: [{{name: l, filesystem: {volume}}}]}}}}}}"
        )
    };
    let parent = storage("{mountpoint: /, fstype: xfs, fs_label: r}", "{mountpoint: /var}");
    let child = storage("{mount_options: noatime, fs_label: '!'}", "{fs_uuid: u}");
    let text = doc("HostProfile", "p", &format!("{{{parent}}}")) + &node("c", &format!("host_profile: p, {child}"));
    let site = site(&text);
    let storage = &site.nodes[0].storage;
    let root = storage.physical_devices["a"].partitions[0].filesystem.clone().unwrap();
    let volume = storage.volume_groups["v"].logical_volumes[0].filesystem.clone().unwrap();
    let text = |value: &str| Some(value.to_owned());
    assert_eq!((root.mountpoint, root.fstype, root.mount_options), (text("/"), text("xfs"), text("noatime")));
    assert_eq!((root.fs_label, volume.fs_uuid), (None, text("u")));
    assert_eq!(
        (volume.mountpoint, volume.fstype, volume.mount_options),
        (text("/var"), text("ext4"), text("defaults"))
    );
}

#[test]
fn repositories_have_their_schema() {
    let faults = |repositories: &str| {
        let text = doc("Region", "r", &format!("{{repositories: {repositories}}}"));
        document::read(text.as_bytes()).unwrap().1
    };
    let good = "{remove_unlisted: true, main: {repo_type: apt, url: 'http://m', distributions: [jammy], subrepos: [security],
        components: [main], gpgkey: K, arches: [amd64], options: {priority: 1}}, other: {repo_type: rpm, url: 'http://o'}}";
    assert_eq!(faults(good), []);
    for wrong in
        ["{m: {repo_type: zip, url: u}}", "{m: {repo_type: apt}}", "{m: {url: u, urls: []}}", "{remove_unlisted: 3}"]
    {
        assert_eq!(faults(wrong).iter().map(|fault| fault.code).collect::<Vec<_>>(), [SCHEMA], "{wrong}");
    }
}

#[test]
fn profiles_that_are_not_there_or_circular_are_errors() {
    let compiled = |text: &str| {
        let (design, faults) = document::read(text.as_bytes()).unwrap();
        assert_eq!(faults, []);
        compile(design).unwrap_err().text
    };
    assert!(compiled(&node("c", "host_profile: nobody")).contains("nobody"));
    assert!(compiled(&node("c", "hardware_profile: none")).contains("none"));
    let circle = doc("HostProfile", "a", "{host_profile: b}") + &doc("HostProfile", "b", "{host_profile: a}");
    assert!(compiled(&(circle + &node("c", "host_profile: a"))).contains("itself"));
}

#[test]
fn faults_are_told_with_their_documents() {
    let text = doc("Network", "n", "{cidr: 10.0.0.0/8, colour: red}")
        + &doc("Gadget", "g", "{}")
        + &doc("BootAction", "b", "{assets: [{type: file, permissions: '9'}]}")
        + &doc("Rack", "r", "{}")
        + &doc("Rack", "r", "{}")
        + "---\nschema: deckhand/LayeringPolicy/v1\n---\n- 1\n---\nschema: drydock/Rack/v1\n";
    let (_, faults) = document::read(text.as_bytes()).unwrap();
    let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, [SCHEMA, PROCESSING, SCHEMA, PROCESSING, PROCESSING, PROCESSING]);
    assert!(faults[0].text.contains("colour"));
    assert_eq!(faults[0].document.as_ref().unwrap().name, "n");
}

#[test]
fn all_labels_are_asked_for_under_intersection() {
    let site = site(SITE);
    let both = json!({"filter_set_type": "union", "filter_set": [
        {"filter_type": "intersection", "node_labels": {"color": "blue", "role": "compute"}},
        {"filter_type": "union", "node_names": ["ctl-02"]}]});
    assert_eq!(select(&site, both), ["ctl-02", "cmp-01"]);
    let any = json!({"filter_set_type": "intersection", "filter_set": [
        {"filter_type": "union", "node_labels": {"color": "blue", "role": "compute"}}]});
    assert_eq!(select(&site, any), ["ctl-01", "cmp-01", "cmp-02", "sto-01"]);
}

#[test]
fn racks_are_found_by_name_and_by_label() {
    let site = site(SITE);
    let filter = |criteria: serde_json::Value| {
        let mut filter = json!({"filter_type": "intersection"});
        filter.as_object_mut().unwrap().extend(criteria.as_object().unwrap().clone());
        json!({"filter_set_type": "intersection", "filter_set": [filter]})
    };
    assert_eq!(select(&site, filter(json!({"rack_names": ["rack-b"], "node_tags": ["storage"]}))), ["sto-02"]);
    assert_eq!(select(&site, filter(json!({"rack_labels": {"row": "north"}}))), ["ctl-01", "cmp-01", "sto-01"]);
    assert_eq!(select(&site, filter(json!({"node_names": null, "node_tags": ["nothing"]}))), Vec::<String>::new());
    let empty: NodeFilter = serde_json::from_value(filter(json!({}))).unwrap();
    assert!(site.select(Some(&empty)).is_err());
    let none = json!({"filter_set_type": "union", "filter_set": [{"filter_type": "union"}]});
    assert_eq!(select(&site, none), Vec::<String>::new());
}

#[test]
fn filters_of_another_shape_do_not_read() {
    for wrong in [
        json!([]),
        json!({"node_names": ["a"]}),
        json!({"filter_set_type": "xor", "filter_set": []}),
        json!({"filter_set_type": "union"}),
        json!({"filter_set_type": "union", "filter_set": [{"node_names": []}]}),
    ] {
        assert!(serde_json::from_value::<NodeFilter>(wrong.clone()).is_err(), "{wrong}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_design_or_not(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = document::read(&bytes);
    }
}
