//! `/1.0` for stock clients: section 5, with the requests that `lxc` and pylxd send.

use base64::{Engine, engine::general_purpose::STANDARD};
use plugbay_sdk::Peer;
use plugbay_sdk::testing::TestAnswer;
use serde_json::{Value, json};

use super::*;

fn body(certificate: &str) -> Value {
    json!({"type": "client", "name": "laptop", "certificate": STANDARD.encode(der(certificate)), "password": "",
        "restricted": false, "projects": []})
}

fn as_operator<'a>(lab: &'a Lab, method: &str, target: &str) -> TestRequest<'a> {
    lab.as_operator(method, target).surface("facade")
}

fn error(answer: &TestAnswer) -> (u64, String) {
    let body: Value = answer.json();
    assert_eq!((&body["type"], &body["metadata"], &body["status_code"]), (&json!("error"), &Value::Null, &json!(0)));
    (body["error_code"].as_u64().unwrap(), body["error"].as_str().unwrap().to_owned())
}

#[test]
fn pylxd_creates_lists_and_deletes() {
    let (lab, trust) = Lab::with_node();
    let certificate = lab.maker.pem("c");
    let print = fingerprint(&certificate);
    let server: Value = as_operator(&lab, "GET", "/1.0").send().expect(200).json();
    assert_eq!((&server["metadata"]["auth"], &server["metadata"]["api_extensions"]), (&json!("trusted"), &json!([])));
    let mut post = body(&certificate);
    // With line breaks, as pylxd sends it.
    let broken: Vec<String> = post["certificate"]
        .as_str()
        .unwrap()
        .as_bytes()
        .chunks(76)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    post["certificate"] = broken.join("\n").into();
    let made = as_operator(&lab, "POST", "/1.0/certificates").json(&post).send().expect(201);
    assert_eq!(made.header("location"), Some(format!("/1.0/certificates/{print}").as_str()));
    assert_eq!(made.json::<Value>()["status_code"], 200);
    lab.run();
    assert!(trust.borrow().contains_key(&print));
    let again = as_operator(&lab, "POST", "/1.0/certificates").json(&post).send().expect(409);
    assert_eq!(error(&again), (409, "Certificate already in trust store".to_owned()));
    let list: Value = as_operator(&lab, "GET", "/1.0/certificates").send().expect(200).json();
    assert_eq!(list["metadata"], json!([format!("/1.0/certificates/{print}")]));
    let one = as_operator(&lab, "GET", &format!("/1.0/certificates/{print}")).send().expect(200);
    assert!(one.header("etag").is_some());
    let one: Value = one.json();
    assert_eq!((&one["metadata"]["name"], &one["metadata"]["type"]), (&json!("laptop"), &json!("client")));
    as_operator(&lab, "DELETE", &format!("/1.0/certificates/{print}")).send().expect(200);
    lab.run();
    assert!(!trust.borrow().contains_key(&print));
}

#[test]
fn lxc_enrols_the_connections_certificate_with_a_relations_token() {
    let (lab, trust) = Lab::with_node();
    let (relation, token) = lab.relation_with_token("app");
    let certificate = lab.maker.pem("laptop");
    let ask = |method: &str, target: &str| {
        let peer = Peer { address: "192.0.2.7:5000".to_owned(), certificate: Some(der(&certificate)) };
        lab.app.request(method, target).surface("facade").peer(peer)
    };
    let auth = || ask("GET", "/1.0").send().expect(200).json::<Value>()["metadata"]["auth"].clone();
    assert_eq!(auth(), "untrusted");
    assert_eq!(error(&ask("GET", "/1.0/certificates").send()), (403, "not authorized".to_owned()));
    let post = |password: &str| {
        json!({"name": "", "type": "client", "restricted": false, "projects": null, "certificate": "",
            "password": password, "token": false})
    };
    assert_eq!(
        error(&ask("POST", "/1.0/certificates").json(&post("wrong")).send()),
        (403, "not authorized".to_owned())
    );
    ask("POST", "/1.0/certificates").json(&post(&token)).send().expect(201);
    assert_eq!(auth(), "trusted");
    assert_eq!(
        error(&ask("POST", "/1.0/certificates").json(&post("")).send()),
        (400, "Client is already trusted".to_owned())
    );
    lab.run();
    assert!(trust.borrow().contains_key(&fingerprint(&certificate)));
    let list: Value = ask("GET", "/1.0/certificates?recursion=1").send().expect(200).json();
    assert_eq!(list["metadata"][0]["name"], "laptop");
    assert_eq!(lab.registered(&relation).len(), 1);
    // `lxc config trust remove` with the twelve digits of the listing.
    let prefix = fingerprint(&certificate)[..12].to_uppercase();
    ask("DELETE", &format!("/1.0/certificates/{prefix}")).send().expect(200);
    assert_eq!(auth(), "untrusted");
}

