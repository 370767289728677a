//! What is refused changes nothing and leaves nothing.

use plugbay_sdk::testing::{TestAnswer, TestRequest};

use super::{ANN, BEN, BLOCK, Service, fault};

impl Service {
    fn with_metadata(&self, method: &str, target: &str, entries: usize) -> TestRequest<'_> {
        let request = self.objects(ANN, method, &format!("/{ANN}{target}"));
        (0..entries).fold(request, |request, n| request.header(&format!("x-object-meta-m{n}"), "1"))
    }

    fn head(&self, name: &str) -> TestAnswer {
        self.objects(ANN, "HEAD", &format!("/{ANN}/c/{name}")).send().expect(200)
    }

    fn contents(&self) -> Vec<String> {
        self.objects(ANN, "GET", &format!("/{ANN}/c")).send().text().lines().map(str::to_owned).collect()
    }

    fn limit(&self, bytes: u64) {
        self.objects(ANN, "POST", &format!("/{ANN}/c?update"))
            .header("x-container-policy-quota", bytes.to_string())
            .send()
            .expect(202);
    }
}

#[test]
fn a_post_with_too_much_metadata_neither_shares_nor_publishes() {
    let service = Service::with_container();
    service.put("a", "x");
    let refused = service
        .with_metadata("POST", "/c/a?update", 33)
        .header("x-object-sharing", format!("read={BEN}"))
        .header("x-object-public", "true")
        .send();
    fault(&refused, 400, "badRequest");
    assert_eq!(service.head("a").header("x-object-sharing"), None);
    assert_eq!(service.head("a").header("x-object-public"), None);
}

#[test]
fn a_post_shares_publishes_and_describes_at_once() {
    let service = Service::with_container();
    service.put("a", "x");
    let post = |fields: &[(&str, &str)]| {
        let request = service.objects(ANN, "POST", &format!("/{ANN}/c/a?update"));
        fields.iter().fold(request, |request, (name, value)| request.header(name, *value)).send().expect(202)
    };
    let read = format!("read={BEN}");
    let version = service.head("a").header("x-object-version").unwrap().to_owned();
    let answer = post(&[("x-object-sharing", &read), ("x-object-public", "true")]);
    assert_eq!(answer.header("x-object-version"), None, "permissions make no version");
    let head = service.head("a");
    assert_eq!(head.header("x-object-version"), Some(version.as_str()));
    assert_eq!(head.header("x-object-sharing"), Some(read.as_str()));
    assert!(head.header("x-object-public").is_some());
    let answer = post(&[("x-object-sharing", ""), ("x-object-public", "false"), ("x-object-meta-k", "v")]);
    assert!(answer.header("x-object-version").is_some());
    let head = service.head("a");
    assert_eq!(head.header("x-object-sharing"), None);
    assert_eq!(head.header("x-object-public"), None);
    assert_eq!(head.header("x-object-meta-k"), Some("v"));
}

#[test]
fn a_subtree_is_not_copied_if_its_root_is_refused() {
    let service = Service::with_container();
    for name in ["a", "a/1", "a/2"] {
        service.put(name, "x");
    }
    let refused = service.with_metadata("COPY", "/c/a?delimiter=/", 33).header("destination", "/c/b").send();
    fault(&refused, 400, "badRequest");
    assert_eq!(service.contents(), ["a", "a/1", "a/2"]);
}

#[test]
fn a_change_of_data_with_too_much_metadata_takes_no_data() {
    let service = Service::with_container();
    service.put("a", "x");
    let refused = service
        .with_metadata("POST", "/c/a?update", 33)
        .header("content-type", "application/octet-stream")
        .header("content-range", "bytes */*")
        .header("content-length", "1")
        .body("y")
        .send();
    fault(&refused, 400, "badRequest");
    assert_eq!(service.get("a").text(), "x");
    assert_eq!(service.keys("b/").len(), 1);
}

#[test]
fn data_beyond_a_quota_are_refused_before_they_are_taken() {
    let service = Service::with_container();
    service.limit(100);
    let put = |length: usize| {
        service
            .objects(ANN, "PUT", &format!("/{ANN}/c/a"))
            .header("content-type", "text/plain")
            .header("content-length", length.to_string())
    };
    // No body comes: it is not asked for.
    fault(&put(101).send(), 413, "requestEntityTooLarge");
    put(100).body(vec![1; 100]).send().expect(201);
    put(100).body(vec![2; 100]).send().expect(201);
    let over = |range: &str, length: usize| {
        service
            .objects(ANN, "POST", &format!("/{ANN}/c/a?update"))
            .header("content-type", "application/octet-stream")
            .header("content-range", range)
            .header("content-length", length.to_string())
    };
    fault(&over("bytes */*", 1).send(), 413, "requestEntityTooLarge");
    fault(&over("bytes 99-/*", 2).send(), 413, "requestEntityTooLarge");
    over("bytes 99-/*", 1).body("x").send().expect(204);
    over("bytes 99-/*", 5).header("x-object-bytes", "100").body("xxxxx").send().expect(204);
}

#[test]
fn a_quota_that_refuses_a_long_upload_leaves_no_block() {
    let service = Service::with_container();
    service.limit(100);
    let data: Vec<u8> = (0..17u8).flat_map(|n| vec![n + 1; BLOCK]).collect();
    let refused = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/a"))
        .header("content-type", "text/plain")
        .header("transfer-encoding", "chunked")
        .body(data)
        .send();
    fault(&refused, 413, "requestEntityTooLarge");
    for class in ["b/", "r/", "m/", "g/", "o/"] {
        assert!(service.keys(class).is_empty(), "{class}");
    }
}

#[test]
fn policies_that_do_not_exist_are_refused() {
    let service = Service::with_container();
    for (method, target) in [("PUT", "/d"), ("POST", "/c?update")] {
        let refused =
            service.objects(ANN, method, &format!("/{ANN}{target}")).header("x-container-policy-colour", "1").send();
        fault(&refused, 400, "badRequest");
    }
    assert_eq!(service.objects(ANN, "HEAD", &format!("/{ANN}/d")).send().status, 404);
}

#[test]
fn methods_that_a_path_does_not_have_are_not_allowed() {
    let service = Service::with_container();
    service.put("a", "x");
    let account = format!("/{ANN}");
    for (method, target, allow) in [
        ("PATCH", "/c/a", "HEAD, GET, PUT, POST, COPY, MOVE, DELETE"),
        ("COPY", "/c", "HEAD, GET, PUT, POST, DELETE"),
        ("MOVE", "", "HEAD, GET, POST"),
        ("PUT", "", "HEAD, GET, POST"),
    ] {
        let answer = service.objects(ANN, method, &format!("{account}{target}")).send();
        fault(&answer, 405, "notAllowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {target}");
    }
}
