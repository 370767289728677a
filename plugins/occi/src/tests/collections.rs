//! Lists, filters, pages, and the collections of mixins.

use serde_json::json;

use super::*;

const TAG: &str = "blue; scheme=\"http://shop.example/tags#\"; class=\"mixin\"";

fn define(cloud: &Cloud) {
    let line = format!(
        "Category: {TAG}; rel=\"http://unknown.example/#thing\"; location=\"/tags/blue/\"; title=\"Blue, really\""
    );
    cloud.plain("POST", "/-/", &[&line]).expect(200);
}

#[test]
fn an_empty_collection_is_empty_and_an_empty_path_is_nothing() {
    let cloud = Cloud::new();
    assert_eq!(cloud.get("/compute/").expect(200).text(), "");
    assert_eq!(cloud.get("/compute").expect(200).text(), "");
    assert_eq!(cloud.get("/").expect(200).text(), "");
    cloud.get("/nothing/").expect(404);
    assert_eq!(cloud.get_json("/compute/"), json!({"resources": []}));
    assert_eq!(cloud.get_json("/storagelink/"), json!({"links": []}));
    cloud.plain("PUT", "/compute/", &[]).expect(405);
    cloud.plain("PUT", "/-/", &[]).expect(405);
}

#[test]
fn what_is_below_a_path_is_listed_and_deleted() {
    let cloud = Cloud::new();
    for path in ["/shop/a", "/shop/b", "/other/c"] {
        cloud.plain("PUT", path, &[&format!("Category: {COMPUTE}")]).expect(201);
    }
    assert_eq!(cloud.list("/shop/"), ["/shop/a", "/shop/b"]);
    assert_eq!(cloud.list("/").len(), 3);
    assert_eq!(cloud.filter("/shop/", &[("x-occi-attribute", "occi.compute.cores=1")]).expect(200).text(), "");
    cloud.delete("/shop/").expect(200);
    assert_eq!(cloud.list("/"), ["/other/c"]);
    cloud.delete("/shop/").expect(404);
    cloud.delete("/").expect(200);
    assert!(cloud.list("/compute/").is_empty());
}

#[test]
fn every_condition_of_a_filter_has_to_hold() {
    let cloud = Cloud::new();
    let create = |attributes: &str| {
        cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), &format!("X-OCCI-Attribute: {attributes}")])
    };
    let one = create("occi.compute.hostname=\"one\", occi.compute.cores=2, occi.compute.memory=2");
    let two = create("occi.compute.hostname=\"two\", occi.compute.cores=2");
    cloud.network();
    let found = |target: &str, fields: &[(&str, &str)]| -> Vec<String> {
        let answer = cloud.filter(target, fields).expect(200);
        answer.text().lines().map(|line| path(line.strip_prefix("X-OCCI-Location: ").unwrap())).collect()
    };
    let name = ("x-occi-attribute", "occi.compute.hostname=\"one\"");
    let cores = ("x-occi-attribute", "occi.compute.cores=2");
    let compute = ("category", COMPUTE);
    assert_eq!(found("/compute/", &[name]), std::slice::from_ref(&one));
    assert_eq!(found("/", &[cores]), [one.clone(), two.clone()]);
    assert_eq!(found("/", &[cores, name, compute]), std::slice::from_ref(&one));
    assert_eq!(found("/", &[compute]).len(), 2);
    assert_eq!(
        found("/", &[("x-occi-attribute", "occi.compute.memory=2.0, occi.compute.cores=2")]),
        std::slice::from_ref(&one)
    );
    assert_eq!(found("/network/", &[name]), Vec::<String>::new());
    let id = cloud.get_json(&two)["id"].as_str().unwrap().to_owned();
    assert_eq!(found("/", &[("x-occi-attribute", &format!("occi.core.id=\"{id}\""))]), [two]);
    for (bad, status) in [
        (("x-occi-attribute", "occi.compute.cores=\"two\""), 400),
        (("x-occi-attribute", "occi.compute.cores"), 400),
        (("x-occi-attribute", "occi.compute.colour=2"), 404),
        (("category", "none; scheme=\"http://x.example/#\""), 404),
        (("category", "none"), 400),
    ] {
        cloud.filter("/compute/", &[bad]).expect(status);
    }
    cloud.plain("POST", &one, &["X-OCCI-Attribute: occi.compute.hostname=\"three\""]).expect(200);
    assert!(found("/", &[name]).is_empty());
    cloud.delete(&one).expect(200);
    assert_eq!(found("/", &[cores]).len(), 1);
}

