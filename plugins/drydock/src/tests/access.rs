//! Who may do what, and what every answer has.

use plugbay_sdk::Caller;
use serde_json::{Value, json};

use super::{REF, Service};
use crate::store::ids::is_uuid4;

const SECURED: &[(&str, &str)] = &[
    ("GET", "/tasks"),
    ("POST", "/tasks"),
    ("DELETE", "/tasks"),
    ("GET", "/tasks/x"),
    ("GET", "/tasks/x/builddata"),
    ("GET", "/nodes"),
    ("GET", "/nodes/x/builddata"),
    ("POST", "/nodefilter"),
    ("POST", "/validatedesign"),
    ("GET", "/health/extended"),
    ("GET", "/designs"),
];

#[test]
fn without_a_good_token_it_is_401_before_everything() {
    let service = Service::new();
    for (method, path) in SECURED {
        for caller in [Caller::Anonymous, Caller::Rejected("expired".to_owned())] {
            let request = service.app.request(method, &format!("/api/v1.0{path}")).caller(caller);
            let forged = request.header("x-identity-status", "Confirmed").header("x-roles", "admin");
            let answer = forged.send().expect(401);
            assert!(answer.header("www-authenticate").unwrap().starts_with("Keystone uri="));
            let body: Value = answer.json();
            assert_eq!(body, json!({"type": "error", "message": "Unauthenticated", "retry": false}));
        }
        let answer = service.app.request(method, &format!("/api/v1.0{path}")).user("u", &["reader"]).send().expect(403);
        assert_eq!(answer.json::<Value>()["message"], "Forbidden");
    }
}

#[test]
fn every_answer_has_an_id_of_its_request() {
    let service = Service::new();
    let mut seen = std::collections::BTreeSet::new();
    for answer in [
        service.app.get("/versions").send().expect(200),
        service.app.get("/nothing").send().expect(404),
        service.get("/tasks").send().expect(200),
        service.app.get("/api/v1.0/tasks").send().expect(401),
        service.app.get("/api/v1.0/bootactions/nodes/x/files").send().expect(404),
        service.app.put("/api/v1.0/tasks").send().expect(405),
    ] {
        let id = answer.header("x-drydock-req").unwrap().to_owned();
        assert!(is_uuid4(&id) && seen.insert(id));
    }
}

#[test]
fn paths_and_methods_that_are_not_served_have_titles() {
    let service = Service::new();
    let answer = service.app.get("/api/v1.0/nothing").send().expect(404);
    assert_eq!(answer.json::<Value>(), json!({"title": "404 Not Found"}));
    let answer = service.app.put("/api/v1.0/tasks/").send().expect(405);
    assert_eq!(answer.header("allow"), Some("GET, POST, DELETE, OPTIONS"));
    assert!(answer.json::<Value>()["title"].is_string());
    assert!(service.app.head("/api/v1.0/tasks").send().expect(405).body.is_empty());
    let answer = service.app.request("OPTIONS", "/api/v1.0/nodes").send().expect(200);
    assert!(answer.body.is_empty() && answer.header("allow").is_some());
    service.app.request("OPTIONS", "/api/v2").send().expect(404);
    service.app.get("/api/v1.0/designs/x").user("a", &["admin"]).send().expect(404);
}

#[test]
fn versions_and_health_are_open() {
    let service = Service::new();
    let versions: Value =
        service.app.get("/versions").caller(Caller::Rejected("bad".to_owned())).send().expect(200).json();
    assert_eq!(versions, json!({"v1.0": {"path": "/api/v1.0", "status": "stable"}}));
    assert!(service.app.get("/api/v1.0/health").send().expect(204).body.is_empty());
    let health: Value = service.get("/health/extended").send().expect(200).json();
    assert_eq!(
        (&health["kind"], &health["reason"], &health["code"]),
        (&json!("Status"), &json!("HealthCheck"), &json!(200))
    );
    assert_eq!(service.get("/tasks").send().json::<Value>(), json!([]), "health makes no task");
    let ill = Service::with(&[], json!({"provisioner": {"type": "maas", "url": "http://maas", "api_key": "a:b:c"}}));
    assert!(ill.app.get("/api/v1.0/health").send().expect(503).body.is_empty());
    let health: Value = ill.get("/health/extended").send().expect(503).json();
    assert_eq!((&health["status"], &health["details"]["errorCount"]), (&json!("Failure"), &json!(1)));
    ill.get("/nodes").send().expect(500);
}

#[test]
fn a_post_needs_two_rules_and_makes_nothing_without_them() {
    let service = Service::new();
    let rules = &service.app.descriptor().rules;
    for name in
        ["create_task", "verify_nodes", "relabel_nodes", "read_build_data", "validate_site_design", "ingest_data"]
    {
        let rule = rules.iter().find(|rule| rule.name == format!("physical_provisioner:{name}")).unwrap();
        assert_eq!(rule.roles, ["admin"]);
    }
    let body = json!({"action": "deploy_nodes", "design_ref": REF});
    service.app.post("/api/v1.0/tasks").user("u", &["member"]).json(&body).send().expect(403);
    assert!(service.app.host().keys().is_empty() && service.app.host().jobs().is_empty());
}
