//! Image data at Glance: reserved and filled, refused, cut off, read back.

use plugbay_sdk::{
    kv,
    testing::{Host, TestAnswer},
};
use serde_json::{Value, json};

use super::{ANN, BEN, Service, glance::refused};

const MD5: &str = "78805a221a988e79ef3f42d7c5bfd418";

/// Fields of a creation with data.
fn post<'a>(service: &'a Service, fields: &[(&str, &str)]) -> plugbay_sdk::testing::TestRequest<'a> {
    let mut request = service
        .glance(ANN, "POST", "/images")
        .header("content-type", "application/octet-stream")
        .header("transfer-encoding", "chunked");
    for (name, value) in fields {
        request = request.header(&format!("x-image-meta-{name}"), *value);
    }
    request.body("image")
}

fn put<'a>(service: &'a Service, id: &str, fields: &[(&str, &str)]) -> plugbay_sdk::testing::TestRequest<'a> {
    let mut request = service
        .glance(ANN, "PUT", &format!("/images/{id}"))
        .header("content-type", "application/octet-stream")
        .header("transfer-encoding", "chunked");
    for (name, value) in fields {
        request = request.header(&format!("x-image-meta-{name}"), *value);
    }
    request.body("image")
}

const FORMATS: [(&str, &str); 2] = [("disk_format", "raw"), ("container_format", "bare")];

fn status(service: &Service, id: &str) -> String {
    let head = service.glance(ANN, "HEAD", &format!("/images/{id}")).send().expect(200);
    head.header("x-image-meta-status").unwrap().to_owned()
}

#[test]
fn a_reserved_image_is_filled_once() {
    let service = Service::new();
    let id = service.reserve(ANN, "n");
    let home = service.objects(ANN, "HEAD", &format!("/{ANN}/glance/{id}")).send().expect(200);
    assert_eq!(home.header("content-length"), Some("0"));
    let plankton = service.images(ANN, "HEAD", &format!("/images/{id}")).send().expect(200);
    assert_eq!(plankton.header("x-image-meta-status"), Some("SAVING"));
    refused(&service.glance(ANN, "GET", &format!("/images/{id}")).send(), 404);
    // Formats are needed by then, and may come with the data.
    assert!(refused(&put(&service, &id, &[]).send(), 400).contains("format"));
    let set = service.glance(ANN, "PUT", &format!("/images/{id}")).header("x-image-meta-property-a", "1").send();
    assert_eq!(set.expect(200).json::<Value>()["image"]["status"], "queued");
    let filled: Value = put(&service, &id, &FORMATS).send().expect(200).json();
    assert_eq!(filled["image"]["status"], "active");
    assert_eq!(filled["image"]["checksum"], MD5);
    // Giving data leaves properties alone, whatever the header says.
    assert_eq!(filled["image"]["properties"], json!({ "a": "1" }));
    refused(&put(&service, &id, &FORMATS).send(), 409);
    let data = service.glance(ANN, "GET", &format!("/images/{id}")).send().expect(200);
    assert_eq!(data.text(), "image");
    assert_eq!(data.header("content-type"), Some("application/octet-stream"));
    assert_eq!(data.header("x-image-meta-checksum"), Some(MD5));
    assert_eq!(data.header("etag"), Some(MD5));
    refused(&put(&service, "00000000-0000-4000-8000-000000000000", &FORMATS).send(), 404);
}

#[test]
fn no_data_is_data_too_if_it_was_sent() {
    let service = Service::new();
    let id = service.create(ANN, "empty", "");
    assert_eq!(status(&service, &id), "active");
    assert!(service.glance(ANN, "GET", &format!("/images/{id}")).send().expect(200).body.is_empty());
}

