//! Requests that meet.

use plugbay_sdk::kv;

use super::*;

fn link(network: &str) -> String {
    format!("Link: <{network}>; rel=\"{I}network\"")
}

#[test]
fn a_link_to_what_goes_meanwhile_is_not_made() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let host = cloud.app.host();
    let key = host.keys().into_iter().find(|key| key.contains("/e/network/")).unwrap();
    host.before_next_commit(move |host| host.delete(&key));
    cloud.plain("POST", "/compute/", &[&format!("Category: {COMPUTE}"), &link(&network)]).expect(404);
    assert!(cloud.list("/compute/").is_empty() && cloud.list("/networkinterface/").is_empty());
}

#[test]
fn a_lost_race_is_run_again_and_creates_once() {
    let cloud = Cloud::new();
    cloud.app.host().fail_next_commit(kv::Error::Conflict(0));
    cloud.compute();
    assert_eq!(cloud.list("/compute/").len(), 1);
}

#[test]
fn postings_without_a_record_mislead_nobody() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    let host = cloud.app.host();
    let record = host.keys().into_iter().find(|key| key.contains("/e/compute/")).unwrap();
    host.delete(&record);
    assert!(cloud.list("/compute/").is_empty() && cloud.list("/").is_empty());
    cloud.get(&path).expect(404);
    // Made again at the same path, it is listed once.
    cloud.plain("PUT", &path, &[&format!("Category: {COMPUTE}")]).expect(201);
    assert_eq!(cloud.list("/compute/"), [path]);
}

#[test]
fn a_quota_that_is_used_up_is_said_and_changes_nothing() {
    let cloud = Cloud::new();
    cloud.app.host().fail_next_commit(kv::Error::QuotaExceeded);
    cloud.plain("POST", "/compute/", &[&format!("Category: {COMPUTE}")]).expect(507);
    assert!(cloud.list("/").is_empty());
}

#[test]
fn an_object_whose_name_is_taken_meanwhile_is_a_conflict() {
    let cloud = Cloud::new();
    let put = |name: &str| cloud.request("PUT", name).surface("cdmi").body("x");
    put("/first").send().expect(201);
    let host = cloud.app.host();
    let name = host.keys().into_iter().find(|key| key.ends_with("/first")).unwrap().replace("first", "second");
    let value = host.get(&name.replace("second", "first")).unwrap();
    host.before_next_commit(move |host| host.put(&name, value));
    put("/second").send().expect(409);
}
