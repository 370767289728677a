//! Changing part of an object's data.

use plugbay_sdk::testing::{Host, TestAnswer, TestRequest};
use proptest::prelude::*;
use serde_json::Value;

use super::{ANN, BEN, BLOCK, Service, block_hash, fault};

impl Service {
    fn post(&self, name: &str, range: &str) -> TestRequest<'_> {
        self.objects(ANN, "POST", &format!("/{ANN}/c/{name}?update&format=json"))
            .header("content-type", "application/octet-stream")
            .header("content-range", range)
    }

    /// Ann lays data over an object of `c`.
    fn over(&self, name: &str, range: &str, data: impl Into<Vec<u8>>) -> TestAnswer {
        let data = data.into();
        self.post(name, range).header("content-length", data.len().to_string()).body(data).send()
    }

    /// The object is what putting these bytes would have made of it.
    #[track_caller]
    fn assert_is(&self, name: &str, data: &[u8]) {
        let get = self.get(name).expect(200);
        assert!(get.body == data, "{} bytes", get.body.len());
        self.put("expected", data);
        let expected = self.get("expected");
        for field in ["etag", "x-object-hash"] {
            assert_eq!(get.header(field), expected.header(field), "{field}");
        }
    }
}

#[test]
fn overwriting_appending_and_what_is_answered() {
    let service = Service::with_container();
    let first = service.put("o", "0123456789");
    let over = service.over("o", "bytes 0-2/*", "abc");
    assert_eq!((over.status, over.body.len()), (204, 0));
    assert_ne!(over.header("x-object-version"), first.header("x-object-version"));
    assert_eq!(over.header("etag"), service.get("o").header("etag"));
    service.assert_is("o", b"abc3456789");
    assert_eq!(service.over("o", "bytes */*", "xyz").status, 204);
    service.assert_is("o", b"abc3456789xyz");
    assert_eq!(service.over("o", "bytes 12-/*", "ZZZ").status, 204);
    service.assert_is("o", b"abc3456789xyZZZ");
    assert_eq!(service.over("o", "bytes 0-0/15", "A").status, 204);
    service.assert_is("o", b"Abc3456789xyZZZ");
    assert_eq!(service.over("o", "bytes 15-15/*", "!").status, 204);
    let chunked = service.post("o", "bytes 0-/*").header("transfer-encoding", "chunked").body("a").send();
    assert_eq!(chunked.status, 204);
    let cut = service.post("o", "bytes 0-0/*").header("content-length", "1").header("x-object-bytes", "4").body("_");
    assert_eq!(cut.send().status, 204);
    service.assert_is("o", b"_bc3");
    let container = service.objects(ANN, "HEAD", &format!("/{ANN}/c")).send();
    assert_eq!(container.header("x-container-bytes-used"), Some("8"));
    let versions: Value = service.get("o?version=list").json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 8);
    let old = first.header("x-object-version").unwrap();
    assert_eq!(service.get(&format!("o?version={old}")).text(), "0123456789");
}

#[test]
fn refusals_of_a_change() {
    let service = Service::with_container();
    service.put("o", "0123456789");
    let bare = service
        .objects(ANN, "POST", &format!("/{ANN}/c/o?update"))
        .header("content-type", "application/octet-stream")
        .header("content-length", "1")
        .body("x")
        .send();
    fault(&bare, 400, "badRequest");
    for (range, status, name) in [
        ("bytes 0-5/*", 400, "badRequest"),
        ("bytes x/*", 400, "badRequest"),
        ("bytes 11-/*", 416, "rangeNotSatisfiable"),
        ("bytes 0-0/9", 416, "rangeNotSatisfiable"),
    ] {
        fault(&service.over("o", range, "x"), status, name);
    }
    fault(&service.post("o", "bytes 0-5/*").header("transfer-encoding", "chunked").body("x").send(), 400, "badRequest");
    fault(&service.post("o", "bytes 0-/*").body("x").send(), 411, "lengthRequired");
    let cut = service.post("o", "bytes 0-/*").header("content-length", "1").header("x-object-bytes", "x").body("x");
    fault(&cut.send(), 400, "badRequest");
    let huge = service.post("o", "bytes 0-/*").header("content-length", "1073741825").send();
    fault(&huge, 413, "requestEntityTooLarge");
    fault(&service.over("none", "bytes 0-/*", "x"), 404, "itemNotFound");
    let ben = service
        .objects(BEN, "POST", &format!("/{ANN}/c/o"))
        .header("content-type", "application/octet-stream")
        .header("content-range", "bytes 0-0/*")
        .header("content-length", "1")
        .body("x")
        .send();
    fault(&ben, 403, "forbidden");
    let condition = service.post("o", "bytes 0-/*").header("if-match", "x").header("content-length", "1").body("x");
    fault(&condition.send(), 412, "preconditionFailed");
    service.post("o", "bytes 0-2/*").header("content-length", "3").body("abc").cut_off().send();
    service.assert_is("o", b"0123456789");
}

