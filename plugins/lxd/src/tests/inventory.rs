//! Nodes: section 3.1.

use serde_json::json;

use super::*;
use crate::outside::fake::Mode;

#[test]
fn a_node_is_described_while_it_is_down_and_its_key_is_never_told() {
    let lab = Lab::new();
    lab.server("a", 1);
    lab.world.mode(&endpoint("a"), Mode::Down);
    let made = lab.node("a", 1).expect(201);
    assert_eq!(made.json::<Value>()["state"], "unknown");
    lab.run();
    assert_eq!(lab.get("/v1/nodes/a")["state"], "offline");
    assert!(!lab.get("/v1/nodes").to_string().contains("AAAA"));
    let host = lab.host();
    assert!(host.keys().iter().all(|key| !String::from_utf8_lossy(&host.get(key).unwrap()).contains("PRIVATE KEY")));
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.later();
    let view = lab.get("/v1/nodes/a");
    assert_eq!(
        (&view["state"], &view["server_name"], &view["server_version"]),
        (&json!("online"), &json!("host-a"), &json!("5.0.2"))
    );
}

#[test]
fn what_is_wrong_with_a_node_is_said_and_quotes_no_secret() {
    let lab = Lab::new();
    for (field, value) in [
        ("endpoint", json!("http://a:8443")),
        ("endpoint", json!("https://a:8443/path")),
        ("server_fingerprint", json!("12")),
        ("server_fingerprint", json!(null)),
        ("client_certificate", json!("x")),
        ("client_key", json!("not a key, SECRET")),
        ("enabled", json!("SECRET")),
        ("unknown", json!("SECRET")),
    ] {
        let mut body = lab.node_body("a", 1);
        body[field] = value;
        let answer = lab.as_operator("PUT", "/v1/nodes/a").json(&body).send().expect(422);
        assert!(!answer.text().contains("SECRET") && !answer.text().contains("AAAA"), "{}", answer.text());
    }
    lab.as_operator("PUT", "/v1/nodes/a%20b").json(&lab.node_body("a", 1)).send().expect(422);
    assert!(lab.world.secrets.borrow().is_empty());
}

#[test]
fn a_name_that_stands_for_another_store_is_a_conflict() {
    let (lab, _) = Lab::with_node();
    lab.node("a", 2).expect(409);
    lab.node("a", 1).expect(200);
    assert_eq!(lab.world.secrets.borrow().len(), 1, "the old credential went");
}

#[test]
fn a_node_that_goes_loses_our_certificates_first() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    lab.write(&relation, 0, &[&lab.maker.pem("c")]).expect(200);
    lab.run();
    lab.world.mode(&endpoint("a"), Mode::Down);
    lab.as_operator("DELETE", "/v1/nodes/a").send().expect(202);
    assert_eq!(lab.trusted(&relation), []);
    lab.node("a", 1).expect(409);
    lab.later();
    assert_eq!(lab.get("/v1/nodes/a")["deleting"], true);
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.later();
    assert_eq!(trust.borrow().len(), 1);
    lab.as_operator("GET", "/v1/nodes/a").send().expect(404);
    assert!(lab.world.secrets.borrow().is_empty());
    assert!(lab.host().jobs().is_empty(), "its worker ended");
}

#[test]
fn a_node_that_owes_nothing_goes_at_once_and_a_lost_one_by_force() {
    let (lab, _) = Lab::with_node();
    lab.as_operator("DELETE", "/v1/nodes/a").send().expect(204);
    lab.as_operator("GET", "/v1/nodes/a").send().expect(404);
    lab.node("a", 1).expect(201);
    let relation = lab.relation("app");
    lab.write(&relation, 0, &[&lab.maker.pem("c")]).expect(200);
    lab.later();
    lab.world.mode(&endpoint("a"), Mode::Down);
    lab.as_operator("DELETE", "/v1/nodes/a").send().expect(202);
    lab.as_operator("DELETE", "/v1/nodes/a?force=true").send().expect(204);
}

#[test]
fn a_node_that_came_later_gets_what_is_wanted_already() {
    let (lab, _) = Lab::with_node();
    let (relation, certificate) = lab.wanted();
    let late = lab.server("b", 2);
    lab.node("b", 2).expect(201);
    lab.run();
    assert!(late.borrow().contains_key(&fingerprint(&certificate)));
    assert_eq!(lab.registered(&relation), [certificate]);
}

#[test]
fn a_disabled_node_is_neither_asked_nor_published() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    let patch = |body: &str| {
        lab.as_operator("PATCH", "/v1/nodes/a").header("content-type", "application/merge-patch+json").body(body).send()
    };
    assert_eq!(patch(r#"{"enabled": false}"#).expect(200).json::<Value>()["state"], "disabled");
    lab.world.log(&endpoint("a"));
    lab.later();
    assert_eq!(lab.world.log(&endpoint("a")), Vec::<String>::new());
    assert_eq!(lab.trusted(&relation), []);
    patch(r#"{"enabled": true}"#).expect(200);
    lab.run();
    assert_eq!(lab.trusted(&relation), [("host-a".to_owned(), vec![])]);
    patch(r#"{"client_key": "x"}"#).expect(422);
    patch(r#"{"store": "x"}"#).expect(422);
}

#[test]
fn without_outbound_http_and_secrets_a_node_is_a_clear_501() {
    let lab = Lab::new();
    let app = TestApp::new(crate::plugin);
    let answer = app.put("/v1/nodes/a").user("ops", &["operator"]).json(&lab.node_body("a", 1)).send().expect(501);
    assert!(answer.text().contains("`secrets`"));
}

#[test]
fn a_pass_is_had_by_asking_for_it() {
    let (lab, _) = Lab::with_node();
    lab.world.log(&endpoint("a"));
    lab.run();
    assert_eq!(lab.world.log(&endpoint("a")), Vec::<String>::new());
    lab.as_operator("POST", "/v1/reconcile").send().expect(202);
    lab.run();
    assert_eq!(lab.world.log(&endpoint("a")).len(), 2);
}
