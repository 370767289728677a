//! Nodes that are down, silent, sick, or not who they were: sections 1.7 and 3.6.

use plugbay_sdk::Outcome;
use serde_json::json;

use super::*;
use crate::outside::fake::{Held, Mode};
use crate::store::keys;
use crate::store::records::Ledger;

fn node_state(lab: &Lab, name: &str) -> String {
    lab.get(&format!("/v1/nodes/{name}"))["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_removal_owed_to_a_node_that_is_down_survives_a_restart_and_is_paid() {
    let (lab, trust) = Lab::with_node();
    let (relation, certificate) = lab.wanted();
    lab.world.mode(&endpoint("a"), Mode::Down);
    lab.as_operator("DELETE", &format!("/v1/relations/{relation}")).send().expect(202);
    lab.later();
    assert_eq!(node_state(&lab, "a"), "offline");
    assert_eq!(lab.get("/v1/certificates").as_array().unwrap().len(), 1, "the debt is shown");
    let app = lab.restart();
    app.run_start();
    lab.world.pass(3600);
    lab.world.mode(&endpoint("a"), Mode::Up);
    for _ in 0..3 {
        app.run_jobs();
    }
    assert!(!trust.borrow().contains_key(&fingerprint(&certificate)));
    assert_eq!(lab.get("/v1/certificates"), json!([]));
}

#[test]
fn a_changed_server_certificate_stops_everything_before_a_byte_is_sent() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    lab.world.log(&endpoint("a"));
    lab.world.with(&endpoint("a"), |server| server.shows = [9; 32]);
    lab.write(&relation, 0, &[&lab.maker.pem("c")]).expect(200);
    lab.later();
    assert_eq!(node_state(&lab, "a"), "pin-mismatch");
    assert_eq!(lab.world.log(&endpoint("a")), Vec::<String>::new());
    assert_eq!(trust.borrow().len(), 1);
    assert_eq!(lab.trusted(&relation), [], "it is not the node that was meant");
}

#[test]
fn a_silent_node_is_offline_and_the_others_go_on() {
    let (lab, _) = Lab::with_node();
    let other = lab.server("b", 2);
    lab.node("b", 2).expect(201);
    lab.run();
    lab.world.mode(&endpoint("a"), Mode::Silent);
    let (relation, certificate) = lab.wanted();
    assert!(other.borrow().contains_key(&fingerprint(&certificate)));
    assert_eq!(node_state(&lab, "a"), "offline");
    let expected = [("host-a".to_owned(), vec![]), ("host-b".to_owned(), vec![fingerprint(&certificate)])];
    assert_eq!(lab.trusted(&relation), expected);
    assert_eq!(lab.registered(&relation).len(), 0, "not every published node has it");
}

#[test]
fn a_node_that_is_away_stays_published_for_the_grace_time_only() {
    let (lab, _) = Lab::with_node();
    let (relation, _) = lab.wanted();
    let etag = |lab: &Lab| {
        let path = format!("/v1/relations/{relation}/provider/data");
        lab.as_operator("GET", &path).send().expect(200).header("etag").unwrap().to_owned()
    };
    let before = etag(&lab);
    lab.world.mode(&endpoint("a"), Mode::Down);
    lab.later();
    assert_eq!(etag(&lab), before, "a short outage wakes nobody");
    lab.world.pass(121);
    assert_eq!(lab.trusted(&relation), []);
    let seen = lab.host().version(&format!("pub/{relation}"));
    lab.run();
    assert_ne!(lab.host().version(&format!("pub/{relation}")), seen, "who waits is woken");
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.later();
    assert_eq!(etag(&lab), before);
}

#[test]
fn a_node_that_answers_500_for_a_minute_gets_everything_afterwards() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    lab.world.mode(&endpoint("a"), Mode::RefusesChanges(500, "database is locked"));
    let all: Vec<String> = (0..10).map(|number| lab.maker.pem(&format!("c{number}"))).collect();
    let texts: Vec<&str> = all.iter().map(String::as_str).collect();
    lab.write(&relation, 0, &texts).expect(200);
    lab.run();
    let view = lab.get(&format!("/v1/relations/{relation}/certificates"));
    let message = json!("database is locked");
    assert!(view.as_array().unwrap().iter().any(|view| view["nodes"][0]["error"]["message"] == message));
    for _ in 0..6 {
        lab.world.pass(10);
        lab.run();
    }
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.later();
    lab.later();
    assert_eq!(trust.borrow().len(), 11);
    assert_eq!(lab.registered(&relation).len(), 10);
}

