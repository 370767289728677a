//! Members of a cluster share one trust store, and so one ledger: section 1.7.

use serde_json::json;

use super::*;
use crate::outside::fake::Mode;

fn cluster() -> (Lab, Trust) {
    let lab = Lab::new();
    let trust = lab.server("a", 1);
    lab.world.with(&endpoint("a"), |server| server.clustered = true);
    lab.world.join(&endpoint("b"), "host-b", [1; 32], &trust, true);
    lab.node("a", 1).expect(201);
    lab.node("b", 1).expect(201);
    lab.run();
    (lab, trust)
}

#[test]
fn one_post_settles_all_members() {
    let (lab, _) = cluster();
    let (relation, certificate) = lab.wanted();
    let trusted = vec![fingerprint(&certificate)];
    assert_eq!(lab.trusted(&relation), [("host-a".to_owned(), trusted.clone()), ("host-b".to_owned(), trusted)]);
    let posts =
        ["a", "b"].map(|name| lab.world.log(&endpoint(name)).iter().filter(|line| line.starts_with("POST")).count());
    assert_eq!(posts.iter().sum::<usize>(), 1);
}

#[test]
fn another_member_deletes_what_the_one_that_is_down_added() {
    let (lab, trust) = cluster();
    let (relation, certificate) = lab.wanted();
    lab.world.mode(&endpoint("a"), Mode::Down);
    lab.later();
    lab.as_operator("DELETE", &format!("/v1/relations/{relation}")).send().expect(202);
    lab.run();
    assert!(!trust.borrow().contains_key(&fingerprint(&certificate)));
}

#[test]
fn a_member_that_is_away_is_given_nothing_it_did_not_confirm() {
    let (lab, _) = cluster();
    let relation = lab.relation("app");
    let (before, after) = (lab.maker.pem("before"), lab.maker.pem("after"));
    lab.write(&relation, 0, &[&before]).expect(200);
    lab.run();
    lab.world.pass(1);
    lab.world.mode(&endpoint("b"), Mode::Down);
    lab.later();
    lab.write(&relation, 0, &[&before, &after]).expect(200);
    lab.run();
    let trusted = lab.trusted(&relation);
    assert_eq!(trusted[0].1.len(), 2);
    assert_eq!(trusted[1].1, [fingerprint(&before)]);
    assert_eq!(lab.registered(&relation), [before]);
}

#[test]
fn a_member_that_missed_a_change_is_brought_up_before_it_is_believed() {
    let (lab, trust) = cluster();
    let relation = lab.relation("app");
    let (gone, new) = (lab.maker.pem("gone"), lab.maker.pem("new"));
    lab.write(&relation, 0, &[&gone]).expect(200);
    lab.run();
    lab.world.mode(&endpoint("b"), Mode::Silent);
    lab.later();
    lab.write(&relation, 0, &[&new]).expect(200);
    lab.later();
    assert!(!trust.borrow().contains_key(&fingerprint(&gone)));
    let missed = || lab.world.with(&endpoint("b"), |server| server.missed.clone());
    assert_eq!(missed().map(|known| known.contains(&fingerprint(&gone))), Some(true), "the fake is as LXD is");
    lab.world.mode(&endpoint("b"), Mode::Up);
    lab.later();
    lab.later();
    assert_eq!(missed(), None);
    assert_eq!(lab.get("/v1/nodes/b")["state"], "online");
    let trusted = vec![fingerprint(&new)];
    assert_eq!(lab.trusted(&relation), [("host-a".to_owned(), trusted.clone()), ("host-b".to_owned(), trusted)]);
    let own = trust.borrow()[&fingerprint(&lab.own)].clone();
    assert_eq!((own.name.as_str(), own.restricted), ("us", false), "our own entry is as it was");
}

#[test]
fn removing_one_member_leaves_the_store_to_the_other() {
    let (lab, trust) = cluster();
    let (relation, certificate) = lab.wanted();
    lab.as_operator("DELETE", "/v1/nodes/a").send().expect(204);
    lab.run();
    assert!(trust.borrow().contains_key(&fingerprint(&certificate)));
    assert_eq!(lab.trusted(&relation), [("host-b".to_owned(), vec![fingerprint(&certificate)])]);
}

#[test]
fn a_member_that_does_not_trust_its_credential_says_so_and_keeps_nothing_from_the_others() {
    let (lab, _) = cluster();
    let stranger = lab.maker.pem("stranger");
    // By name it comes before the others, and is asked first after a restart in which all were away.
    lab.world.join(&endpoint("0"), "host-0", [1; 32], &Trust::default(), true);
    let mut body = lab.node_body("0", 1);
    body["client_certificate"] = stranger.into();
    lab.as_operator("PUT", "/v1/nodes/0").json(&body).send().expect(201);
    lab.world.mode(&endpoint("a"), Mode::Down);
    lab.world.mode(&endpoint("b"), Mode::Down);
    lab.later();
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.world.mode(&endpoint("b"), Mode::Up);
    lab.later();
    let states = ["0", "a", "b"].map(|name| lab.get(&format!("/v1/nodes/{name}"))["state"].clone());
    assert_eq!(states, ["untrusted", "online", "online"]);
}

#[test]
fn a_stranger_with_the_same_certificate_is_no_member() {
    let (lab, _) = Lab::with_node();
    lab.server("b", 1);
    lab.node("b", 1).expect(201);
    lab.run();
    let view = lab.get("/v1/nodes/b");
    assert_eq!(view["state"], "offline");
    assert!(view["error"].as_str().unwrap().contains("no member of its cluster"), "{view}");
    assert_eq!(lab.trusted(&lab.relation("app")), [("host-a".to_owned(), vec![])]);
    assert_eq!(view["clustered"], json!(false));
}