#[test]
fn what_was_announced_has_to_come() {
    let service = Service::new();
    let before = service.app.host().keys();
    for field in [("size", "4"), ("checksum", "00000000000000000000000000000000"), ("min_ram", "x")] {
        refused(&post(&service, &[FORMATS[0], FORMATS[1], field]).send(), 400);
    }
    refused(&post(&service, &[]).send(), 400);
    refused(&post(&service, &[FORMATS[0], ("container_format", "ari")]).send(), 400);
    refused(&post(&service, &FORMATS).header("x-image-meta-location", "pithos://a/b/c").send(), 400);
    let kind = service.glance(ANN, "POST", "/images").header("content-type", "text/plain");
    refused(&kind.header("content-length", "5").body("image").send(), 400);
    let long = service.glance(ANN, "POST", "/images").header("x-image-meta-disk_format", "raw");
    let long = long.header("x-image-meta-container_format", "bare").header("content-length", "6442450944");
    refused(&long.send(), 413);
    assert_eq!((service.app.host().keys(), service.app.host().blobs().len()), (before, 0));
    let right = post(&service, &[FORMATS[0], FORMATS[1], ("size", "5"), ("checksum", MD5)]).send();
    assert_eq!(right.status, 201);
    // A reservation remembers what was announced.
    let id = service.reserve(ANN, "n");
    let announce = service.glance(ANN, "PUT", &format!("/images/{id}")).header("x-image-meta-size", "9").send();
    assert_eq!(announce.expect(200).json::<Value>()["image"]["size"], 9);
    let blobs = service.app.host().blobs();
    refused(&put(&service, &id, &FORMATS).send(), 400);
    assert_eq!((status(&service, &id).as_str(), service.app.host().blobs()), ("queued", blobs));
    put(&service, &id, &[FORMATS[0], FORMATS[1], ("size", "5")]).send().expect(200);
}

#[test]
fn a_body_that_breaks_off_leaves_nothing() {
    let service = Service::new();
    let before = service.app.host().keys();
    refused(&post(&service, &FORMATS).cut_off().send(), 400);
    assert_eq!((service.app.host().keys(), service.app.host().blobs().len()), (before, 0));
    let id = service.reserve(ANN, "n");
    let before = service.app.host().keys();
    refused(&put(&service, &id, &FORMATS).cut_off().send(), 400);
    assert_eq!((service.app.host().keys(), service.app.host().blobs().len()), (before, 0));
    assert_eq!(status(&service, &id), "queued");
    put(&service, &id, &FORMATS).send().expect(200);
}

#[test]
fn a_commit_that_fails_leaves_nothing() {
    let service = Service::new();
    service.reserve(ANN, "makes the container");
    let before = service.app.host().keys();
    service.app.host().fail_next_commit(kv::Error::Storage("disk".into()));
    refused(&post(&service, &FORMATS).send(), 500);
    service.app.host().fail_next_commit(kv::Error::QuotaExceeded);
    refused(&post(&service, &FORMATS).send(), 413);
    assert_eq!((service.app.host().keys(), service.app.host().blobs().len()), (before, 0));
}

#[test]
fn an_id_is_given_once() {
    let service = Service::new();
    let id = "11111111-2222-4333-8444-ABCDEFABCDEF";
    let reserve = |user: &str, id: &str| -> TestAnswer {
        service.glance(user, "POST", "/images").header("x-image-meta-id", id).header("content-length", "0").send()
    };
    let body: Value = reserve(ANN, id).expect(201).json();
    assert_eq!(body["image"]["id"], id.to_ascii_lowercase());
    refused(&reserve(ANN, id), 409);
    refused(&reserve(BEN, &id.to_ascii_lowercase()), 409);
    refused(&reserve(ANN, "not-a-uuid"), 400);
    refused(&post(&service, &[FORMATS[0], FORMATS[1], ("id", id)]).send(), 409);
    // Nor may it be the id of an object that is no image, or the name of one where the data would go.
    service.objects(BEN, "PUT", &format!("/{BEN}/c")).send().expect(201);
    let file = |path: &str| {
        let put = service.objects(BEN, "PUT", path).header("content-type", "text/plain").header("content-length", "1");
        put.body("x").send().expect(201);
        let head = service.objects(BEN, "HEAD", path).send().expect(200);
        head.header("x-object-uuid").unwrap().to_owned()
    };
    refused(&reserve(BEN, &file(&format!("/{BEN}/c/plain"))), 409);
    service.objects(BEN, "PUT", &format!("/{BEN}/glance")).send().expect(201);
    let name = "22222222-2222-4333-8444-abcdefabcdef";
    file(&format!("/{BEN}/glance/{name}"));
    refused(&reserve(BEN, name), 409);
    // It is free again once the image is gone.
    service.glance(ANN, "DELETE", &format!("/images/{}", id.to_ascii_lowercase())).send().expect(200);
    reserve(BEN, id).expect(201);
}

