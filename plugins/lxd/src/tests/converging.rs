//! From the bag to the trust store and back: sections 1.3 to 1.6 and 3.6.

use plugbay_sdk::Outcome;
use serde_json::{Value, json};

use super::*;
use crate::outside::Clock;
use crate::outside::fake::Mode;
use crate::store::keys;

#[test]
fn nothing_is_published_before_the_node_confirmed_it() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let certificate = lab.maker.pem("c");
    assert_eq!(lab.provider(&relation)["version"], "1.0");
    assert_eq!(lab.trusted(&relation), [("host-a".to_owned(), vec![])]);
    lab.write(&relation, 0, &[&certificate]).expect(200);
    assert_eq!(lab.trusted(&relation), [("host-a".to_owned(), vec![])]);
    lab.run();
    assert_eq!(lab.trusted(&relation), [("host-a".to_owned(), vec![fingerprint(&certificate)])]);
    assert_eq!(lab.registered(&relation).concat(), certificate);
    let held = trust.borrow().get(&fingerprint(&certificate)).cloned().unwrap();
    assert!(held.name.starts_with("juju-relation-app-"), "{}", held.name);
    assert_eq!(held.der, der(&certificate));
}

#[test]
fn the_providers_bag_holds_strings_only() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    let bag = lab.provider(&relation);
    assert!(bag.as_object().unwrap().values().all(Value::is_string));
    let nodes: Value = serde_json::from_str(bag["nodes"].as_str().unwrap()).unwrap();
    assert_eq!(nodes, json!([{"endpoint": "https://a.example:8443", "name": "host-a", "trusted_certs_fp": []}]));
}

#[test]
fn one_certificate_in_several_spellings_is_registered_once_under_its_first() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let plain = lab.maker.pem("c");
    let other = format!("Certificate:\n{}", plain.replace('\n', "\r\n"));
    let chain = format!("{plain}{}", lab.maker.pem("issuer"));
    lab.write(&relation, 0, &[&other, &plain, &chain]).expect(200);
    lab.run();
    assert_eq!(trust.borrow().len(), 2);
    assert_eq!(lab.registered(&relation), [other]);
    assert_eq!(lab.get(&format!("/v1/relations/{relation}/certificates")).as_array().unwrap().len(), 1);
}

#[test]
fn departing_takes_back_what_no_other_unit_of_any_relation_wants() {
    let (lab, trust) = Lab::with_node();
    let (one, two) = (lab.relation("one"), lab.relation("two"));
    let (shared, single) = (lab.maker.pem("shared"), lab.maker.pem("single"));
    lab.write(&one, 0, &[&shared, &single]).expect(200);
    lab.write(&two, 0, &[&shared]).expect(200);
    lab.run();
    assert_eq!(trust.borrow().len(), 3);
    lab.as_operator("DELETE", &format!("/v1/relations/{one}/units/0")).send().expect(204);
    assert_eq!(lab.trusted(&one), [("host-a".to_owned(), vec![])]);
    lab.run();
    assert!(!trust.borrow().contains_key(&fingerprint(&single)));
    assert!(trust.borrow().contains_key(&fingerprint(&shared)));
    lab.as_operator("DELETE", &format!("/v1/relations/{two}")).send().expect(202);
    lab.run();
    assert_eq!(trust.borrow().len(), 1);
    assert_eq!(lab.get("/v1/certificates"), json!([]));
    lab.as_operator("GET", &format!("/v1/relations/{two}")).send().expect(410);
    lab.as_operator("DELETE", &format!("/v1/relations/{one}")).send().expect(204);
}