#[test]
fn pages_are_in_the_order_of_creation() {
    let cloud = Cloud::new();
    let all: Vec<String> = (0..7).map(|_| cloud.compute()).collect();
    assert_eq!(cloud.list("/compute/"), all);
    assert_eq!(cloud.list("/compute/?page=1&number=3"), all[..3]);
    assert_eq!(cloud.list("/compute/?page=3&number=3"), all[6..]);
    assert!(cloud.list("/compute/?page=4&number=3").is_empty());
    assert_eq!(cloud.list("/?page=2&number=4"), all[4..]);
    for (query, status) in [
        ("page=1", 400),
        ("number=1", 400),
        ("page=0&number=1", 400),
        ("page=x&number=1", 400),
        ("page=1&number=1001", 413),
    ] {
        cloud.get(&format!("/compute/?{query}")).expect(status);
    }
}

#[test]
fn a_mixin_collection_has_the_members_it_is_given() {
    let cloud = Cloud::new();
    define(&cloud);
    let (one, two) = (cloud.compute(), cloud.network());
    let location = |path: &str| format!("X-OCCI-Location: http://localhost{path}");
    cloud.plain("POST", "/tags/blue/", &[&location(&one)]).expect(200);
    assert_eq!(cloud.list("/tags/blue/"), std::slice::from_ref(&one));
    assert!(cloud.get(&one).text().contains(&format!("Category: {TAG}")));
    assert_eq!(cloud.filter("/", &[("category", TAG)]).expect(200).text().lines().count(), 1);
    cloud.plain("PUT", "/tags/blue/", &[&location(&two)]).expect(200);
    assert_eq!(cloud.list("/tags/blue/"), std::slice::from_ref(&two));
    cloud.plain("POST", "/tags/blue/", &[&location(&one), &location("/compute/none")]).expect(404);
    assert_eq!(cloud.list("/tags/blue/"), std::slice::from_ref(&two));
    cloud.plain("DELETE", "/tags/blue/", &[&location(&two)]).expect(200);
    assert!(cloud.list("/tags/blue/").is_empty());
    cloud.plain("POST", "/tags/blue/", &[&location(&one), &location(&two)]).expect(200);
    cloud.delete("/tags/blue/").expect(200);
    assert!(cloud.list("/tags/blue/").is_empty());
    assert_eq!(cloud.list("/").len(), 2);
    cloud.plain("POST", "/mixin/ipnetwork/", &[&location(&one)]).expect(403);
    cloud.json("POST", "/tags/blue/", &json!([format!("http://localhost{one}")])).expect(200);
    cloud
        .request("PUT", "/tags/blue/")
        .header("content-type", "text/uri-list")
        .body(format!("http://localhost{two}\r\n"))
        .send()
        .expect(200);
    assert_eq!(cloud.list("/tags/blue/"), [two]);
}

#[test]
fn associations_vanish_with_the_mixin() {
    let cloud = Cloud::new();
    define(&cloud);
    let paths: Vec<String> = (0..120)
        .map(|_| cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), &format!("Category: {TAG}")]))
        .collect();
    assert_eq!(cloud.list("/tags/blue/").len(), 120);
    cloud.plain("DELETE", "/-/", &[&format!("Category: {TAG}")]).expect(200);
    cloud.get("/tags/blue/").expect(404);
    define(&cloud);
    assert!(cloud.list("/tags/blue/").is_empty());
    assert!(!cloud.get(&paths[119]).text().contains("blue"));
}

#[test]
fn a_collection_of_many_is_deleted() {
    let cloud = Cloud::new();
    let network = cloud.network();
    for _ in 0..30 {
        cloud
            .create("/compute/", &[&format!("Category: {COMPUTE}"), &format!("Link: <{network}>; rel=\"{I}network\"")]);
    }
    cloud.delete("/compute/").expect(200);
    assert_eq!(cloud.list("/"), [network]);
    // The network's, and for each list when it last changed.
    let (lists, left): (Vec<_>, Vec<_>) = cloud.app.host().keys().into_iter().partition(|key| key.contains("/x/"));
    assert_eq!((left.len(), lists.len()), (5, 3), "{left:?}");
}