#[test]
fn only_touched_blocks_are_made_anew() {
    let service = Service::with_container();
    let mut data: Vec<u8> = (0..4u8).flat_map(|n| vec![n + 1; BLOCK]).collect();
    data.extend(b"tail");
    service.put("o", data.clone());
    let before = service.app.host().blobs().len();
    // Across the border of the second and the third block.
    let at = 2 * BLOCK - 3;
    assert_eq!(service.over("o", &format!("bytes {at}-{}/*", at + 5), "abcdef").status, 204);
    data[at..at + 6].copy_from_slice(b"abcdef");
    assert_eq!(service.app.host().blobs().len(), before + 2);
    service.assert_is("o", &data);
    // A whole block laid over a block is taken as it is; NULs at its end are no part of its hash.
    let block = [vec![9; 5], vec![0; BLOCK - 5]].concat();
    assert_eq!(service.over("o", &format!("bytes {BLOCK}-/*"), block.clone()).status, 204);
    data[BLOCK..2 * BLOCK].copy_from_slice(&block);
    service.assert_is("o", &data);
    let map: Value = service.get("o?hashmap").json();
    assert_eq!(map["hashes"][1], block_hash(&[9; 5]));
    // NULs up to the end, so that the last block shrinks to less than it was.
    let at = 4 * BLOCK + 1;
    assert_eq!(service.over("o", &format!("bytes {at}-/*"), vec![0; BLOCK]).status, 204);
    data.truncate(at);
    data.extend(vec![0; BLOCK]);
    service.assert_is("o", &data);
}

#[test]
fn an_object_is_cut_by_taking_from_itself() {
    let service = Service::with_container();
    let data = [vec![1; BLOCK], vec![2; BLOCK], vec![3; 10]].concat();
    service.put("o", data.clone());
    let cut = |to: usize| {
        service
            .objects(ANN, "POST", &format!("/{ANN}/c/o?update&format=json"))
            .header("content-type", "text/plain")
            .header("content-range", format!("bytes 0-{to}/*"))
            .header("x-object-bytes", to.to_string())
            .header("x-source-object", "/c/o")
            .send()
    };
    for to in [2 * BLOCK + 10, 2 * BLOCK + 4, BLOCK + 1, BLOCK, 7, 0] {
        assert_eq!(cut(to).status, 204, "{to}");
        service.assert_is("o", &data[..to]);
    }
    let head = service.get("o");
    assert_eq!(head.header("content-type"), Some("application/octet-stream"));
}

#[test]
fn bytes_come_from_another_object_or_an_older_version() {
    let service = Service::with_container();
    service.put("o", "0123456789");
    let old = service.put("from", "abcdef").header("x-object-version").unwrap().to_owned();
    service.put("from", "ghijkl");
    let from = |range: &str, version: Option<&str>| {
        let mut post = service
            .objects(ANN, "POST", &format!("/{ANN}/c/o?update"))
            .header("content-range", range)
            .header("x-source-object", "/c/from");
        if let Some(version) = version {
            post = post.header("x-source-version", version);
        }
        post.send()
    };
    assert_eq!(from("bytes 2-4/*", None).status, 204);
    service.assert_is("o", b"01ghi56789");
    assert_eq!(from("bytes 8-/*", Some(&old)).status, 204);
    service.assert_is("o", b"01ghi567abcdef");
    fault(&from("bytes 0-6/*", None), 400, "badRequest");
    fault(&from("bytes 0-1/*", Some("1")), 404, "itemNotFound");
    fault(&from("bytes 15-/*", None), 416, "rangeNotSatisfiable");
}

#[test]
fn a_long_object_is_changed_in_place() {
    let service = Service::with_container();
    let mut hashes = service.seed(20);
    service.put_map("o", 20 * BLOCK, &hashes).expect(201);
    for (laid, whole) in [("end", "end"), (" more", "end more")] {
        assert_eq!(service.over("o", "bytes */*", laid).status, 204);
        hashes.truncate(20);
        hashes.push(block_hash(whole.as_bytes()));
        let map = service.get("o?hashmap").expect(200);
        assert_eq!(map.json::<Value>()["hashes"], serde_json::json!(hashes));
        assert_eq!(map.json::<Value>()["bytes"], 20 * BLOCK + whole.len());
        // Of so many blocks the tag is the root.
        assert_eq!(map.header("etag"), map.header("x-object-hash"));
    }
    assert_eq!(service.over("o", &format!("bytes {}-/*", 7 * BLOCK - 1), "ab").status, 204);
    let range = format!("bytes={}-{}", 7 * BLOCK - 2, 7 * BLOCK + 4);
    let part = service.objects(ANN, "GET", &format!("/{ANN}/c/o")).header("range", range).send().expect(206);
    assert_eq!(part.body, b"\0ab\0\0\x08\0");
    assert!(service.keys("g/").is_empty());
    let cut = service
        .objects(ANN, "POST", &format!("/{ANN}/c/o?update"))
        .header("content-range", "bytes 0-4/*")
        .header("x-object-bytes", "4")
        .header("x-source-object", "/c/o")
        .send();
    assert_eq!(cut.status, 204);
    service.assert_is("o", &[0, 0, 0, 1]);
}

