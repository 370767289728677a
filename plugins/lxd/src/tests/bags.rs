//! Writing bags: sections 1.6, 3.2 and 3.3.

use plugbay_sdk::testing::TestAnswer;
use serde_json::{Value, json};

use super::*;

fn codes(answer: &TestAnswer) -> Vec<(Option<String>, Option<u64>, String)> {
    let body: Value = answer.json();
    let errors = body["errors"].as_array().unwrap().iter();
    errors
        .map(|error| {
            (
                error["key"].as_str().map(str::to_owned),
                error["index"].as_u64(),
                error["code"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

fn bag_path(relation: &str) -> String {
    format!("/v1/relations/{relation}/units/0/data")
}

fn put(lab: &Lab, relation: &str, bag: &Value) -> TestAnswer {
    lab.as_operator("PUT", &bag_path(relation)).json(bag).send()
}

#[test]
fn a_bag_is_stored_as_it_came_and_unknown_keys_are_kept() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    let bag = json!({"ingress-address": "10.0.0.7", "version": "1.4", "client_certificates": "[]"});
    let answer = put(&lab, &relation, &bag).expect(200);
    assert_eq!(answer.json::<Value>(), bag);
    let read = lab.as_operator("GET", &bag_path(&relation)).send().expect(200);
    assert_eq!(read.json::<Value>(), bag);
    assert_eq!(read.header("etag"), answer.header("etag"));
    assert_eq!(lab.host().keys().iter().filter(|key| key.starts_with("touch/")).count(), 0);
}

#[test]
fn every_refusal_names_key_index_and_code_and_changes_nothing() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    let good = lab.maker.pem("good");
    put(&lab, &relation, &json!({"keep": "me"})).expect(200);
    let trailing = pem::encode(&[der(&good), vec![0]].concat());
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----";
    let large = "x".repeat(70_000);
    let list = json!([good, "nonsense", request, pem::encode(b"junk"), trailing, key_pem(), 7, large]).to_string();
    let answer = put(&lab, &relation, &json!({"other": "new", "client_certificates": list, "n": 5})).expect(422);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let key = || Some("client_certificates".to_owned());
    let expected = [
        (Some("n".to_owned()), None, "not_a_string"),
        (key(), Some(1), "pem_malformed"),
        (key(), Some(2), "pem_not_certificate"),
        (key(), Some(3), "der_invalid"),
        (key(), Some(4), "trailing_data"),
        (key(), Some(5), "private_key"),
        (key(), Some(6), "not_a_string"),
        (key(), Some(7), "too_large"),
    ];
    assert_eq!(codes(&answer), expected.map(|(key, index, code)| (key, index, code.to_owned())));
    assert!(!answer.text().contains("nonsense") && !answer.text().contains("AAAA"));
    let read = lab.as_operator("GET", &bag_path(&relation)).send().expect(200);
    assert_eq!(read.json::<Value>(), json!({"keep": "me"}));
    assert_eq!(lab.get("/v1/certificates"), json!([]));
}

#[test]
fn a_value_that_is_no_list_of_texts_is_told_apart() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    let many = json!(vec!["x"; 257]).to_string();
    for (bag, code) in [
        (json!([]), "not_an_object"),
        (json!({"client_certificates": ["x"]}), "not_a_string"),
        (json!({"client_certificates": "{"}), "not_json"),
        (json!({"client_certificates": "{}"}), "not_a_list"),
        (json!({"client_certificates": many}), "too_many"),
        (json!({"version": "2.0"}), "version_unsupported"),
        (json!({"version": "one"}), "version_unsupported"),
    ] {
        let answer = put(&lab, &relation, &bag).expect(422);
        assert_eq!(codes(&answer).first().unwrap().2, code, "{bag}");
    }
    lab.as_operator("PUT", &bag_path(&relation)).body("{").send().expect(400);
}

#[test]
fn a_private_key_is_never_kept_not_even_leniently() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    let good = lab.maker.pem("good");
    let list = json!([key_pem(), good]).to_string();
    let lenient = lab
        .as_operator("PUT", &bag_path(&relation))
        .header("prefer", "handling=lenient")
        .json(&json!({"client_certificates": list}))
        .send()
        .expect(200);
    let body: Value = lenient.json();
    assert_eq!(body["data"]["client_certificates"], json!([good]).to_string());
    assert_eq!(body["errors"][0]["code"], "private_key");
    assert_eq!(lenient.header("preference-applied"), Some("handling=lenient"));
    let host = lab.host();
    for key in host.keys() {
        assert!(!String::from_utf8_lossy(&host.get(&key).unwrap()).contains("PRIVATE KEY"), "{key}");
    }
}

#[test]
fn a_patch_merges_and_null_or_nothing_deletes() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    put(&lab, &relation, &json!({"a": "1", "b": "2", "c": "3"})).expect(200);
    let patch = |kind: &str| {
        lab.as_operator("PATCH", &bag_path(&relation))
            .header("content-type", kind)
            .body(r#"{"a": null, "b": "", "d": "4"}"#)
            .send()
    };
    patch("application/json").expect(415);
    let merged: Value = patch("application/merge-patch+json").expect(200).json();
    assert_eq!(merged, json!({"c": "3", "d": "4"}));
}

#[test]
fn conditions_guard_writes_and_the_same_content_has_the_same_tag() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    let first = put(&lab, &relation, &json!({"a": "1", "b": "2"})).expect(200);
    let tag = first.header("etag").unwrap().to_owned();
    let conditional = |name: &str, value: &str, bag: Value| {
        lab.as_operator("PUT", &bag_path(&relation)).header(name, value).json(&bag).send()
    };
    conditional("if-match", "\"other\"", json!({})).expect(412);
    conditional("if-none-match", "*", json!({})).expect(412);
    let same = conditional("if-match", &tag, json!({"b": "2", "a": "1"})).expect(200);
    assert_eq!(same.header("etag"), Some(tag.as_str()));
    lab.as_operator("GET", &bag_path(&relation)).header("if-none-match", tag).send().expect(304);
    lab.host().set_config(&json!({"require_if_match": true}));
    put(&lab, &relation, &json!({})).expect(428);
}

