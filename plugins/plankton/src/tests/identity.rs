//! The identity service: tokens, the catalog, names of users.

use plugbay_sdk::{Caller, User};
use serde_json::{Value, json};

use super::{ANN, BEN, Service, fault};

fn known(service: &Service) {
    for (id, name, token) in [(ANN, "ann", "t-ann"), (BEN, "ben", "t-ben")] {
        let user =
            User { id: id.into(), name: name.into(), project: None, roles: vec!["default".into()], extra: vec![] };
        service.app.host().add_token(token, user.clone());
        service.app.host().add_user(user);
    }
}

impl Service {
    fn tokens(&self, body: &Value) -> plugbay_sdk::testing::TestAnswer {
        self.app
            .post("/tokens")
            .surface("identity")
            .prefix("/identity/v2.0")
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
    }
}

#[test]
fn a_token_tells_its_user_and_where_the_services_are() {
    let service = Service::new();
    known(&service);
    let access = service.tokens(&json!({ "auth": { "token": { "id": "t-ann" } } })).expect(200).json::<Value>();
    let access = &access["access"];
    assert_eq!(access["token"]["id"], "t-ann");
    assert_eq!(access["token"]["tenant"], json!({ "id": ANN, "name": "ann" }));
    assert!(access["token"]["expires"].as_str().unwrap().starts_with("9999-12-31T"));
    assert_eq!(
        access["user"],
        json!({
            "id": ANN, "name": "ann", "roles": [{ "id": "default", "name": "default" }], "roles_links": [],
            "projects": [ANN],
        })
    );
    let catalog = access["serviceCatalog"].as_array().unwrap();
    let account = catalog.iter().find(|entry| entry["name"] == "astakos_account").unwrap();
    assert_eq!(account["endpoints"][0]["versionId"], "v1.0");
    assert!(account["endpoints"][0]["SNF:uiURL"].is_string());
    for (kind, path) in [("image", "/image/v1.0"), ("object-store", "/object-store/v1"), ("pithos_public", "/public")] {
        let of_kind: Vec<&Value> = catalog.iter().filter(|entry| entry["type"] == kind).collect();
        assert_eq!(of_kind.len(), 1, "{kind}");
        let endpoints = of_kind[0]["endpoints"].as_array().unwrap();
        assert_eq!(endpoints.len(), 1);
        let place = endpoints[0]["publicURL"].as_str().unwrap();
        assert!(place.starts_with("http://") && place.ends_with(path), "{place}");
    }
}

#[test]
fn the_image_services_versions_need_no_token() {
    let service = Service::new();
    for path in ["/", "/versions", "/versions/"] {
        let list = service.app.get(path).surface("image-versions").prefix("/image").send().expect(200).json::<Value>();
        assert_eq!(list["versions"][0]["status"], "CURRENT");
        assert!(list["versions"][0]["links"][0]["href"].as_str().unwrap().ends_with("/image/v1.0/"));
    }
    fault(&service.app.get("/none").surface("image-versions").send(), 400, "badRequest");
    fault(&service.app.post("/versions").surface("image-versions").send(), 405, "notAllowed");
}

#[test]
fn without_a_body_it_is_the_catalog_alone() {
    let service = Service::new();
    let answer = service.app.post("/tokens").surface("identity").send().expect(200).json::<Value>();
    assert!(answer["access"]["serviceCatalog"].is_array());
    assert!(answer["access"].get("user").is_none() && answer["access"].get("token").is_none());
}

#[test]
fn a_uuid_and_a_tenant_have_to_be_the_tokens() {
    let service = Service::new();
    known(&service);
    let ask = |username: &str, tenant: Option<&str>| {
        let mut auth = json!({ "passwordCredentials": { "username": username, "password": "t-ann" } });
        if let Some(tenant) = tenant {
            auth["tenantName"] = tenant.into();
        }
        service.tokens(&json!({ "auth": auth }))
    };
    ask(ANN, None).expect(200);
    ask(ANN, Some(ANN)).expect(200);
    fault(&ask(BEN, None), 401, "unauthorized");
    fault(&ask(ANN, Some(BEN)), 400, "badRequest");
}

#[test]
fn what_is_wrong_with_a_request_for_a_token() {
    let service = Service::new();
    known(&service);
    let none = service.tokens(&json!({ "auth": {} }));
    assert_eq!(fault(&none, 400, "badRequest"), "Malformed request: missing credentials");
    let bad = service.tokens(&json!({ "auth": { "token": { "id": "t-none" } } }));
    assert_eq!(fault(&bad, 401, "unauthorized"), "Invalid token");
    let no_json = service.app.post("/tokens").surface("identity").body("token").send();
    fault(&no_json, 400, "badRequest");
    let expired = service
        .app
        .post("/tokens?format=xml")
        .surface("identity")
        .caller(Caller::Rejected("the token has <expired>".into()))
        .header("x-auth-token", "t-old")
        .body(r#"{"auth": {"token": {"id": "t-old"}}}"#)
        .send()
        .expect(401);
    assert!(expired.text().contains("<details>the token has &lt;expired&gt;</details>"));
    let get = service.app.get("/tokens").surface("identity").send();
    fault(&get, 405, "notAllowed");
    assert_eq!(get.header("allow"), Some("POST"));
    fault(&service.app.get("/none").surface("identity").send(), 400, "badRequest");
}

#[test]
fn endpoints_are_the_operators_to_name() {
    let service = Service::new();
    service.app.host().set_config(&json!({ "endpoints": { "image": "https://images.example/v1", "public": "/p" } }));
    let answer = service
        .app
        .post("/tokens")
        .surface("identity")
        .public_url("https://cloud.example/api/identity/v2.0")
        .send()
        .expect(200)
        .json::<Value>();
    let place = |kind: &str| {
        let catalog = answer["access"]["serviceCatalog"].as_array().unwrap();
        let entry = catalog.iter().find(|entry| entry["type"] == kind).unwrap();
        entry["endpoints"][0]["publicURL"].as_str().unwrap().to_owned()
    };
    assert_eq!(place("image"), "https://images.example/v1");
    assert_eq!(place("pithos_public"), "https://cloud.example/api/p");
    assert_eq!(place("object-store"), "https://cloud.example/api/object-store/v1");
    service.app.host().set_config(&json!({ "endpoints": { "images": "/i" } }));
    fault(&service.app.post("/tokens").surface("identity").send(), 500, "internalServerError");
}

#[test]
fn names_by_id_and_ids_by_name_without_the_unknown() {
    let service = Service::new();
    known(&service);
    let ask = |body: Value| {
        service.app.post("/user_catalogs").surface("account").user(ANN, &[]).body(body.to_string()).send()
    };
    let both = ask(json!({ "uuids": [ANN, "none"], "displaynames": ["ben", "nobody"] })).expect(200).json::<Value>();
    assert_eq!(both, json!({ "uuid_catalog": { ANN: "ann" }, "displayname_catalog": { "ben": BEN } }));
    let neither = ask(json!({})).expect(200).json::<Value>();
    assert_eq!(neither, json!({ "uuid_catalog": {}, "displayname_catalog": {} }));
    fault(&ask(json!({ "uuids": [1] })), 400, "badRequest");
    fault(&ask(json!([])), 400, "badRequest");
    let anonymous = service.app.post("/user_catalogs").surface("account").body("{}").send();
    fault(&anonymous, 401, "unauthorized");
    let quotas = service.app.get("/quotas").surface("account").user(ANN, &[]).send();
    fault(&quotas, 501, "notImplemented");
}
