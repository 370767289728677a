//! The collector: what it takes, what it leaves, and who may come in between.

use std::time::Duration;

use plugbay_sdk::{Outcome, testing::Host};
use serde_json::json;

use super::{ANN, BLOCK, Service, block_hash};
use crate::store::collector;

impl Service {
    /// So many runs that wait for nothing.
    fn collect(&self, runs: usize) {
        self.app.host().set_config(&json!({ "collect_after": 0 }));
        for _ in 0..runs {
            assert_eq!(self.app.run_periodic(collector::JOB), Outcome::Done);
        }
    }

    fn delete(&self, target: &str) {
        self.objects(ANN, "DELETE", &format!("/{ANN}/{target}")).send().expect(204);
    }
}

/// A container that keeps no history.
fn forgetful() -> Service {
    let service = Service::new();
    let put = service.objects(ANN, "PUT", &format!("/{ANN}/c"));
    put.header("x-container-policy-versioning", "none").send().expect(201);
    service
}

#[test]
fn blocks_that_nothing_uses_go_in_two_steps() {
    let service = forgetful();
    service.put("o", "one");
    service.put("o", "two");
    service.put("other", "two");
    assert_eq!(service.app.host().blobs().len(), 2);
    service.collect(1);
    assert_eq!(service.app.host().blobs().len(), 2, "only doomed");
    service.collect(1);
    assert_eq!(service.app.host().blobs(), [format!("block/{}", block_hash(b"two"))]);
    assert!(service.keys("g/").is_empty());
    assert_eq!(service.keys("b/").len(), 1);
    service.delete("c/o");
    service.collect(3);
    assert_eq!(service.get("other").text(), "two");
    service.delete("c/other");
    service.collect(3);
    assert!(service.app.host().blobs().is_empty());
    for class in ["b/", "r/", "g/", "m/", "h/"] {
        assert!(service.keys(class).is_empty(), "{class}");
    }
}

#[test]
fn uploaded_blocks_wait_for_their_hashmap() {
    let service = Service::with_container();
    let hash = service.post_blocks(b"hello").remove(0);
    // The default is an hour.
    for _ in 0..3 {
        service.app.run_periodic(collector::JOB);
    }
    assert_eq!(service.keys("g/").len(), 1);
    service.put_map("o", 5, &[hash]).expect(201);
    service.collect(3);
    assert_eq!(service.get("o").text(), "hello");
    assert!(service.keys("g/").is_empty());
    service.post_blocks(b"never used");
    service.collect(2);
    assert_eq!(service.app.host().blobs().len(), 1);
}

#[test]
fn a_doomed_block_that_is_used_again_stays() {
    let service = Service::with_container();
    let hash = service.post_blocks(b"hello").remove(0);
    service.collect(1);
    let record: serde_json::Value = service.app.host().get_json(&format!("b/{hash}")).unwrap();
    assert!(record["doomed"].is_number());
    service.put("o", "hello");
    service.collect(3);
    assert_eq!(service.get("o").text(), "hello");
    let record: serde_json::Value = service.app.host().get_json(&format!("b/{hash}")).unwrap();
    assert_eq!(record, json!({ "kept": 5 }));
}

#[test]
fn an_upload_between_the_look_and_the_drop_keeps_the_block() {
    let service = Service::with_container();
    let hash = service.post_blocks(b"hello").remove(0);
    service.collect(1);
    // As an upload commits it: the doom is taken away, and a reference added.
    let key = format!("b/{hash}");
    service.app.host().before_next_commit(move |host: &Host| {
        host.put_json(&key, &json!({ "kept": 5 }));
        host.put(&format!("r/{hash}/another"), []);
    });
    service.collect(2);
    assert_eq!(service.app.host().blobs().len(), 1);
}

#[test]
fn a_drop_between_the_look_and_the_upload_makes_it_look_again() {
    let service = Service::with_container();
    let hash = service.post_blocks(b"hello").remove(0);
    let gone = hash.clone();
    service.app.host().before_next_commit(move |host: &Host| {
        host.delete(&format!("b/{gone}"));
    });
    let put = service.put_map("o", 5, std::slice::from_ref(&hash));
    assert_eq!(put.status, 409);
    assert_eq!(put.json::<Vec<String>>(), [hash]);
    service.get("o").expect(404);
}

