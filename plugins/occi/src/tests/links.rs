//! Links: inline and by themselves, from both sides, and what becomes of them.

use serde_json::json;

use super::*;

fn link_line(target: &str, kind: &str, link: &str) -> String {
    format!("Link: <{target}>; rel=\"{I}{kind}\"; category=\"{I}{link}\"")
}

#[test]
fn an_inline_link_is_shown_at_its_source_and_at_its_own_place() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let line = format!(
        "{}; occi.networkinterface.mac=\"fa:16:3e:00:00:01\"",
        link_line(&network, "network", "networkinterface")
    );
    let path = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), &line]);
    let links = cloud.list("/networkinterface/");
    assert_eq!(links.len(), 1);
    let shown = cloud.get(&path).expect(200);
    assert!(shown.text().contains(&format!(
        "Link: <{network}>; rel=\"{I}network\"; self=\"{}\"; category=\"{I}networkinterface\"; occi.networkinterface.interface=\"eth0\"; occi.networkinterface.mac=\"fa:16:3e:00:00:01\"; occi.networkinterface.state=\"inactive\"",
        links[0]
    )), "{}", shown.text());
    let link = cloud.get(&links[0]).expect(200);
    assert!(link.text().contains(&format!("X-OCCI-Attribute: occi.core.source=\"{path}\"\n")));
    assert!(link.text().contains(&format!("X-OCCI-Attribute: occi.core.target=\"{network}\"\n")));
    assert!(!cloud.get(&network).text().contains("self="));
    let document = cloud.get_json(&path);
    assert_eq!(document["links"][0]["target"]["location"], json!(network));
    cloud.delete(&links[0]).expect(200);
    assert!(!cloud.get(&path).text().contains("networkinterface"));
}

#[test]
fn all_inline_links_are_created_with_the_resource_or_nothing_is() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let good = link_line(&network, "network", "networkinterface");
    for (bad, status) in [
        (link_line("/network/none", "network", "networkinterface"), 404),
        (link_line(&network, "network", "storagelink"), 400),
        (link_line(&network, "network", "compute"), 400),
        (format!("{good}; occi.networkinterface.mac=\"x\""), 400),
        (format!("{good}; occi.networkinterface.state=\"active\""), 403),
    ] {
        let answer = cloud.plain("POST", "/compute/", &[&format!("Category: {COMPUTE}"), &good, &bad]);
        assert_eq!(answer.status, status, "{bad}: {}", answer.text());
    }
    assert!(cloud.list("/compute/").is_empty());
    assert!(cloud.list("/networkinterface/").is_empty());
}

#[test]
fn twenty_inline_links_come_to_be_at_once() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let mut lines = vec![format!("Category: {COMPUTE}")];
    lines.extend(std::iter::repeat_n(link_line(&network, "network", "networkinterface"), 20));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let path = cloud.create("/compute/", &lines);
    assert_eq!(cloud.list("/networkinterface/").len(), 20);
    assert_eq!(cloud.get_json(&path)["links"].as_array().unwrap().len(), 20);
    cloud.delete(&network).expect(200);
    assert!(cloud.list("/networkinterface/").is_empty());
    assert_eq!(cloud.get_json(&path).get("links"), None);
}

#[test]
fn a_link_can_be_made_apart() {
    let cloud = Cloud::new();
    let (compute, storage) = (cloud.compute(), cloud.storage());
    let lines = |source: &str, target: &str| {
        [
            format!("Category: storagelink; scheme=\"{I}\"; class=\"kind\""),
            format!(
                "X-OCCI-Attribute: occi.core.source=\"{source}\", occi.core.target=\"{target}\", occi.core.id=\"x\""
            ),
        ]
        .join("\n")
    };
    let url = format!("http://localhost{storage}");
    let link = cloud.create("/storagelink/", &[&lines(&compute, &url)]);
    assert!(cloud.get(&compute).text().contains(&link));
    assert_eq!(cloud.get_json(&link)["attributes"]["occi.storagelink.deviceid"], json!("/dev/vdb"));
    cloud.plain("POST", "/storagelink/", &[&lines(&compute, "/storage/none")]).expect(404);
    cloud.plain("POST", "/storagelink/", &[&lines("/compute/none", &storage)]).expect(404);
    cloud.plain("POST", "/storagelink/", &[&lines(&link, &storage)]).expect(400);
    let kind = format!("Category: storagelink; scheme=\"{I}\"; class=\"kind\"");
    cloud.plain("POST", "/storagelink/", &[&kind]).expect(400);
    let elsewhere = cloud.create("/storagelink/", &[&lines(&compute, "http://cdmi.example/cdmi_objectid/00")]);
    assert_eq!(cloud.get_json(&elsewhere)["target"]["location"], json!("http://cdmi.example/cdmi_objectid/00"));
}

#[test]
fn a_resource_takes_its_links_along() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let path = cloud
        .create("/compute/", &[&format!("Category: {COMPUTE}"), &link_line(&network, "network", "networkinterface")]);
    cloud.delete(&path).expect(200);
    assert!(cloud.list("/networkinterface/").is_empty());
    cloud.get(&network).expect(200);
    assert_eq!(cloud.list("/"), [network]);
}

