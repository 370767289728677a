//! Calls on whole subtrees.

use std::time::Instant;

use plugbay_sdk::{kv, testing::TestAnswer};
use serde_json::Value;

use super::{ANN, BEN, Service, fault};

impl Service {
    fn call(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> TestAnswer {
        let mut request = self.objects(ANN, method, &format!("/{ANN}{target}"));
        for (name, value) in fields {
            request = request.header(name, *value);
        }
        request.send()
    }

    fn all(&self, container: &str) -> Vec<String> {
        let answer = self.objects(ANN, "GET", &format!("/{ANN}/{container}")).send();
        answer.text().lines().map(str::to_owned).collect()
    }

    fn counts(&self, container: &str) -> (String, String) {
        let head = self.objects(ANN, "HEAD", &format!("/{ANN}/{container}")).send().expect(204);
        let field = |name: &str| head.header(name).unwrap().to_owned();
        (field("x-container-object-count"), field("x-container-bytes-used"))
    }

    fn tree() -> Service {
        let service = Service::with_container();
        service.put_type("a", "application/directory");
        for name in ["a/1", "a/b/2", "a0", "b", "x"] {
            service.put(name, "x");
        }
        service
    }
}

#[test]
fn a_container_is_emptied_and_stays() {
    let service = Service::tree();
    let id = service.register("b", "image", true);
    service.call("DELETE", "/c?delimiter=/", &[]).expect(204);
    assert!(service.all("c").is_empty());
    assert_eq!(service.counts("c"), ("0".into(), "0".into()));
    assert_eq!(service.images(ANN, "HEAD", &format!("/images/{id}")).send().status, 404);
    let keys = service.app.host().keys();
    assert!(!keys.iter().any(|key| ["i/", "l/", "s/", "w/", "o/"].iter().any(|class| key.starts_with(class))));
    service.call("DELETE", "/c?delimiter=/", &[]).expect(204);
    service.call("DELETE", "/c", &[]).expect(204);
    fault(&service.call("DELETE", "/c?delimiter=/", &[]), 404, "itemNotFound");
    let other = service.objects(BEN, "DELETE", &format!("/{ANN}/c?delimiter=/")).send();
    fault(&other, 403, "forbidden");
}

#[test]
fn an_object_goes_with_what_is_below_it() {
    let service = Service::tree();
    service.call("DELETE", "/c/a?delimiter=/", &[]).expect(204);
    assert_eq!(service.all("c"), ["a0", "b", "x"]);
    fault(&service.call("DELETE", "/c/a?delimiter=/", &[]), 404, "itemNotFound");
    // A directory need not be an object.
    service.put("d/1", "x");
    service.call("DELETE", "/c/d?delimiter=/", &[]).expect(204);
    assert_eq!(service.all("c"), ["a0", "b", "x"]);
    // An empty delimiter is none.
    service.put("b/1", "x");
    service.call("DELETE", "/c/b?delimiter=", &[]).expect(204);
    assert_eq!(service.all("c"), ["a0", "b/1", "x"]);
}

#[test]
fn a_subtree_is_copied_by_either_end() {
    let service = Service::tree();
    service.call("PUT", "/d", &[]).expect(201);
    service.call("POST", "/c/a/1?update", &[("x-object-meta-color", "blue"), ("x-object-sharing", "read=*")]);
    let copied = service.call("COPY", "/c/a?delimiter=/", &[("destination", "/d/new"), ("x-object-meta-top", "1")]);
    assert!(copied.expect(201).header("x-object-version").is_some());
    assert_eq!(service.all("d"), ["new", "new/1", "new/b/2"]);
    assert_eq!(service.all("c").len(), 6);
    let head = |target: &str| service.call("HEAD", target, &[]).expect(200);
    assert_eq!(head("/d/new/1").header("x-object-meta-color"), Some("blue"));
    assert_eq!(head("/d/new/1").header("x-object-sharing"), None);
    // What the request says of metadata is said of the object it names.
    assert_eq!(head("/d/new/1").header("x-object-meta-top"), None);
    assert_eq!(head("/d/new").header("x-object-meta-top"), Some("1"));
    assert_ne!(head("/d/new/1").header("x-object-uuid"), head("/c/a/1").header("x-object-uuid"));
    let again = service.call("PUT", "/d/new?delimiter=/", &[("x-copy-from", "/c/a"), ("content-length", "0")]);
    again.expect(201);
    assert_eq!(service.counts("d"), ("3".into(), "2".into()));
    fault(&service.call("COPY", "/c/none?delimiter=/", &[("destination", "/d/n")]), 404, "itemNotFound");
    fault(&service.call("COPY", "/c/a?delimiter=/", &[("destination", "/none/n")]), 404, "itemNotFound");
    let unmatched = [("destination", "/d/new"), ("if-none-match", "*")];
    fault(&service.call("COPY", "/c/a?delimiter=/", &unmatched), 412, "preconditionFailed");
}

#[test]
fn a_subtree_moves_with_its_uuids_and_images() {
    let service = Service::tree();
    let id = service.register("a/1", "image", false);
    let moved = service.call("PUT", "/c/z?delimiter=/", &[("x-move-from", "/c/a"), ("content-length", "0")]);
    moved.expect(201);
    assert_eq!(service.all("c"), ["a0", "b", "x", "z", "z/1", "z/b/2"]);
    assert_eq!(service.counts("c"), ("6".into(), "5".into()));
    let image = service.images(ANN, "HEAD", &format!("/images/{id}")).send().expect(200);
    assert_eq!(image.header("x-image-meta-location"), Some(format!("pithos://{ANN}/c/z/1").as_str()));
    service.call("MOVE", "/c/z?delimiter=/", &[("destination", "/c/a")]).expect(201);
    assert_eq!(service.all("c"), ["a", "a/1", "a/b/2", "a0", "b", "x"]);
}

#[test]
fn a_subtree_does_not_go_into_itself_or_its_parent() {
    let service = Service::tree();
    service.put_type("a/b", "application/directory");
    for (source, target) in [("a", "/c/a/b"), ("a/b", "/c/a")] {
        for method in ["COPY", "MOVE"] {
            let refused = service.call(method, &format!("/c/{source}?delimiter=/"), &[("destination", target)]);
            fault(&refused, 400, "badRequest");
        }
    }
    // Onto itself it is a change of the object alone.
    service.call("COPY", "/c/a?delimiter=/", &[("destination", "/c/a"), ("x-object-meta-k", "v")]).expect(201);
    assert_eq!(service.all("c").len(), 7);
}

#[test]
fn others_take_what_they_may_read_to_their_own_account() {
    let service = Service::tree();
    service.objects(BEN, "PUT", &format!("/{BEN}/mine")).send().expect(201);
    for name in ["a", "b"] {
        service.call("POST", &format!("/c/{name}?update"), &[("x-object-sharing", &format!("read={BEN}"))]).expect(202);
    }
    service.call("POST", "/c/a/b/2?update", &[("x-object-sharing", "read=nobody")]).expect(202);
    let copy = |method: &str| {
        service
            .objects(BEN, method, &format!("/{ANN}/c/a?delimiter=/"))
            .header("destination", "/mine/a")
            .header("destination-account", BEN)
            .send()
    };
    copy("COPY").expect(201);
    let listed = service.objects(BEN, "GET", &format!("/{BEN}/mine")).send();
    assert_eq!(listed.text(), "a\na/1\n");
    fault(&copy("MOVE"), 403, "forbidden");
    let into_ann = service
        .objects(BEN, "COPY", &format!("/{BEN}/mine/a?delimiter=/"))
        .header("destination", "/c/q")
        .header("destination-account", ANN)
        .send();
    fault(&into_ann, 403, "forbidden");
}

#[test]
fn a_call_that_broke_off_can_be_made_again() {
    let service = Service::with_container();
    service.put_type("a", "application/directory");
    for n in 0..40 {
        service.put(&format!("a/{n:02}"), "x");
    }
    service.app.host().before_next_commit(|_| ());
    service.app.host().before_next_commit(|host| host.fail_next_commit(kv::Error::Storage("disk".into())));
    let broken = service.call("MOVE", "/c/a?delimiter=/", &[("destination", "/c/b")]);
    fault(&broken, 500, "internalServerError");
    let before = service.all("c");
    assert!(before.iter().any(|name| name.starts_with("b/")) && before.contains(&"a".to_owned()));
    assert_eq!(before.len(), 41);
    service.call("MOVE", "/c/a?delimiter=/", &[("destination", "/c/b")]).expect(201);
    let after = service.all("c");
    assert!(after.len() == 41 && after.iter().all(|name| name.starts_with('b')));
    assert_eq!(service.counts("c"), ("41".into(), "40".into()));
}

#[test]
fn a_race_within_a_group_is_lost_and_tried_again() {
    let service = Service::tree();
    let key = service.app.host().keys().into_iter().find(|key| key.ends_with("/a/1")).unwrap();
    service.app.host().before_next_commit(move |host| {
        let mut object: Value = host.get_json(&key).unwrap();
        object["meta"]["Color"] = "blue".into();
        host.put_json(&key, &object);
    });
    service.call("MOVE", "/c/a?delimiter=/", &[("destination", "/c/z")]).expect(201);
    assert_eq!(service.call("HEAD", "/c/z/1", &[]).header("x-object-meta-color"), Some("blue"));
}

#[test]
fn objects_with_much_that_follows_from_them_go_as_well() {
    let service = Service::with_container();
    let readers: Vec<String> = (0..150).map(|n| format!("u{n}")).collect();
    for name in ["a/1", "a/2", "a"] {
        service.put(name, "x");
        service
            .call("POST", &format!("/c/{name}?update"), &[("x-object-sharing", &format!("read={}", readers.join(",")))])
            .expect(202);
    }
    let long = format!("a/{}", "n".repeat(1000));
    service.put(&long, "x");
    service.call("COPY", "/c/a?delimiter=/", &[("destination", "/c/b")]).expect(201);
    service.call("MOVE", "/c/a?delimiter=/", &[("destination", "/c/d")]).expect(201);
    assert_eq!(service.all("c").len(), 8);
    service.call("DELETE", "/c?delimiter=/", &[]).expect(204);
    assert!(service.all("c").is_empty());
    assert!(!service.app.host().keys().iter().any(|key| key.starts_with("s/") || key.starts_with("w/")));
}

#[test]
fn names_that_begin_alike_and_are_long_go_in_one_commit() {
    let service = Service::with_container();
    let long = "k".repeat(1022);
    for name in ["a", "a/1", "a/2", "a/3"] {
        service.put(name, "x");
    }
    service.call("COPY", "/c/a?delimiter=/", &[("destination", &format!("/c/{long}"))]).expect(201);
    assert_eq!(service.all("c").len(), 8);
    service.call("MOVE", &format!("/c/{long}?delimiter=/"), &[("destination", "/c/b")]).expect(201);
    assert_eq!(service.all("c"), ["a", "a/1", "a/2", "a/3", "b", "b/1", "b/2", "b/3"]);
    service.call("COPY", "/c/a?delimiter=/", &[("destination", &format!("/c/{long}"))]).expect(201);
    service.call("DELETE", "/c?delimiter=/", &[]).expect(204);
    assert!(service.all("c").is_empty());
}

#[test]
fn a_quota_counts_what_a_call_adds_in_all() {
    let service = Service::with_container();
    service.put("a", "1234567890");
    service.put("a/1", "1234567890");
    service.call("POST", "/c?update", &[("x-container-policy-quota", "30")]).expect(202);
    // Moving within the container takes no room twice, copying does.
    service.call("MOVE", "/c/a?delimiter=/", &[("destination", "/c/b")]).expect(201);
    fault(&service.call("COPY", "/c/b?delimiter=/", &[("destination", "/c/d")]), 413, "requestEntityTooLarge");
}

/// Two thousand objects: what a call on all of them costs in commits. Times are printed, not checked.
#[test]
fn thousands_of_objects_take_hundreds_of_commits() {
    let service = Service::with_container();
    service.put_type("t", "application/directory");
    for n in 0..2_000 {
        service.put_type(&format!("t/{n:04}"), "text/plain");
    }
    let revision = || {
        let version = service.app.host().put("zz", "");
        service.app.host().delete("zz");
        version
    };
    for (method, target, fields) in [
        ("COPY", "/c/t?delimiter=/", &[("destination", "/c/u")][..]),
        ("MOVE", "/c/t?delimiter=/", &[("destination", "/c/v")][..]),
        ("DELETE", "/c?delimiter=/", &[][..]),
    ] {
        let (before, start) = (revision(), Instant::now());
        let status = service.call(method, target, fields).status;
        let commits = revision() - before;
        println!("{method} {target}: {commits} commits, {:?}", start.elapsed());
        assert!(status < 300, "{method}: {status}");
        assert!(commits < 600, "{method}: {commits}");
    }
    assert!(service.all("c").is_empty());
}