#[test]
fn a_token_as_lxd_makes_them_holds_the_relations() {
    let lab = Lab::new();
    let (relation, token) = lab.relation_with_token("app");
    let certificate = lab.maker.pem("laptop");
    let token =
        STANDARD.encode(json!({"client_name": "x", "fingerprint": "", "addresses": [], "secret": token}).to_string());
    let peer = Peer { address: "192.0.2.7:5000".to_owned(), certificate: Some(der(&certificate)) };
    let post = json!({"type": "", "password": token});
    lab.app.post("/1.0/certificates").surface("facade").peer(peer).json(&post).send().expect(201);
    assert_eq!(lab.get(&format!("/v1/relations/{relation}/certificates")).as_array().unwrap().len(), 1);
}

#[test]
fn a_stranger_sees_nothing_of_other_relations() {
    let lab = Lab::new();
    let (one, token) = lab.relation_with_token("one");
    let two = lab.relation("two");
    let (mine, theirs) = (lab.maker.pem("mine"), lab.maker.pem("theirs"));
    lab.write(&one, 0, &[&mine]).expect(200);
    lab.write(&two, 0, &[&theirs]).expect(200);
    let ask =
        |target: &str| lab.app.get(target).surface("facade").header("authorization", format!("Bearer {token}")).send();
    let list: Value = ask("/1.0/certificates").expect(200).json();
    assert_eq!(list["metadata"], json!([format!("/1.0/certificates/{}", fingerprint(&mine))]));
    ask(&format!("/1.0/certificates/{}", fingerprint(&theirs))).expect(404);
}

#[test]
fn what_a_unit_wants_is_not_deleted_here() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    let certificate = lab.maker.pem("c");
    lab.write(&relation, 0, &[&certificate]).expect(200);
    let target = format!("/1.0/certificates/{}", fingerprint(&certificate));
    as_operator(&lab, "DELETE", &target).send().expect(403);
}

#[test]
fn bad_certificates_are_refused_with_lxds_words() {
    let lab = Lab::new();
    let post = |certificate: String| {
        let mut body = body(&lab.maker.pem("c"));
        body["certificate"] = certificate.into();
        error(&as_operator(&lab, "POST", "/1.0/certificates").json(&body).send().expect(400)).1
    };
    assert_eq!(post(STANDARD.encode(der(&lab.maker.between("c", 2020, 2021)))), "The provided certificate is expired");
    assert_eq!(
        post(STANDARD.encode(der(&lab.maker.between("c", 2050, 2051)))),
        "The provided certificate isn't valid yet"
    );
    assert_eq!(post(STANDARD.encode(der(RSA1024))), "RSA key is too weak (minimum of 2048bit)");
    assert!(post(lab.maker.pem("c")).starts_with("illegal base64 data"));
    assert!(post(STANDARD.encode("junk")).starts_with("Invalid certificate material"));
    let refused = |field: &str, value: Value, status: u16| {
        let mut body = body(&lab.maker.pem("c"));
        body[field] = value;
        as_operator(&lab, "POST", "/1.0/certificates").json(&body).send().expect(status);
    };
    refused("type", json!("metrics"), 400);
    refused("restricted", json!(true), 400);
    refused("name", json!("-x"), 400);
    refused("token", json!(true), 501);
    as_operator(&lab, "POST", "/1.0/certificates").body("{").send().expect(400);
    assert_eq!(lab.get("/v1/certificates"), json!([]));
}

#[test]
fn what_is_not_served_is_refused_with_lxds_words() {
    let lab = Lab::new();
    let refused = |method: &str, target: &str| error(&as_operator(&lab, method, target).json(&json!({})).send());
    for target in ["/1.0/events", "/1.0/operations/x", "/1.0/instances", "/2.0"] {
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(refused(method, target), (404, "not found".to_owned()), "{method} {target}");
        }
    }
    let one = format!("/1.0/certificates/{}", "0".repeat(64));
    for (method, target) in [("PUT", "/1.0"), ("DELETE", "/1.0/certificates"), ("PATCH", &one), ("POST", &one)] {
        assert_eq!(refused(method, target), (501, "not implemented".to_owned()), "{method} {target}");
    }
}

#[test]
fn a_prefix_has_to_be_hexadecimal_and_unambiguous() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    let all: Vec<String> = (0..20).map(|number| lab.maker.pem(&format!("c{number}"))).collect();
    let texts: Vec<&str> = all.iter().map(String::as_str).collect();
    lab.write(&relation, 0, &texts).expect(200);
    let get = |prefix: &str| as_operator(&lab, "GET", &format!("/1.0/certificates/{prefix}")).send();
    get(&fingerprint(&all[0])[..12]).expect(200);
    assert_eq!(error(&get("%25")), (404, "Certificate not found".to_owned()));
    get("zz").expect(404);
    let first: Vec<String> = all.iter().map(|certificate| fingerprint(certificate)[..1].to_owned()).collect();
    let twice = first.iter().find(|digit| first.iter().filter(|other| other == digit).count() > 1).unwrap();
    assert_eq!(error(&get(twice)), (500, "More than one certificate matches".to_owned()));
}