#[test]
fn a_resource_gets_links_by_an_update() {
    let cloud = Cloud::new();
    let (path, network) = (cloud.compute(), cloud.network());
    cloud.plain("POST", &path, &[&link_line(&network, "network", "networkinterface")]).expect(200);
    let link = cloud.list("/networkinterface/").remove(0);
    cloud.plain("POST", &link, &[&link_line(&network, "network", "networkinterface")]).expect(400);
    let ip = "Category: ipnetworkinterface; scheme=\"http://schemas.ogf.org/occi/infrastructure/networkinterface#\"; class=\"mixin\"";
    cloud.plain("POST", &link, &[ip, "X-OCCI-Attribute: occi.networkinterface.address=\"10.0.0.5\""]).expect(200);
    assert_eq!(cloud.get_json(&link)["attributes"]["occi.networkinterface.address"], json!("10.0.0.5"));
}

#[test]
fn json_adds_links_and_mixins_to_an_entity() {
    let cloud = Cloud::new();
    let (path, network) = (cloud.compute(), cloud.network());
    let link = json!({"kind": format!("{I}networkinterface"), "target": {"location": network}});
    let shown: serde_json::Value = cloud.json("POST", &path, &json!({ "links": [link] })).expect(200).json();
    assert_eq!(shown["links"].as_array().unwrap().len(), 1);
    let small = "http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#small";
    let shown: serde_json::Value = cloud.json("POST", &path, &json!({ "mixins": [small] })).expect(200).json();
    assert_eq!(shown["attributes"]["occi.compute.cores"], json!(1));
    assert_eq!(cloud.json("PUT", &path, &shown).expect(200).json::<serde_json::Value>(), shown);
}

#[test]
fn a_link_is_led_elsewhere_by_an_update_of_its_ends() {
    let cloud = Cloud::new();
    let (one, other) = (cloud.compute(), cloud.compute());
    let (near, far) = (cloud.storage(), cloud.storage());
    let kind = format!("Category: storagelink; scheme=\"{I}\"; class=\"kind\"");
    let ends = |source: &str, target: &str| {
        format!("X-OCCI-Attribute: occi.core.source=\"{source}\", occi.core.target=\"{target}\"")
    };
    let title = "X-OCCI-Attribute: occi.core.title=\"mine\", occi.storagelink.mountpoint=\"/mnt\"";
    let link = cloud.create("/storagelink/", &[&kind, &ends(&one, &near), title]);
    let id = cloud.get_json(&link)["id"].clone();
    // Another target, by its URL.
    let target = format!("X-OCCI-Attribute: occi.core.target=\"http://localhost{far}\"");
    cloud.plain("POST", &link, &[&target]).expect(200);
    let shown = cloud.get_json(&link);
    assert_eq!((&shown["target"]["location"], &shown["id"]), (&json!(far), &id));
    assert_eq!(
        (&shown["title"], &shown["attributes"]["occi.storagelink.mountpoint"]),
        (&json!("mine"), &json!("/mnt"))
    );
    cloud.delete(&near).expect(200);
    cloud.get(&link).expect(200);
    // Another source, in JSON.
    let source = json!({"kind": format!("{I}storagelink"), "source": {"location": other}});
    cloud.json("POST", &link, &source).expect(200);
    assert!(!cloud.get(&one).text().contains(&link) && cloud.get(&other).text().contains(&link));
    // Both by a replacement; the filter follows.
    cloud.plain("PUT", &link, &[&kind, &ends(&one, &far), title]).expect(200);
    assert!(cloud.get(&one).text().contains(&link) && !cloud.get(&other).text().contains(&link));
    let by_source = format!("occi.core.source=\"{one}\"");
    assert!(cloud.filter("/storagelink/", &[("x-occi-attribute", &by_source)]).text().contains(&link));
    let by_source = format!("occi.core.source=\"{other}\"");
    assert!(!cloud.filter("/storagelink/", &[("x-occi-attribute", &by_source)]).text().contains(&link));
    cloud.delete(&far).expect(200);
    cloud.get(&link).expect(404);
    assert!(!cloud.get(&one).text().contains(&link));
}

#[test]
fn a_link_stays_where_it_is_if_it_cannot_be_where_it_is_to_be() {
    let cloud = Cloud::new();
    let (compute, network) = (cloud.compute(), cloud.network());
    let kind = format!("Category: networkinterface; scheme=\"{I}\"; class=\"kind\"");
    let ends = format!("X-OCCI-Attribute: occi.core.source=\"{compute}\", occi.core.target=\"{network}\"");
    let link = cloud.create("/networkinterface/", &[&kind, &ends]);
    let before = cloud.get_json(&compute);
    let storage = cloud.storage();
    for (name, value, status) in [
        ("target", "/network/none", 404),
        ("target", storage.as_str(), 400),
        ("target", "no path", 400),
        ("source", "/compute/none", 404),
        ("source", link.as_str(), 400),
    ] {
        let line = format!("X-OCCI-Attribute: occi.core.{name}=\"{value}\"");
        cloud.plain("POST", &link, &[&line]).expect(status);
    }
    assert_eq!(cloud.get_json(&compute), before);
    assert_eq!(cloud.get_json(&link)["target"]["location"], json!(network));
    // The same ends, however they are written, are no change.
    let same =
        format!("X-OCCI-Attribute: occi.core.source=\"http://localhost{compute}\", occi.core.target=\"{network}\"");
    cloud.plain("POST", &link, &[&same]).expect(200);
    assert_eq!(cloud.get_json(&compute), before);
}
