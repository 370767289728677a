//! Content by its hashes: hashmaps, the blocks they are missing, and uploading those.

use plugbay_sdk::testing::TestAnswer;
use serde_json::{Value, json};

use super::{ANN, BEN, BLOCK, Service, block_hash, fault};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl Service {
    /// Ann puts a hashmap as `c/NAME`.
    pub fn put_map(&self, name: &str, bytes: usize, hashes: &[String]) -> TestAnswer {
        self.put_json(name, &json!({ "hashes": hashes, "bytes": bytes }).to_string())
    }

    fn put_json(&self, name: &str, body: &str) -> TestAnswer {
        self.objects(ANN, "PUT", &format!("/{ANN}/c/{name}?hashmap=True&format=json"))
            .header("content-type", "application/octet-stream")
            .header("content-length", body.len().to_string())
            .body(body)
            .send()
    }

    /// Ann uploads data to `c` as blocks; their hashes.
    pub fn post_blocks(&self, data: &[u8]) -> Vec<String> {
        self.objects(ANN, "POST", &format!("/{ANN}/c?update&format=json"))
            .header("content-type", "application/octet-stream")
            .header("content-length", data.len().to_string())
            .body(data)
            .send()
            .expect(202)
            .json()
    }
}

#[test]
fn an_upload_by_hashmap_asks_for_what_is_missing_and_sends_it_once() {
    let service = Service::with_container();
    let (a, b) = (vec![b'a'; BLOCK], vec![b'b'; 10]);
    let zeros = vec![0; BLOCK];
    let data = [a.as_slice(), &zeros, &a, &b].concat();
    let hashes: Vec<String> = [&a, &zeros, &a, &b].map(|block| block_hash(block)).to_vec();
    let first = service.put_map("o", data.len(), &hashes);
    assert_eq!(first.status, 409);
    // Each once, in order of first use, without the empty block.
    assert_eq!(first.json::<Vec<String>>(), [block_hash(&a), block_hash(&b)]);
    service.get("o").expect(404);
    assert_eq!(service.post_blocks(&a), [block_hash(&a)]);
    assert_eq!(service.put_map("o", data.len(), &hashes).json::<Vec<String>>(), [block_hash(&b)]);
    assert_eq!(service.post_blocks(&b), [block_hash(&b)]);
    let put = service.put_map("o", data.len(), &hashes).expect(201);
    let get = service.get("o").expect(200);
    assert!(get.body == data);
    assert_eq!(get.header("x-object-version"), put.header("x-object-version"));
    assert_eq!(get.header("etag"), put.header("etag"));
    // The same bytes as data have the same tag and the same root, and no block more.
    let same = service.put("same", data);
    assert_eq!(same.header("etag"), put.header("etag"));
    assert_eq!(service.get("same").header("x-object-hash"), get.header("x-object-hash"));
    assert_eq!(service.app.host().blobs().len(), 2);
}

