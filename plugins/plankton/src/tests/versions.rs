//! What objects were: reading, listing, copying from and purging versions.

use plugbay_sdk::testing::TestAnswer;
use serde_json::Value;

use super::{ANN, BEN, Service, fault};

fn version(answer: &TestAnswer) -> String {
    answer.header("x-object-version").unwrap().to_owned()
}

impl Service {
    fn versions(&self, name: &str) -> Vec<String> {
        let list: Value = self.get(&format!("{name}?version=list&format=json")).expect(200).json();
        let rows = list["versions"].as_array().unwrap().iter();
        rows.map(|row| {
            assert!(row[1].as_str().unwrap().contains('.'));
            row[0].as_u64().unwrap().to_string()
        })
        .collect()
    }
}

#[test]
fn each_version_is_read_by_its_number() {
    let service = Service::with_container();
    let first = version(&service.put("o", "one"));
    let second = version(&service.put("o", "second"));
    service.objects(ANN, "POST", &format!("/{ANN}/c/o?update")).header("x-object-sharing", "read=*").send().expect(202);
    assert_eq!(service.get(&format!("o?version={first}")).expect(200).text(), "one");
    let now = service.get(&format!("o?version={second}")).expect(200);
    assert_eq!(now.text(), "second");
    assert_eq!(now.header("x-object-sharing"), None);
    assert!(service.get("o").header("x-object-sharing").is_some());
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o?version={first}")).send().expect(200);
    assert_eq!((head.header("content-length"), head.header("x-object-version")), (Some("3"), Some(first.as_str())));
    let map: Value = service.get(&format!("o?version={first}&hashmap&format=json")).expect(200).json();
    assert_eq!(map["bytes"], 3);
    for wrong in ["1", "x", "-1", "1.5"] {
        fault(&service.get(&format!("o?version={wrong}")), 404, "itemNotFound");
    }
    assert_eq!(service.versions("o"), [first, second]);
    assert_eq!(service.objects(BEN, "GET", &format!("/{ANN}/c/o?version=list")).send().status, 200);
}

#[test]
fn the_owner_sees_versions_after_deletion() {
    let service = Service::with_container();
    let first = version(&service.put("o", "one"));
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/o")).send().expect(204);
    assert_eq!(service.versions("o"), std::slice::from_ref(&first));
    assert_eq!(service.get(&format!("o?version={first}")).expect(200).text(), "one");
    fault(&service.get("o"), 404, "itemNotFound");
    fault(&service.get("none?version=list"), 404, "itemNotFound");
    for query in ["version=list".to_owned(), format!("version={first}")] {
        fault(&service.objects(BEN, "GET", &format!("/{ANN}/c/o?{query}")).send(), 403, "forbidden");
    }
    // The version that ended it is none to read.
    let mark = service.keys("h/").pop().unwrap();
    let mark: u64 = mark.rsplit('/').next().unwrap().parse().unwrap();
    fault(&service.get(&format!("o?version={mark}")), 404, "itemNotFound");
}

#[test]
fn a_version_is_copied_and_laid_over_what_is_there() {
    let service = Service::with_container();
    let first = version(&service.put("o", "one"));
    service.put("o", "second");
    let copy = |name: &str, from: &str| {
        service
            .objects(ANN, "PUT", &format!("/{ANN}/c/{name}"))
            .header("x-copy-from", "/c/o")
            .header("x-source-version", from)
            .header("content-length", "0")
            .send()
    };
    fault(&copy("x", "77"), 404, "itemNotFound");
    copy("old", &first).expect(201);
    assert_eq!(service.get("old").text(), "one");
    let uuid = service.get("o").header("x-object-uuid").unwrap().to_owned();
    copy("o", &first).expect(201);
    let back = service.get("o");
    assert_eq!((back.text(), back.header("x-object-uuid")), ("one", Some(uuid.as_str())));
    assert_eq!(service.versions("o").len(), 3);
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/o")).send().expect(204);
    copy("o", &first).expect(201);
    assert_eq!(service.get("o").text(), "one");
    let by_method = service
        .objects(ANN, "COPY", &format!("/{ANN}/c/o"))
        .header("destination", "/c/again")
        .header("x-source-version", first)
        .send();
    assert_eq!(by_method.status, 201);
}

#[test]
fn purging_takes_history_up_to_a_time_and_keeps_the_container() {
    let service = Service::with_container();
    let mut last = String::new();
    for n in 0..120 {
        last = version(&service.put("o", n.to_string()));
    }
    service.put("gone", "x");
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/gone")).send().expect(204);
    let purge =
        |target: &str, until: &str| service.objects(ANN, "DELETE", &format!("/{ANN}/c{target}?until={until}")).send();
    purge("", "1000").expect(204);
    assert_eq!(service.versions("o").len(), 120);
    let later = "99999999999";
    purge("/gone", later).expect(204);
    fault(&service.get("gone?version=list"), 404, "itemNotFound");
    assert_eq!(service.versions("o").len(), 120);
    purge("", later).expect(204);
    assert_eq!(service.versions("o"), [last]);
    assert_eq!(service.get("o").text(), "119");
    assert!(service.keys("h/").is_empty());
    fault(&service.objects(BEN, "DELETE", &format!("/{ANN}/c?until=5")).send(), 403, "forbidden");
    fault(&service.objects(ANN, "DELETE", &format!("/{ANN}/none?until=5")).send(), 404, "itemNotFound");
}

#[test]
fn a_long_history_is_purged_in_steps() {
    let service = Service::with_container();
    service.put("o", "x");
    service.put("o", "y");
    let old = service.keys("h/").remove(0);
    let value = service.app.host().get(&old).unwrap();
    let prefix = old.rsplit_once('/').unwrap().0.to_owned();
    for n in 0..5_000 {
        service.app.host().put(&format!("{prefix}/{n:020}"), value.clone());
    }
    service.objects(ANN, "DELETE", &format!("/{ANN}/c?until=99999999999")).send().expect(204);
    assert!(service.keys("h/").is_empty());
    assert_eq!(service.get("o").text(), "y");
}
