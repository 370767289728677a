//! The query interface.

use serde_json::json;

use super::*;

fn mixin(term: &str, rest: &str) -> String {
    format!("Category: {term}; scheme=\"http://shop.example/tags#\"; class=\"mixin\"{rest}")
}

#[test]
fn core_comes_first_and_all_is_there() {
    let cloud = Cloud::new();
    let answer = cloud.get("/-/").expect(200);
    let lines: Vec<&str> = answer.text().lines().collect();
    assert!(lines[0].starts_with("Category: entity; scheme=\"http://schemas.ogf.org/occi/core#\"; class=\"kind\""));
    assert!(lines[1].starts_with("Category: resource; scheme=\"http://schemas.ogf.org/occi/core#\"; class=\"kind\""));
    assert!(!lines[0].contains("location="));
    for wanted in [
        "rel=\"http://schemas.ogf.org/occi/core#resource\"; location=\"/compute/\"; attributes=\"occi.compute.architecture",
        "occi.compute.state{immutable}",
        "occi.storage.size{required}",
        "term",
        "start; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"; class=\"action\"",
        "snapshot; scheme=",
        "ssh_key; scheme=\"http://schemas.ogf.org/occi/infrastructure/credentials#\"",
        "small; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#\"",
        "embedded; scheme=\"http://schemas.plugbay.org/occi/backend#\"; class=\"mixin\"; title=\"Embedded backend",
    ] {
        assert!(answer.text().contains(wanted) || wanted == "term", "{wanted}");
    }
    assert_eq!(cloud.get("/.well-known/org/ogf/occi/-/").text(), answer.text());
    assert_eq!(cloud.get("/-").text(), answer.text());
    assert!(answer.header("server").unwrap().contains("OCCI/1.1 OCCI/1.2"));
}

#[test]
fn a_filter_shows_exactly_what_it_names() {
    let cloud = Cloud::new();
    let two = format!("{COMPUTE}, {NETWORK}");
    let answer = cloud.filter("/-/", &[("category", &two)]).expect(200);
    assert_eq!(answer.text().lines().count(), 2);
    cloud.filter("/-/", &[("category", "x; scheme=\"http://x.example/#\"")]).expect(404);
    cloud.filter("/-/", &[("category", "x")]).expect(400);
}

#[test]
fn json_has_the_members_of_the_schema_only() {
    let cloud = Cloud::new();
    let all = cloud.get_json("/-/");
    let compute = all["kinds"].as_array().unwrap().iter().find(|kind| kind["term"] == "compute").unwrap();
    assert_eq!(compute["parent"], json!("http://schemas.ogf.org/occi/core#resource"));
    assert_eq!(compute["location"], json!("/compute/"));
    assert_eq!(compute["attributes"]["occi.compute.cores"]["type"], json!("number"));
    assert_eq!(compute["attributes"]["occi.compute.cores"]["mutable"], json!(true));
    let members = ["term", "scheme", "title", "attributes", "parent", "actions", "location", "depends", "applies"];
    for list in ["kinds", "mixins", "actions"] {
        for category in all[list].as_array().unwrap() {
            assert!(
                category.as_object().unwrap().keys().all(|member| members.contains(&member.as_str())),
                "{category}"
            );
        }
    }
}

#[test]
fn mixins_of_clients_come_and_go() {
    let cloud = Cloud::new();
    let located = mixin("red", "; location=\"/tags/red/\"");
    cloud.plain("POST", "/-/", &[&located]).expect(200);
    assert!(
        cloud
            .get("/-/")
            .text()
            .contains("red; scheme=\"http://shop.example/tags#\"; class=\"mixin\"; location=\"/tags/red/\"")
    );
    for (line, status) in [
        (located.as_str(), 409),
        (&mixin("green", "; location=\"/tags/red/\""), 409),
        (&mixin("green", "; location=\"/compute/\""), 409),
        (&mixin("green", ""), 400),
        (&mixin("green", "; location=\"/green\""), 400),
        (&mixin("green", "; location=\"http://elsewhere.example/green/\""), 400),
        ("Category: green; scheme=\"http://schemas.ogf.org/occi/x#\"; class=\"mixin\"; location=\"/g/\"", 403),
        ("Category: green; scheme=\"http://shop.example/#\"; class=\"kind\"; location=\"/g/\"", 400),
        ("", 400),
    ] {
        let answer = cloud.plain("POST", "/-/", &[line]);
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
    }
    // The same term under another scheme is another mixin.
    cloud
        .plain(
            "POST",
            "/-/",
            &["Category: red; scheme=\"http://other.example/#\"; class=\"mixin\"; location=\"/other/red/\""],
        )
        .expect(200);
    cloud.plain("DELETE", "/-/", &[&format!("Category: {COMPUTE}")]).expect(403);
    cloud.plain("DELETE", "/-/", &[&mixin("red", "")]).expect(200);
    cloud.plain("DELETE", "/-/", &[&mixin("red", "")]).expect(404);
    assert!(cloud.get("/-/").text().contains("http://other.example/#"));
    cloud.json("POST", "/-/", &json!({"mixins": [{"term": "a", "scheme": "http://j.example/#", "location": "/j/a/"}, {"term": "b", "scheme": "http://j.example/#", "location": "/j/b/"}]})).expect(200);
    cloud.json("DELETE", "/-/", &json!({"term": "a", "scheme": "http://j.example/#"})).expect(200);
}