#[test]
fn two_appends_at_once_are_both_there() {
    let service = Service::with_container();
    service.put("o", "a");
    service.put("other", "ab");
    let keys = service.keys("o/");
    let (head, other) = (keys[0].clone(), keys[1].clone());
    let mut theirs: Value = service.app.host().get_json(&head).unwrap();
    let content: Value = service.app.host().get_json::<Value>(&other).unwrap()["content"].clone();
    theirs["content"] = content;
    theirs["version"] = (theirs["version"].as_u64().unwrap() + 5).into();
    service.app.host().before_next_commit(move |host: &Host| host.put_json(&head, &theirs));
    assert_eq!(service.over("o", "bytes */*", "c").status, 204);
    assert_eq!(service.get("o").text(), "abc");
}

#[test]
fn a_long_append_that_loses_the_race_is_made_anew_of_what_was_written() {
    let service = Service::with_container();
    let hashes = service.seed(18);
    service.put_map("o", 18 * BLOCK, &hashes).expect(201);
    let head = service.keys("o/").remove(0);
    // Pass over the commits that write ahead; the other writer comes in before the last.
    let host = service.app.host();
    for _ in 0..3 {
        host.before_next_commit(|_: &Host| ());
    }
    host.before_next_commit(move |host: &Host| {
        let mut theirs: Value = host.get_json(&head).unwrap();
        theirs["content"]["size"] = (18 * BLOCK - 2).into();
        theirs["version"] = (theirs["version"].as_u64().unwrap() + 5).into();
        host.put_json(&head, &theirs);
    });
    let more = vec![b'x'; BLOCK];
    assert_eq!(service.over("o", "bytes */*", more).status, 204);
    let map: Value = service.get("o?hashmap").json();
    let border = [vec![0, 0, 0, 18], vec![0; BLOCK - 6], vec![b'x'; 2]].concat();
    assert_eq!(map["bytes"], 19 * BLOCK - 2);
    assert_eq!(map["hashes"][17], block_hash(&border));
    assert_eq!(map["hashes"][18], block_hash(&vec![b'x'; BLOCK - 2]));
}

#[test]
fn metadata_sharing_and_publicity_come_with_a_change_of_data() {
    let service = Service::with_container();
    service.put("o", "0");
    let post = service.post("o", "bytes */*").header("content-length", "1").header("x-object-meta-color", "blue");
    let post = post.header("x-object-public", "true").header("x-object-sharing", format!("write={BEN}"));
    assert_eq!(post.body("1").send().status, 204);
    let head = service.get("o");
    assert!(head.header("x-object-public").is_some());
    assert_eq!(head.header("x-object-meta-color"), Some("blue"));
    let ben = service
        .objects(BEN, "POST", &format!("/{ANN}/c/o?update"))
        .header("content-type", "application/octet-stream")
        .header("content-range", "bytes */*")
        .header("content-length", "1")
        .body("2")
        .send();
    assert_eq!(ben.status, 204);
    assert_eq!(service.get("o").text(), "012");
    assert_eq!(service.get("o").header("x-object-modified-by"), Some(BEN));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_change_is_what_splicing_the_bytes_gives(
        base in 0usize..2 * BLOCK + 5, at in 0usize..2 * BLOCK + 5, length in 0usize..BLOCK + 5,
        zeros in any::<bool>(), cut in prop::option::of(0usize..3 * BLOCK),
    ) {
        let service = Service::with_container();
        let at = at.min(base);
        let mut data: Vec<u8> = (0..base).map(|n| if n % BLOCK < 99 { u8::try_from(n % 97).unwrap() } else { 0 }).collect();
        service.put("o", data.clone());
        let laid = vec![if zeros { 0 } else { b'x' }; length];
        let mut post = service.post("o", &format!("bytes {at}-/*")).header("content-length", length.to_string());
        if let Some(cut) = cut {
            post = post.header("x-object-bytes", cut.to_string());
        }
        prop_assert_eq!(post.body(laid.clone()).send().status, 204);
        data.resize(base.max(at + length), 0);
        data[at..at + length].copy_from_slice(&laid);
        data.truncate(cut.unwrap_or(usize::MAX));
        service.assert_is("o", &data);
    }
}