#[test]
fn versions_keep_their_blocks_until_they_are_purged() {
    let service = Service::with_container();
    service.put("o", "one");
    let tagged = service.objects(ANN, "POST", &format!("/{ANN}/c/o?update"));
    tagged.header("x-object-meta-a", "1").send().expect(202);
    service.put("o", "two");
    service.collect(3);
    assert_eq!(service.app.host().blobs().len(), 2);
    service.delete("c?until=99999999999");
    assert_eq!(service.app.host().blobs().len(), 2);
    service.collect(3);
    assert_eq!(service.app.host().blobs(), [format!("block/{}", block_hash(b"two"))]);
    // Purged versions may share their map with what is there now.
    let tagged = service.objects(ANN, "POST", &format!("/{ANN}/c/o?update"));
    tagged.header("x-object-meta-a", "2").send().expect(202);
    service.delete("c?until=99999999999");
    service.collect(3);
    assert_eq!(service.get("o").text(), "two");
}

#[test]
fn a_removed_container_goes_with_all_that_was_in_it() {
    let service = Service::with_container();
    let long = "n".repeat(600);
    for name in ["a", long.as_str()] {
        service.put(name, "one");
        service.put(name, "two");
        service.delete(&format!("c/{name}"));
    }
    service.delete("c");
    assert!(!service.keys("h/").is_empty());
    service.collect(6);
    assert!(service.app.host().blobs().is_empty());
    for class in ["b/", "r/", "g/", "m/", "h/", "o/", "n/"] {
        assert!(service.keys(class).is_empty(), "{class}: {:?}", service.keys(class));
    }
}

#[test]
fn long_lists_are_dealt_with_in_many_small_runs() {
    let service = forgetful();
    let hashes = service.seed(40);
    service.put_map("o", 40 * BLOCK, &hashes).expect(201);
    service.put_map("keep", BLOCK, &hashes[..1]).expect(201);
    service.delete("c/o");
    assert_eq!(service.app.host().blobs().len(), 40);
    for _ in 0..20 {
        service.app.host().install();
        collector::collect(Duration::ZERO, 1).unwrap();
    }
    assert_eq!(service.app.host().blobs(), [format!("block/{}", hashes[0])]);
    assert!(service.keys("g/").is_empty() && service.keys("m/").is_empty());
    assert_eq!(service.keys("r/").len(), 1);
}

#[test]
fn a_crash_in_the_middle_of_an_upload_leaves_nothing_for_good() {
    let service = Service::with_container();
    let before = service.app.host().keys();
    let hashes = service.seed(40);
    // The collector's key, the list, the references, the object.
    for commits in 0..4 {
        for _ in 0..commits {
            service.app.host().before_next_commit(|_: &Host| ());
        }
        service.app.host().before_next_commit(|host: &Host| {
            host.fail_next_commit(plugbay_sdk::kv::Error::Storage("disk".into()));
        });
        assert_eq!(service.put_map("o", 40 * BLOCK, &hashes).status, 500, "{commits}");
    }
    service.get("o").expect(404);
    service.collect(4);
    assert_eq!(service.app.host().keys(), before);
    assert!(service.app.host().blobs().is_empty());
}

#[test]
fn an_upload_that_the_collector_has_given_up_fails_cleanly() {
    let service = Service::with_container();
    let hashes = service.seed(20);
    // The collector comes by just before the object is committed.
    for _ in 0..3 {
        service.app.host().before_next_commit(|_: &Host| ());
    }
    service.app.host().before_next_commit(|host: &Host| {
        let pending = host.keys().into_iter().find(|key| key.starts_with("g/")).unwrap();
        let value = host.get(&pending).unwrap();
        host.put(&pending, value);
    });
    let put = service.put_map("o", 20 * BLOCK, &hashes);
    assert_eq!(put.status, 503, "{}", put.text());
    service.get("o").expect(404);
    service.collect(3);
    assert!(service.app.host().blobs().is_empty());
}

#[test]
fn what_does_not_read_keeps_nothing_else_back() {
    let service = Service::with_container();
    service.app.host().put("g/0000000000000000/broken", "no json");
    service.post_blocks(b"hello");
    service.collect(2);
    assert!(service.app.host().blobs().is_empty());
    service.app.host().set_config(&json!({ "collect_after": "soon" }));
    assert_eq!(service.app.run_periodic(collector::JOB), Outcome::Done);
}