#[test]
fn a_relation_that_is_torn_down_takes_no_writes_and_says_when_nothing_is_owed_any_more() {
    let (lab, _) = Lab::with_node();
    let (relation, certificate) = lab.wanted();
    lab.world.mode(&endpoint("a"), Mode::Down);
    lab.later();
    let target = format!("/v1/relations/{relation}");
    let (unit, data) = (format!("{target}/units/0"), format!("{target}/units/0/data"));
    lab.as_operator("DELETE", &target).send().expect(202);
    for (method, target, status) in [
        ("PUT", &data, 409),
        ("PUT", &unit, 409),
        ("DELETE", &unit, 409),
        ("DELETE", &target, 202),
        ("GET", &target, 410),
        ("GET", &data, 410),
    ] {
        let request = lab.as_operator(method, target);
        let request = if method == "PUT" { request.json(&json!({})) } else { request };
        request.send().expect(status);
    }
    lab.later();
    assert_eq!(lab.state(&certificate, "a")["state"], "removing");
    // What is owed is not forgotten while the relation is.
    lab.world.pass(25 * 3600);
    lab.app.run_periodic("sweep");
    lab.as_operator("DELETE", &target).send().expect(202);
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.later();
    lab.as_operator("DELETE", &target).send().expect(410);
    lab.as_operator("PUT", &data).json(&json!({})).send().expect(410);
    lab.app.run_periodic("sweep");
    lab.as_operator("DELETE", &target).send().expect(404);
}

#[test]
fn what_nobody_wants_any_more_is_being_removed_from_that_moment_on() {
    let (lab, _) = Lab::with_node();
    let (relation, certificate) = lab.wanted();
    assert_eq!(lab.state(&certificate, "a")["state"], "registered");
    lab.write(&relation, 0, &[]).expect(200);
    assert_eq!(lab.state(&certificate, "a")["state"], "removing");
}

#[test]
fn a_second_unit_that_joins_resets_nothing() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    let (first, second) = (lab.maker.pem("first"), lab.maker.pem("second"));
    lab.write(&relation, 0, &[&first]).expect(200);
    lab.run();
    lab.as_operator("PUT", &format!("/v1/relations/{relation}/units/1")).send().expect(201);
    lab.as_operator("PUT", &format!("/v1/relations/{relation}/units/0")).send().expect(200);
    assert_eq!(lab.trusted(&relation)[0].1, [fingerprint(&first)]);
    lab.write(&relation, 1, &[&second]).expect(200);
    lab.run();
    assert_eq!(lab.registered(&relation), [first, second]);
}

#[test]
fn keys_of_every_kind_are_taken_and_weak_ones_are_said_to_be_weak() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let good = [RSA2048, P521, V1];
    lab.write(&relation, 0, &[RSA2048, RSA1024, P521, V1]).expect(200);
    lab.run();
    assert!(good.iter().all(|certificate| trust.borrow().contains_key(&fingerprint(certificate))));
    let state = lab.state(RSA1024, "a");
    assert_eq!((&state["state"], &state["error"]["code"]), (&json!("failed"), &json!("key_too_weak")));
    let view = lab.get(&format!("/v1/certificates/{}", fingerprint(P521)));
    assert_eq!(view["key"], json!({"kind": "EC", "bits": 521}));
    assert_eq!(
        lab.get(&format!("/v1/certificates/{}", fingerprint(RSA1024)))["key"],
        json!({"kind": "RSA", "bits": 1024})
    );
}

#[test]
fn a_certificate_that_ran_out_does_not_keep_the_new_one_waiting() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let (old, new) = (lab.maker.between("c", 2020, 2021), lab.maker.pem("c"));
    lab.write(&relation, 0, &[&old, &new]).expect(200);
    lab.run();
    assert_eq!(lab.trusted(&relation)[0].1, [fingerprint(&new)]);
    assert_eq!(lab.state(&old, "a")["error"]["code"], "expired");
    lab.world.log(&endpoint("a"));
    lab.later();
    assert!(!lab.world.log(&endpoint("a")).iter().any(|line| line.starts_with("POST")), "no retry");
    assert_eq!(trust.borrow().len(), 2);
}

#[test]
fn a_certificate_is_tried_again_when_it_becomes_valid() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let future = lab.maker.between("c", 2027, 2030);
    lab.write(&relation, 0, &[&future]).expect(200);
    lab.run();
    assert_eq!(lab.state(&future, "a")["error"]["code"], "not_yet_valid");
    lab.world.pass(60 * 24 * 3600);
    lab.run();
    assert!(trust.borrow().contains_key(&fingerprint(&future)));
    assert_eq!(lab.registered(&relation), [future]);
}