#[test]
fn an_id_taken_meanwhile_is_refused() {
    let service = Service::new();
    service.reserve(ANN, "makes the container");
    let id = "11111111-2222-4333-8444-abcdefabcdef";
    let head: Value = {
        let keys = service.app.host().keys();
        let key = keys.iter().find(|key| key.starts_with("o/")).unwrap();
        service.app.host().get_json(key).unwrap()
    };
    service.app.host().before_next_commit(move |host: &Host| {
        let mut other = head.clone();
        other["uuid"] = id.into();
        host.put_json("o/other", &other);
        host.put(&format!("i/{id}"), "o/other");
    });
    refused(&post(&service, &[FORMATS[0], FORMATS[1], ("id", id)]).send(), 409);
    assert!(service.app.host().blobs().is_empty());
}

#[test]
fn data_that_comes_through_the_object_store_counts() {
    let service = Service::new();
    let id = service.reserve(ANN, "n");
    service
        .objects(ANN, "PUT", &format!("/{ANN}/glance/{id}"))
        .header("content-type", "application/octet-stream")
        .header("content-length", "5")
        .body("image")
        .send()
        .expect(201);
    assert_eq!(status(&service, &id), "active");
    assert_eq!(service.glance(ANN, "GET", &format!("/images/{id}")).send().expect(200).text(), "image");
    refused(&put(&service, &id, &FORMATS).send(), 409);
}

#[test]
fn a_large_image_is_many_blocks_and_reads_back() {
    let service = Service::new();
    let block = 4 * 1024 * 1024;
    let data: Vec<u8> = (0..20u8).flat_map(|n| std::iter::repeat_n(n, block)).chain([7; 3]).collect();
    let id = service.create(ANN, "large", data.clone());
    let read = service.glance(ANN, "GET", &format!("/images/{id}")).send().expect(200);
    assert!(read.body == data);
    // A large upload to an image that does not await it writes no block.
    let blobs = service.app.host().blobs().len();
    let other: Vec<u8> = data.iter().map(|byte| byte ^ 0x80).collect();
    refused(&put(&service, &id, &FORMATS).body(other).send(), 409);
    assert_eq!(service.app.host().blobs().len(), blobs);
}

#[test]
fn any_text_can_be_announced_as_checksum_and_no_data_fits_it() {
    let service = Service::new();
    let created = service.glance(ANN, "POST", "/images").header("x-image-meta-checksum", "%00☂").send().expect(201);
    assert_eq!(created.header("etag"), None);
    let body: Value = created.json();
    let id = body["image"]["id"].as_str().unwrap();
    let head = service.glance(ANN, "HEAD", &format!("/images/{id}")).send().expect(200);
    assert_eq!((head.header("x-image-meta-checksum"), head.header("etag")), (Some("%00☂"), None));
    refused(&put(&service, id, &FORMATS).send(), 400);
    assert_eq!(status(&service, id), "queued");
}

#[test]
fn a_checksum_that_cannot_be_compared_is_refused() {
    const NULS: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let service = Service::with_container();
    // So much content by its hashes that its MD5 is not worked out.
    assert_eq!(service.put_map("o", 17 * super::BLOCK, &vec![NULS.to_owned(); 17]).status, 201);
    let location = format!("pithos://{ANN}/c/o");
    let create = |checksum: Option<&str>| {
        let mut request = service.glance(ANN, "POST", "/images").header("x-image-meta-location", location.as_str());
        for (name, value) in FORMATS.into_iter().chain(checksum.map(|checksum| ("checksum", checksum))) {
            request = request.header(&format!("x-image-meta-{name}"), value);
        }
        request.send()
    };
    refused(&create(Some(MD5)), 400);
    assert!(service.page(ANN, "").is_empty());
    let body: Value = create(None).expect(201).json();
    assert_eq!(body["image"]["checksum"], Value::Null);
}
