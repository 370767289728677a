//! Accounts, containers, objects: sheet by sheet of the object store's rules.

use serde_json::{Value, json};

use super::{ANN, BEN, Service, fault};

const BLOCK: usize = 4 * 1024 * 1024;

#[test]
fn faults_have_the_shape_of_their_cause() {
    let service = Service::with_container();
    let anonymous = service.app.get(&format!("/{ANN}")).surface("objects").send();
    fault(&anonymous, 401, "unauthorized");
    let refused = service
        .app
        .get(&format!("/{ANN}"))
        .surface("objects")
        .caller(plugbay_sdk::Caller::Rejected("expired".into()))
        .send();
    fault(&refused, 401, "fault");
    assert!(refused.json::<Value>()["fault"]["details"].as_str().unwrap().contains("expired"));
    let unknown = service.objects(ANN, "DELETE", "/").send();
    fault(&unknown, 405, "notAllowed");
    assert_eq!(unknown.header("allow"), Some("GET"));
    let put = service.objects(ANN, "PUT", &format!("/{ANN}")).send();
    assert_eq!(put.header("allow"), Some("HEAD, GET, POST"));
    assert_eq!(fault(&service.objects(ANN, "GET", "/a%2Fb/c").send(), 400, "badRequest"), "API endpoint not found");
    let xml = service.objects(ANN, "GET", &format!("/{ANN}/none/x")).header("accept", "application/xml").send();
    assert!(xml.text().contains("<itemNotFound code=\"404\">"));
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}/c/none")).send();
    assert_eq!((head.status, head.body.len()), (404, 0));
}

#[test]
fn a_token_in_the_query_is_looked_at_first() {
    let service = Service::with_container();
    let ben = plugbay_sdk::User { id: BEN.into(), name: "ben".into(), project: None, roles: vec![], extra: vec![] };
    service.app.host().add_token("t", ben);
    let as_ben = service.objects(ANN, "HEAD", &format!("/{BEN}?X-Auth-Token=t")).send();
    assert_eq!(as_ben.status, 204);
    let bad = service.objects(ANN, "GET", &format!("/{ANN}?X-Auth-Token=x")).send();
    fault(&bad, 401, "fault");
}

#[test]
fn a_token_comes_in_any_spelling_of_its_header() {
    let service = Service::with_container();
    let ben = plugbay_sdk::User { id: BEN.into(), name: "ben".into(), project: None, roles: vec![], extra: vec![] };
    service.app.host().add_token("t", ben);
    let head = |token: &str| {
        service.app.request("HEAD", &format!("/{BEN}")).surface("objects").header("X_Auth_Token", token).send().status
    };
    assert_eq!(head("t"), 204);
    assert_eq!(head("x"), 401);
}

#[test]
fn an_object_goes_in_and_comes_out() {
    let service = Service::with_container();
    let put = service.put("a%20b/%E2%98%82", "hello");
    assert_eq!(put.header("etag"), Some("5d41402abc4b2a76b9719d911017c592"));
    let get = service.objects(ANN, "GET", &format!("/{ANN}/c/a%20b/%E2%98%82")).send().expect(200);
    assert_eq!(get.text(), "hello");
    assert_eq!(get.header("x-object-hash"), Some("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"));
    assert_eq!(get.header("x-object-version"), put.header("x-object-version"));
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}/c/a%20b/%E2%98%82")).send().expect(200);
    assert_eq!(head.header("content-length"), Some("5"));
    assert_eq!(head.header("content-type"), Some("application/octet-stream"));
    assert_eq!(head.header("x-object-modified-by"), Some(ANN));
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/a%20b/%E2%98%82")).send().expect(204);
    let gone = service.objects(ANN, "GET", &format!("/{ANN}/c/a%20b/%E2%98%82")).send();
    fault(&gone, 404, "itemNotFound");
}

