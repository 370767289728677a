//! Writers that meet, and commits that fail half-way.

use plugbay_sdk::{kv, testing::Host};
use serde_json::Value;

use super::{ANN, BEN, Service, fault};

impl Service {
    fn head_key(&self) -> String {
        let keys = self.app.host().keys();
        keys.into_iter().find(|key| key.starts_with("o/")).unwrap()
    }
}

/// Another writer changes a record just before the next commit.
fn meddle(service: &Service, key: String, change: impl Fn(&mut Value) + 'static) {
    service.app.host().before_next_commit(move |host: &Host| {
        let mut value: Value = host.get_json(&key).unwrap();
        change(&mut value);
        host.put_json(&key, &value);
    });
}

#[test]
fn an_update_that_loses_the_race_is_made_on_what_is_there_now() {
    let service = Service::with_container();
    service.put("o", "x");
    let id = service.register("o", "n", false);
    meddle(&service, service.head_key(), |object| {
        object["meta"]["Color"] = "blue".into();
    });
    service.images(ANN, "PUT", &format!("/images/{id}")).header("x-image-meta-name", "renamed").send().expect(200);
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send();
    assert_eq!(head.header("x-object-meta-color"), Some("blue"));
    assert_eq!(service.listed(ANN, ""), ["renamed"]);
}

#[test]
fn two_writers_of_one_object_make_one_history() {
    let service = Service::with_container();
    service.put("o", "one");
    let first: Value = service.app.host().get_json(&service.head_key()).unwrap();
    // The other writer's version comes in between; ours goes on top of it.
    let later = first["version"].as_u64().unwrap() + 1_000_000_000;
    meddle(&service, service.head_key(), move |object| {
        object["version"] = later.into();
    });
    let put = service.put("o", "two");
    assert_eq!(put.header("x-object-version"), Some((later + 1).to_string().as_str()));
    let history: Vec<u64> = service
        .app
        .host()
        .keys()
        .iter()
        .filter(|key| key.starts_with("h/"))
        .map(|key| key.rsplit('/').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(history, [later]);
}

#[test]
fn a_condition_is_asked_again_after_a_lost_race() {
    let service = Service::with_container();
    let etag = service.put("o", "one").header("etag").unwrap().to_owned();
    meddle(&service, service.head_key(), |object| {
        object["content"]["md5"] = "0".repeat(32).into();
        object["content"]["root"] = "0".repeat(64).into();
    });
    let answer = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/o"))
        .header("content-type", "text/plain")
        .header("content-length", "3")
        .header("if-match", etag)
        .body("two")
        .send();
    fault(&answer, 412, "preconditionFailed");
}

#[test]
fn an_object_does_not_slip_into_a_container_that_goes() {
    let service = Service::with_container();
    let container = service.app.host().keys().into_iter().find(|key| key.starts_with("c/")).unwrap();
    service.app.host().before_next_commit(move |host: &Host| host.delete(&container));
    let answer = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/o"))
        .header("content-type", "text/plain")
        .header("content-length", "0")
        .send();
    fault(&answer, 404, "itemNotFound");
}

#[test]
fn a_container_does_not_go_under_an_object_that_comes() {
    let service = Service::with_container();
    service.put("o", "x");
    let keys = service.app.host().keys();
    let shard = keys.iter().find(|key| key.starts_with("u/")).unwrap().clone();
    let head = service.head_key();
    let object = service.app.host().get(&head).unwrap();
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/o")).send().expect(204);
    service.app.host().before_next_commit(move |host: &Host| {
        host.put(&head, object);
        host.put(&shard, r#"{"objects":1,"bytes":1,"modified":1}"#);
    });
    let answer = service.objects(ANN, "DELETE", &format!("/{ANN}/c")).send();
    fault(&answer, 409, "conflict");
}

#[test]
fn a_failed_commit_leaves_no_half_image() {
    let service = Service::with_container();
    service.put("o", "x");
    let before = service.app.host().keys();
    service.app.host().fail_next_commit(kv::Error::Storage("disk".into()));
    let answer = service
        .images(ANN, "POST", "/images")
        .header("x-image-meta-name", "n")
        .header("x-image-meta-location", format!("pithos://{ANN}/c/o"))
        .send();
    fault(&answer, 500, "internalServerError");
    assert_eq!(service.app.host().keys(), before);
    service.app.host().fail_next_commit(kv::Error::QuotaExceeded);
    let full = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/p"))
        .header("content-type", "text/plain")
        .header("content-length", "1")
        .body("y")
        .send();
    fault(&full, 413, "requestEntityTooLarge");
    assert_eq!(service.app.host().keys(), before);
}

#[test]
fn keys_left_over_mislead_no_list() {
    let service = Service::with_container();
    service.put("o", "x");
    let id = service.register("o", "n", true);
    let keys = service.app.host().keys();
    let listed: Vec<String> = keys.into_iter().filter(|key| key.starts_with("l/") || key.starts_with("s/")).collect();
    let values: Vec<Vec<u8>> = listed.iter().map(|key| service.app.host().get(key).unwrap()).collect();
    service.images(ANN, "PUT", &format!("/images/{id}")).header("x-image-meta-is-public", "False").send().expect(200);
    for (key, value) in listed.iter().zip(values) {
        service.app.host().put(key, value);
    }
    assert!(service.listed(BEN, "").is_empty());
    assert_eq!(service.objects(BEN, "GET", "/").send().status, 204);
}

#[test]
fn lists_that_are_merged_stay_in_order_over_many_pages() {
    let service = Service::with_container();
    for n in 0..150 {
        let name = format!("o{n}");
        service.put(&name, "x");
        service.register(&name, &name, n % 2 == 0);
    }
    service.app.host().install();
    let mut visible = crate::store::visible::Visible::to(ANN, 10).unwrap();
    let mut names = Vec::new();
    while names.len() < 140 {
        let object = visible.next_image().unwrap().unwrap();
        names.push(object.image.unwrap().name);
    }
    let expected: Vec<String> = (10..150).rev().map(|n| format!("o{n}")).collect();
    assert_eq!(names, expected);
}