#[test]
fn one_certificate_at_which_the_server_fails_keeps_no_other_back() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let mut body = lab.node_body("a", 1);
    body["projects"] = json!(["missing"]);
    lab.as_operator("PUT", "/v1/nodes/a").json(&body).send().expect(200);
    let certificate = lab.maker.pem("c");
    lab.write(&relation, 0, &[&certificate]).expect(200);
    lab.run();
    let state = lab.state(&certificate, "a");
    assert_eq!((&state["state"], &state["error"]["code"]), (&json!("pending"), &json!("project_not_found")));
    body["projects"] = json!([]);
    lab.as_operator("PUT", "/v1/nodes/a").json(&body).send().expect(200);
    lab.later();
    assert!(trust.borrow().contains_key(&fingerprint(&certificate)));
}

#[test]
fn an_answer_that_never_came_is_settled_without_a_second_entry() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    let certificate = lab.maker.pem("c");
    lab.world.mode(&endpoint("a"), Mode::Deaf);
    lab.write(&relation, 0, &[&certificate]).expect(200);
    lab.app.run_jobs();
    assert_eq!(lab.registered(&relation).len(), 0);
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.later();
    assert_eq!(lab.state(&certificate, "a")["owned"], true);
    assert_eq!(lab.registered(&relation).len(), 1);
}

#[test]
fn a_post_that_comes_through_when_it_is_wanted_no_more_is_taken_back() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let certificate = lab.maker.pem("c");
    lab.world.mode(&endpoint("a"), Mode::Silent);
    lab.write(&relation, 0, &[&certificate]).expect(200);
    lab.app.run_jobs();
    let ledger = lab.host().get(&keys::ledger(&hex::encode([1; 32]), &fingerprint(&certificate))).unwrap();
    let name = serde_json::from_slice::<Ledger>(&ledger).unwrap().intent.unwrap();
    lab.write(&relation, 0, &[]).expect(200);
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.world.pass(1);
    lab.run();
    assert_eq!(node_state(&lab, "a"), "online");
    assert_eq!(trust.borrow().len(), 1);
    assert_eq!(lab.get("/v1/certificates").as_array().unwrap().len(), 1, "it may come yet");
    let late = Held { name, kind: "client".into(), restricted: false, projects: vec![], der: der(&certificate) };
    trust.borrow_mut().insert(fingerprint(&certificate), late);
    lab.world.pass(6);
    lab.run();
    assert_eq!(trust.borrow().len(), 1);
    lab.later();
    assert_eq!(lab.get("/v1/certificates"), json!([]));
}

#[test]
fn a_node_that_does_not_trust_us_is_untrusted_and_asked_slowly() {
    let (lab, trust) = Lab::with_node();
    trust.borrow_mut().clear();
    lab.later();
    assert_eq!(node_state(&lab, "a"), "untrusted");
    let outcomes = lab.app.run_jobs();
    assert!(matches!(&outcomes[0].1, Outcome::Park((_, wait)) if *wait > 30_000), "{outcomes:?}");
}

#[test]
fn a_node_that_lets_us_read_only_is_untrusted() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    lab.world.mode(&endpoint("a"), Mode::RefusesChanges(403, "not authorized"));
    lab.write(&relation, 0, &[&lab.maker.pem("c")]).expect(200);
    lab.run();
    assert_eq!(node_state(&lab, "a"), "untrusted");
}

#[test]
fn a_node_that_fails_at_everything_is_offline_with_its_own_words() {
    let (lab, _) = Lab::with_node();
    lab.world.mode(&endpoint("a"), Mode::Errors(503, "LXD daemon setup in progress"));
    lab.later();
    let view = lab.get("/v1/nodes/a");
    assert_eq!((&view["state"], &view["error"]), (&json!("offline"), &json!("LXD daemon setup in progress")));
}

#[test]
fn waits_grow_while_a_node_is_down() {
    let (lab, _) = Lab::with_node();
    lab.world.mode(&endpoint("a"), Mode::Down);
    let mut waits = Vec::new();
    for _ in 0..8 {
        lab.world.pass(61);
        let outcomes = lab.app.run_jobs();
        let Outcome::Park((_, wait)) = outcomes[0].1 else { panic!("{outcomes:?}") };
        waits.push(wait);
    }
    assert!(waits[0] <= 1_000 && waits[7] >= 29_000 && waits[7] <= 60_000, "{waits:?}");
}