#[test]
fn a_write_needs_a_length_a_type_and_a_container() {
    let service = Service::with_container();
    let put = |container: &str| service.objects(ANN, "PUT", &format!("/{ANN}/{container}/o"));
    let kind = ("content-type", "text/plain");
    let no_length = put("c").header(kind.0, kind.1).send();
    fault(&no_length, 411, "lengthRequired");
    fault(&put("c").header("content-length", "0").send(), 411, "lengthRequired");
    let chunked = put("c").header(kind.0, kind.1).header("transfer-encoding", "chunked").body("x").send();
    assert_eq!(chunked.status, 201);
    let missing = put("none").header(kind.0, kind.1).header("content-length", "0").send();
    assert_eq!(fault(&missing, 404, "itemNotFound"), "Container does not exist");
    let huge = put("c").header(kind.0, kind.1).header("content-length", "5368709121").send();
    fault(&huge, 413, "requestEntityTooLarge");
}

#[test]
fn a_wrong_md5_or_a_cut_body_leaves_nothing() {
    let service = Service::with_container();
    let before = service.app.host().keys();
    let put = || {
        service
            .objects(ANN, "PUT", &format!("/{ANN}/c/o"))
            .header("content-type", "text/plain")
            .header("content-length", "5")
            .body("hello")
    };
    let wrong = put().header("etag", "0".repeat(32)).send();
    fault(&wrong, 422, "unprocessableEntity");
    put().cut_off().send();
    assert_eq!(service.app.host().keys(), before);
    assert!(service.app.host().blobs().is_empty());
    put().header("etag", "\"5D41402ABC4B2A76B9719D911017C592\"").send().expect(201);
}

#[test]
fn blocks_are_shared_and_nuls_come_back() {
    let service = Service::with_container();
    let mut data = vec![7u8; BLOCK];
    data.extend(vec![0u8; BLOCK]);
    data.extend(vec![7u8; BLOCK]);
    data.extend(b"tail\0\0\0");
    service.put("big", data.clone());
    service.put("same", data.clone());
    service.put("tail", "tail");
    // Equal blocks once, the block of NULs not at all.
    assert_eq!(service.app.host().blobs().len(), 2);
    let get = service.objects(ANN, "GET", &format!("/{ANN}/c/big")).send().expect(200);
    assert!(get.body == data);
    let range = format!("bytes={}-{}", BLOCK - 3, 2 * BLOCK + 2);
    let part = service.objects(ANN, "GET", &format!("/{ANN}/c/big")).header("range", range).send().expect(206);
    assert!(part.body == data[BLOCK - 3..2 * BLOCK + 3]);
    let tail = service.objects(ANN, "GET", &format!("/{ANN}/c/big")).header("range", "bytes=-5").send().expect(206);
    assert_eq!(tail.body, b"il\0\0\0");
}

#[test]
fn more_blocks_than_fit_a_commit_are_written_ahead() {
    let service = Service::with_container();
    let data: Vec<u8> = (0..26u8).flat_map(|n| std::iter::once(n + 1).chain(vec![0; BLOCK - 1])).collect();
    service.put("big", data.clone());
    assert_eq!(service.app.host().blobs().len(), 26);
    let pending = |keys: Vec<String>| keys.into_iter().filter(|key| key.starts_with("g/")).count();
    assert_eq!(pending(service.app.host().keys()), 0);
    let range = format!("bytes={}-{}", 24 * BLOCK - 1, 25 * BLOCK);
    let part = service.objects(ANN, "GET", &format!("/{ANN}/c/big")).header("range", range).send().expect(206);
    assert!(part.body == data[24 * BLOCK - 1..=25 * BLOCK]);
    let copy = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/copy"))
        .header("x-copy-from", "/c/big")
        .header("content-length", "0")
        .send();
    assert_eq!(copy.status, 201);
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}/c/copy")).send();
    assert_eq!(head.header("content-length"), Some((26 * BLOCK).to_string().as_str()));
    assert_eq!(pending(service.app.host().keys()), 0);
    assert_eq!(service.app.host().blobs().len(), 26);
}