#[test]
fn a_large_bag_is_kept_whole_and_a_larger_one_is_refused() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    for size in [200_000, 900_000, 300, 500_000] {
        let bag = json!({"filler": "x".repeat(size)});
        assert_eq!(put(&lab, &relation, &bag).expect(200).json::<Value>(), bag);
        assert_eq!(lab.as_operator("GET", &bag_path(&relation)).send().expect(200).json::<Value>(), bag);
    }
    assert_eq!(lab.host().blobs().len(), 1);
    put(&lab, &relation, &json!({"filler": "x".repeat(1_100_000)})).expect(413);
    lab.as_operator("DELETE", &format!("/v1/relations/{relation}/units/0")).send().expect(204);
    assert_eq!(lab.host().blobs().len(), 0);
}

#[test]
fn as_many_certificates_as_a_unit_may_have_are_indexed_in_several_commits() {
    let lab = Lab::new();
    let relation = lab.relation("app");
    let all: Vec<String> = (0..256).map(|number| lab.maker.pem(&format!("c{number}"))).collect();
    let texts: Vec<&str> = all.iter().map(String::as_str).collect();
    lab.write(&relation, 0, &texts).expect(200);
    assert_eq!(lab.get(&format!("/v1/relations/{relation}/certificates")).as_array().unwrap().len(), 256);
    lab.write(&relation, 0, &texts[..1]).expect(200);
    assert_eq!(lab.get("/v1/certificates").as_array().unwrap().len(), 1);
}

#[test]
fn only_the_relations_own_token_opens_its_bags() {
    let lab = Lab::new();
    let (one, token) = lab.relation_with_token("one");
    let (_, other) = lab.relation_with_token("two");
    let read = |token: Option<&str>| {
        let request = lab.app.get(&bag_path(&one));
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        request.send()
    };
    read(None).expect(401);
    read(Some("wrong")).expect(401);
    read(Some(&other)).expect(403);
    read(Some(&token)).expect(200);
    lab.app.get(&bag_path(&one)).user("somebody", &["member"]).send().expect(403);
    lab.app.get("/v1/nodes").user("somebody", &["member"]).send().expect(403);
    lab.as_operator("PUT", &format!("/v1/relations/{one}/provider/data")).send().expect(405);
    lab.as_operator("GET", "/v1/relations/none/units/0/data").send().expect(404);
    lab.as_operator("GET", &format!("/v1/relations/{one}/units/1/data")).send().expect(404);
    lab.as_operator("GET", &format!("/v1/relations/{one}/units/00/data")).send().expect(404);
}

#[test]
fn what_a_crash_left_unindexed_is_found_by_the_sweep() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let certificate = lab.maker.pem("c");
    // The bag's commit, and the first of those that follow from it.
    lab.host().before_next_commit(|_| {});
    lab.host().before_next_commit(|host| host.fail_next_commit(plugbay_sdk::kv::Error::Storage("gone".to_owned())));
    lab.write(&relation, 0, &[&certificate]).expect(200);
    assert_eq!(lab.get("/v1/certificates"), json!([]));
    lab.app.run_periodic("sweep");
    lab.run();
    assert!(trust.borrow().contains_key(&fingerprint(&certificate)));
}