#[test]
fn the_refusals_of_a_hashmap_change_nothing() {
    let service = Service::with_container();
    let before = service.app.host().keys();
    for (body, message) in [
        ("{", "Invalid data formatting"),
        (r#"{"bytes": 5}"#, "Invalid data formatting"),
        (r#"{"bytes": 5, "hashes": ["xyz"]}"#, "Invalid hash: xyz"),
        (r#"{"bytes": 5, "hashes": []}"#, "The number of hashes does not fit the size"),
    ] {
        assert_eq!(fault(&service.put_json("o", body), 400, "badRequest"), message);
    }
    let target = format!("/{ANN}/c/o?hashmap");
    let put = || service.objects(ANN, "PUT", &target);
    fault(&put().header("content-type", "a/b").send(), 411, "lengthRequired");
    fault(&put().header("content-length", "2").body("{}").send(), 411, "lengthRequired");
    let denied = service.objects(BEN, "PUT", &target).header("content-type", "a/b").header("content-length", "2");
    fault(&denied.body("{}").send(), 403, "forbidden");
    let long = vec![b' '; 9 * 1024 * 1024];
    let long = put().header("content-type", "a/b").header("transfer-encoding", "chunked").body(long).send();
    fault(&long, 413, "requestEntityTooLarge");
    assert_eq!(service.app.host().keys(), before);
}

#[test]
fn an_empty_hashmap_is_an_empty_object() {
    let service = Service::with_container();
    for hashes in [vec![], vec![EMPTY.to_owned()]] {
        let put = service.put_map("o", 0, &hashes).expect(201);
        assert_eq!(put.header("etag"), Some("d41d8cd98f00b204e9800998ecf8427e"));
        let map: Value = service.get("o?hashmap").expect(200).json();
        assert_eq!(map, json!({"block_size": BLOCK, "block_hash": "sha256", "bytes": 0, "hashes": [EMPTY]}));
    }
}

#[test]
fn a_hashmap_is_read_with_the_objects_fields() {
    let service = Service::with_container();
    service.put("o", [vec![7; BLOCK], vec![0; 5]].concat());
    let answer = service.get("o?hashmap=True&format=json").expect(200);
    let map: Value = answer.json();
    assert_eq!(map["bytes"], BLOCK + 5);
    assert_eq!(map["hashes"], json!([block_hash(&vec![7; BLOCK]), EMPTY]));
    assert!(answer.header("x-object-uuid").is_some() && answer.header("x-object-hash").is_some());
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o?hashmap")).send().expect(200);
    assert_eq!(head.header("content-length"), Some((BLOCK + 5).to_string().as_str()));
}

#[test]
fn conditions_metadata_and_sharing_are_as_with_data() {
    let service = Service::with_container();
    let hash = service.post_blocks(b"hello").remove(0);
    let put = |name: &str, value: &str| {
        service
            .objects(ANN, "PUT", &format!("/{ANN}/c/o?hashmap"))
            .header("content-type", "text/plain")
            .header("transfer-encoding", "chunked")
            .header(name, value)
            .body(json!({ "bytes": 5, "hashes": [hash] }).to_string())
            .send()
    };
    put("x-object-sharing", &format!("read={BEN}")).expect(201);
    let head = service.objects(BEN, "HEAD", &format!("/{ANN}/c/o")).send().expect(200);
    assert_eq!(head.header("content-type"), Some("text/plain"));
    let uuid = head.header("x-object-uuid").unwrap().to_owned();
    fault(&put("if-none-match", "*"), 412, "preconditionFailed");
    fault(&put("if-match", "x"), 412, "preconditionFailed");
    put("x-object-meta-color", "blue").expect(201);
    let head = service.objects(BEN, "HEAD", &format!("/{ANN}/c/o")).send().expect(200);
    assert_eq!((head.header("x-object-meta-color"), head.header("x-object-uuid")), (Some("blue"), Some(uuid.as_str())));
    let account = service.objects(ANN, "HEAD", &format!("/{ANN}/c")).send();
    assert_eq!(account.header("x-container-bytes-used"), Some("5"));
}

#[test]
fn blocks_are_the_owners_to_upload() {
    let service = Service::with_container();
    let post = |user: &str, container: &str| {
        service
            .objects(user, "POST", &format!("/{ANN}/{container}?update"))
            .header("content-type", "application/octet-stream")
    };
    fault(&post(BEN, "c").header("content-length", "1").body("x").send(), 403, "forbidden");
    fault(&post(ANN, "none").header("content-length", "1").body("x").send(), 404, "itemNotFound");
    fault(&post(ANN, "c").send(), 411, "lengthRequired");
    let data = [vec![1; BLOCK], vec![2; 3]].concat();
    let text = post(ANN, "c").header("transfer-encoding", "chunked").body(data).send().expect(202);
    assert_eq!(text.text(), format!("{}\n{}\n", block_hash(&vec![1; BLOCK]), block_hash(&[2; 3])));
    assert!(service.post_blocks(b"").is_empty());
    assert_eq!(service.post_blocks(&[0; 9]), [EMPTY]);
    assert_eq!(service.app.host().blobs().len(), 2);
    post(ANN, "c").header("content-length", "3").body("cut").cut_off().send();
    assert_eq!(service.app.host().blobs().len(), 2);
}

#[test]
fn a_long_hashmap_is_written_and_read_in_steps() {
    let service = Service::with_container();
    let mut hashes = service.seed(8_999);
    hashes.push(block_hash(b"last"));
    let bytes = 8_999 * BLOCK + 1;
    assert_eq!(service.put_map("o", bytes, &hashes).json::<Vec<String>>(), hashes[8_999..]);
    assert!(service.keys("g/").is_empty() && service.keys("r/").is_empty());
    service.post_blocks(b"last");
    let put = service.put_map("o", bytes, &hashes).expect(201);
    assert_eq!(put.header("etag"), service.get("o?hashmap").header("x-object-hash"));
    assert_eq!(service.keys("g/").len(), 1);
    let map: Value = service.get("o?hashmap").expect(200).json();
    assert_eq!(map["hashes"], json!(hashes));
    let last = service.objects(ANN, "GET", &format!("/{ANN}/c/o")).header("range", "bytes=-2").send().expect(206);
    assert_eq!(last.body, b"\0l");
    // Only the object's own bytes of the last block, which has more.
    let whole = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send();
    assert_eq!(whole.header("content-length"), Some(bytes.to_string().as_str()));
}

#[test]
fn two_hashmaps_at_once_make_one_history() {
    let service = Service::with_container();
    let hash = service.post_blocks(b"one").remove(0);
    service.put("o", "zero");
    let head = service.keys("o/").remove(0);
    let mut other: Value = service.app.host().get_json(&head).unwrap();
    let later = other["version"].as_u64().unwrap() + 1_000_000_000;
    other["version"] = later.into();
    service.app.host().before_next_commit(move |host: &plugbay_sdk::testing::Host| host.put_json(&head, &other));
    let put = service.put_map("o", 3, &[hash]).expect(201);
    assert_eq!(put.header("x-object-version"), Some((later + 1).to_string().as_str()));
    let versions: Value = service.get("o?version=list&format=json").json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
}