#[test]
fn an_empty_object_has_the_empty_hash() {
    let service = Service::with_container();
    let put = service.put("empty", "");
    assert_eq!(put.header("etag"), Some("d41d8cd98f00b204e9800998ecf8427e"));
    let get = service.objects(ANN, "GET", &format!("/{ANN}/c/empty")).send().expect(200);
    assert!(get.body.is_empty());
    assert_eq!(get.header("x-object-hash"), Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

#[test]
fn several_ranges_are_a_multipart_answer() {
    let service = Service::with_container();
    service.put("o", "0123456789");
    let get = |range: &str| service.objects(ANN, "GET", &format!("/{ANN}/c/o")).header("range", range).send();
    let several = get("bytes=0-1,8-9").expect(206);
    let boundary =
        several.header("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
    let part = |range: &str, text: &str| {
        format!(
            "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {range}/10\r\n\r\n{text}\r\n"
        )
    };
    assert_eq!(several.text(), format!("{}{}--{boundary}--\r\n", part("0-1", "01"), part("8-9", "89")));
    assert_eq!(get("bytes=4-6").header("content-range"), Some("bytes 4-6/10"));
    fault(&get("bytes=4-10"), 416, "rangeNotSatisfiable");
    assert_eq!(get("bytes=x").status, 200);
}

#[test]
fn conditions_hold_for_reads_and_writes() {
    let service = Service::with_container();
    let etag = service.put("o", "one").header("etag").unwrap().to_owned();
    let get = |name: &str, value: &str| service.objects(ANN, "GET", &format!("/{ANN}/c/o")).header(name, value).send();
    let unchanged = get("if-none-match", &etag);
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    fault(&get("if-match", "other"), 412, "preconditionFailed");
    let put = |name: &str, value: &str| {
        service
            .objects(ANN, "PUT", &format!("/{ANN}/c/o"))
            .header("content-type", "text/plain")
            .header("content-length", "3")
            .header(name, value)
            .body("two")
            .send()
    };
    fault(&put("if-none-match", "*"), 412, "preconditionFailed");
    fault(&put("if-match", "other"), 412, "preconditionFailed");
    assert_eq!(put("if-match", &etag).status, 201);
}

#[test]
fn metadata_merges_with_update_and_is_replaced_without() {
    let service = Service::with_container();
    service
        .objects(ANN, "PUT", &format!("/{ANN}/c/o"))
        .header("content-type", "text/plain")
        .header("content-length", "0")
        .header("X-Object-Meta-Color", "blue")
        .header("X_Object_Meta_one_TWO", "%E2%98%82*")
        .header("X-Object-Meta-caf%C3%A9%2F", "1")
        .header("Content-Disposition", "attachment")
        .send()
        .expect(201);
    let head = || service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send();
    let before = head();
    assert_eq!(before.header("x-object-meta-one-two"), Some("%E2%98%82%2A"));
    assert_eq!(before.header("x-object-meta-caf%c3%a9%2f"), Some("1"));
    assert_eq!(before.header("content-disposition"), Some("attachment"));
    let post = |query: &str, name: &str, value: &str| {
        service.objects(ANN, "POST", &format!("/{ANN}/c/o{query}")).header(name, value).send().expect(202)
    };
    post("?update", "X-Object-Meta-Color", "");
    assert_eq!(head().header("x-object-meta-color"), None);
    assert!(head().header("x-object-meta-one-two").is_some());
    let answer = post("", "X-Object-Meta-New", "1");
    assert_eq!(head().header("x-object-version"), answer.header("x-object-version"));
    assert_ne!(head().header("x-object-version"), before.header("x-object-version"));
    assert_eq!(head().header("x-object-meta-one-two"), None);
    let bare = service.objects(ANN, "POST", &format!("/{ANN}/c/o?update")).send();
    assert_eq!((bare.status, bare.header("x-object-version")), (202, None));
}

#[test]
fn at_most_32_metadata_items() {
    let service = Service::with_container();
    let put = |count: usize| {
        let mut request = service
            .objects(ANN, "PUT", &format!("/{ANN}/c/o"))
            .header("content-type", "text/plain")
            .header("content-length", "0");
        for n in 0..count {
            request = request.header(&format!("x-object-meta-k{n}"), "v");
        }
        request.send()
    };
    fault(&put(33), 400, "badRequest");
    assert_eq!(put(32).status, 201);
}

#[test]
fn containers_count_what_they_hold() {
    let service = Service::with_container();
    let again = service.objects(ANN, "PUT", &format!("/{ANN}/c")).send();
    assert_eq!(again.status, 202);
    service.put("a", "12345");
    service.put("b", "1");
    service.put("a", "123");
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}/c")).send().expect(204);
    assert_eq!(head.header("x-container-object-count"), Some("2"));
    assert_eq!(head.header("x-container-bytes-used"), Some("4"));
    assert_eq!(head.header("x-container-block-size"), Some("4194304"));
    assert_eq!(head.header("x-container-block-hash"), Some("sha256"));
    assert_eq!(head.header("x-container-policy-versioning"), Some("auto"));
    let account = service.objects(ANN, "HEAD", &format!("/{ANN}")).send().expect(204);
    assert_eq!(account.header("x-account-container-count"), Some("1"));
    assert_eq!(account.header("x-account-bytes-used"), Some("4"));
    let full = service.objects(ANN, "DELETE", &format!("/{ANN}/c")).send();
    fault(&full, 409, "conflict");
    for name in ["a", "b"] {
        service.objects(ANN, "DELETE", &format!("/{ANN}/c/{name}")).send().expect(204);
    }
    service.objects(ANN, "DELETE", &format!("/{ANN}/c?until=1795223008.83")).send().expect(204);
    service.objects(ANN, "HEAD", &format!("/{ANN}/c")).send().expect(404);
    service.objects(ANN, "DELETE", &format!("/{ANN}/c")).send().expect(404);
}

#[test]
fn a_quota_is_kept_and_policies_are_checked() {
    let service = Service::new();
    let put = |name: &str, value: &str| {
        service.objects(ANN, "PUT", &format!("/{ANN}/c")).header(&format!("x-container-policy-{name}"), value).send()
    };
    fault(&put("quota", "many"), 400, "badRequest");
    fault(&put("versioning", "manual"), 400, "badRequest");
    put("quota", "4").expect(201);
    service.put("a", "123");
    let over = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/b"))
        .header("content-type", "text/plain")
        .header("content-length", "2")
        .body("12")
        .send();
    fault(&over, 413, "requestEntityTooLarge");
    service.put("a", "1234");
}

#[test]
fn listings_as_text_and_as_json() {
    let service = Service::with_container();
    let list = |query: &str| service.objects(ANN, "GET", &format!("/{ANN}/c{query}")).send();
    assert_eq!(list("").status, 204);
    assert_eq!(list("?format=json").expect(200).json::<Value>(), json!([]));
    for name in ["a", "d/1", "d/2", "e"] {
        service.put(name, "x");
    }
    assert_eq!(list("").expect(200).text(), "a\nd/1\nd/2\ne\n");
    assert_eq!(list("/").expect(200).text(), "a\nd/1\nd/2\ne\n");
    assert_eq!(list("?delimiter=/").text(), "a\nd/\ne\n");
    assert_eq!(list("?limit=1&marker=a").text(), "d/1\n");
    assert_eq!(list("?path=d").text(), "d/1\nd/2\n");
    let rows: Vec<Value> = list("?format=json&delimiter=/").json();
    assert_eq!(rows[1], json!({ "subdir": "d/" }));
    let row = &rows[0];
    assert_eq!(row["name"], "a");
    assert_eq!(row["bytes"], 1);
    assert_eq!(row["hash"], "9dd4e461268c8034f5c8564e155c67a6");
    assert!(row["x_object_version"].is_number() && row["x_object_uuid"].is_string());
    assert!(row["last_modified"].as_str().unwrap().ends_with("+00:00"));
    let account: Vec<Value> = service.objects(ANN, "GET", &format!("/{ANN}?format=json")).send().json();
    assert_eq!(account[0]["name"], "c");
    assert_eq!(account[0]["count"], 4);
    assert_eq!(account[0]["x_container_policy"]["versioning"], "auto");
    let names = service.objects(ANN, "GET", &format!("/{ANN}/")).send();
    assert_eq!(names.text(), "c\n");
}

#[test]
fn long_names_are_listed_in_order() {
    let service = Service::with_container();
    let mut names: Vec<String> = [239, 240, 241, 600, 1024].map(|n| "n".repeat(n)).to_vec();
    names.push(format!("{}0", "n".repeat(240)));
    names.push(format!("{}z", "n".repeat(300)));
    names.push("m".into());
    names.push("o".into());
    for name in &names {
        service.put(name, "x");
    }
    names.sort();
    let list = |query: &str| {
        let answer = service.objects(ANN, "GET", &format!("/{ANN}/c{query}")).send().expect(200);
        answer.text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list(""), names);
    let mut paged = Vec::new();
    let mut marker = String::new();
    while paged.len() < names.len() {
        let page = list(&format!("?limit=1&marker={marker}"));
        marker.clone_from(&page[0]);
        paged.extend(page);
    }
    assert_eq!(paged, names);
    let long = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/{}", "n".repeat(1025)))
        .header("content-type", "text/plain")
        .header("content-length", "0")
        .send();
    fault(&long, 400, "badRequest");
}

#[test]
fn a_copy_is_another_object_and_a_move_keeps_the_uuid() {
    let service = Service::with_container();
    service
        .objects(ANN, "PUT", &format!("/{ANN}/c/o"))
        .header("content-type", "text/plain")
        .header("content-length", "2")
        .header("x-object-meta-color", "blue")
        .header("x-object-sharing", "read=*")
        .body("hi")
        .send()
        .expect(201);
    let head = |name: &str| service.objects(ANN, "HEAD", &format!("/{ANN}/c/{name}")).send();
    let uuid = head("o").header("x-object-uuid").unwrap().to_owned();
    service
        .objects(ANN, "COPY", &format!("/{ANN}/c/o"))
        .header("destination", "/c/copied%20o")
        .header("x-object-meta-color", "red")
        .send()
        .expect(201);
    let copy = head("copied%20o");
    assert_ne!(copy.header("x-object-uuid"), Some(uuid.as_str()));
    assert_eq!(copy.header("x-object-meta-color"), Some("red"));
    assert_eq!(copy.header("content-type"), Some("text/plain"));
    assert_eq!(copy.header("x-object-sharing"), None);
    service
        .objects(ANN, "PUT", &format!("/{ANN}/c/moved"))
        .header("x-move-from", "/c/o")
        .header("content-length", "0")
        .send()
        .expect(201);
    assert_eq!(head("moved").header("x-object-uuid"), Some(uuid.as_str()));
    assert_eq!(head("moved").header("x-object-sharing"), None);
    assert_eq!(head("o").status, 404);
    let account = service.objects(ANN, "HEAD", &format!("/{ANN}/c")).send();
    assert_eq!(account.header("x-container-object-count"), Some("2"));
    assert_eq!(account.header("x-container-bytes-used"), Some("4"));
    let lost = service.objects(ANN, "MOVE", &format!("/{ANN}/c/moved")).send();
    fault(&lost, 400, "badRequest");
}

#[test]
fn versions_grow_over_deletion_and_the_uuid_does_not_stay() {
    let service = Service::with_container();
    let version = |answer: &plugbay_sdk::testing::TestAnswer| -> u64 {
        answer.header("x-object-version").unwrap().parse().unwrap()
    };
    let head = || service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send();
    let first = version(&service.put("o", "1"));
    let second = version(&service.put("o", "2"));
    assert!(second > first);
    let uuid = head().header("x-object-uuid").unwrap().to_owned();
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/o")).send().expect(204);
    assert!(version(&service.put("o", "3")) > second);
    assert_ne!(head().header("x-object-uuid"), Some(uuid.as_str()));
    // Two versions and the mark of the removal.
    let keys = service.app.host().keys();
    assert_eq!(keys.iter().filter(|key| key.starts_with("h/")).count(), 3);
}

#[test]
fn a_container_that_forgets_keeps_no_history() {
    let service = Service::new();
    service
        .objects(ANN, "PUT", &format!("/{ANN}/c"))
        .header("x-container-policy-versioning", "none")
        .send()
        .expect(201);
    service.put("o", "1");
    service.put("o", "2");
    let keys = service.app.host().keys();
    assert!(!keys.iter().any(|key| key.starts_with("h/")));
    assert_eq!(keys.iter().filter(|key| key.starts_with("g/")).count(), 1);
}