#[test]
fn a_certificate_that_runs_out_leaves_the_bag_at_once_and_the_store_soon() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let short = lab.maker.between("c", 2020, 2027);
    lab.write(&relation, 0, &[&short]).expect(200);
    lab.run();
    assert_eq!(lab.registered(&relation).len(), 1);
    lab.world.pass(60 * 24 * 3600);
    assert_eq!(lab.registered(&relation).len(), 0);
    assert_eq!(lab.trusted(&relation)[0].1.len(), 0);
    lab.run();
    assert!(!trust.borrow().contains_key(&fingerprint(&short)));
    assert_eq!(lab.state(&short, "a")["error"]["code"], "expired");
}

#[test]
fn the_worker_comes_back_when_a_certificate_runs_out_or_becomes_valid() {
    for (from, to, seconds, registered) in [(2020, 2027, 11, [1, 0]), (2027, 2028, 10, [0, 1])] {
        let (lab, _) = Lab::with_node();
        let relation = lab.relation("app");
        // Ten seconds before the end of 2026.
        lab.world.pass(1_798_761_590 - lab.world.now_ms() / 1_000);
        lab.write(&relation, 0, &[&lab.maker.between("c", from, to)]).expect(200);
        let outcomes = lab.app.run_jobs();
        let Outcome::Park((_, wait)) = outcomes[0].1 else { panic!("{outcomes:?}") };
        assert_eq!(i64::from(wait), seconds * 1_000);
        assert_eq!(lab.registered(&relation).len(), registered[0]);
        let seen = lab.host().version(&keys::published(&relation));
        lab.world.pass(seconds);
        lab.app.run_jobs();
        assert_ne!(lab.host().version(&keys::published(&relation)), seen, "who waits is woken");
        assert_eq!(lab.registered(&relation).len(), registered[1]);
    }
}

#[test]
fn what_an_administrator_deleted_is_registered_again() {
    let (lab, trust) = Lab::with_node();
    let (_, certificate) = lab.wanted();
    trust.borrow_mut().remove(&fingerprint(&certificate));
    lab.later();
    assert!(trust.borrow().contains_key(&fingerprint(&certificate)));
    assert_eq!(lab.state(&certificate, "a")["owned"], true);
}

#[test]
fn a_node_without_changes_is_only_asked_how_it_is() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    lab.write(&relation, 0, &[&lab.maker.pem("c")]).expect(200);
    lab.run();
    lab.later();
    lab.world.log(&endpoint("a"));
    lab.world.pass(31);
    lab.run();
    assert_eq!(lab.world.log(&endpoint("a")), ["GET /1.0", "GET /1.0/certificates?recursion=1"]);
}

#[test]
fn what_this_version_of_the_server_refuses_is_tried_again_with_the_next() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let certificate = lab.maker.pem("c");
    lab.world.mode(&endpoint("a"), Mode::RefusesChanges(400, "Something about the certificate"));
    lab.write(&relation, 0, &[&certificate]).expect(200);
    lab.run();
    let state = lab.state(&certificate, "a");
    assert_eq!(
        state["error"],
        json!({"code": "refused", "message": "Something about the certificate", "http_status": 400})
    );
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.later();
    assert!(!trust.borrow().contains_key(&fingerprint(&certificate)));
    lab.world.with(&endpoint("a"), |server| server.version = "5.0.3".to_owned());
    lab.later();
    assert!(trust.borrow().contains_key(&fingerprint(&certificate)));
}

#[test]
fn a_node_with_projects_restricts_what_it_gets() {
    let lab = Lab::new();
    let trust = lab.server("a", 1);
    let mut body = lab.node_body("a", 1);
    body["projects"] = json!(["demo"]);
    lab.as_operator("PUT", "/v1/nodes/a").json(&body).send().expect(201);
    let (_, certificate) = lab.wanted();
    let held = trust.borrow().get(&fingerprint(&certificate)).cloned().unwrap();
    assert!(held.restricted && held.projects == ["demo"]);
}
