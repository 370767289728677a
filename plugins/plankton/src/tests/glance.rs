//! Glance v1 from request to answer, and what the two other services make of it.

use plugbay_sdk::testing::TestAnswer;
use serde_json::{Value, json};

use super::{ANN, BEN, CID, Service};

/// The reason on an error page, after checking its status.
#[track_caller]
pub fn refused(answer: &TestAnswer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/html; charset=UTF-8"));
    answer.text().lines().nth(3).unwrap().to_owned()
}

#[test]
fn versions_are_listed_outside_of_them() {
    let service = Service::new();
    for path in ["/", "//", "/versions", "/v2", "/v2/images", "/v7.1/images/detail"] {
        let answer = service.app.get(path).surface("glance").prefix("/glance").send().expect(300);
        let body: Value = answer.json();
        assert_eq!(body["versions"][0]["id"], "v1.1");
        assert_eq!(body["versions"][0]["links"][0]["href"], "http://localhost/glance/v1/");
    }
    for path in ["/v1", "/v1/", "/v1/image", "/foo", "/foo/images", "/v1/images/x/y", "/v1/images//members"] {
        refused(&service.app.get(path).surface("glance").user(ANN, &[]).send(), 404);
    }
    for path in ["/v1/images", "/v1.0/images", "/v1.1/images", "/v1/images/"] {
        service.app.get(path).surface("glance").user(ANN, &[]).send().expect(200);
    }
}

#[test]
fn wrong_methods_name_the_right_ones_and_no_token_is_401() {
    let service = Service::new();
    let id = "/images/00000000-0000-4000-8000-000000000000";
    for (method, target, allow) in [
        ("PUT", "/images".to_owned(), "GET, POST"),
        ("HEAD", "/images".to_owned(), "GET, POST"),
        ("PATCH", "/images".to_owned(), "GET, POST"),
        ("POST", "/images/detail".to_owned(), "GET"),
        ("DELETE", "/images/detail".to_owned(), "GET"),
        ("POST", id.to_owned(), "HEAD, GET, PUT, DELETE"),
        ("POST", format!("{id}/members"), "GET, PUT"),
        ("GET", format!("{id}/members/x"), "PUT, DELETE"),
        ("DELETE", "/shared-images/x".to_owned(), "GET"),
    ] {
        let answer = service.glance(ANN, method, &target).send();
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {target}");
    }
    refused(&service.app.get("/v1/images").surface("glance").send(), 401);
}

#[test]
fn an_image_is_the_same_one_at_all_three_services() {
    let service = Service::new();
    let created = service
        .glance(ANN, "POST", "/images")
        .header("x-image-meta-name", "Deb%20%E2%98%82")
        .header("x-image-meta-disk_format", "qcow2")
        .header("x-image-meta-container-format", "ovf")
        .header("x-image-meta-is_public", "True")
        .header("x-image-meta-min_ram", "64")
        .header("x-image-meta-property-OS-Name", "Debian%20Linux")
        .header("content-type", "application/octet-stream")
        .header("content-length", "5")
        .body("image")
        .send()
        .expect(201);
    let body: Value = created.json();
    let image = &body["image"];
    let id = image["id"].as_str().unwrap();
    let md5 = "78805a221a988e79ef3f42d7c5bfd418";
    assert_eq!(created.header("location"), Some(format!("http://localhost/v1/images/{id}").as_str()));
    assert_eq!(created.header("etag"), Some(md5));
    for (key, value) in [
        ("name", json!("Deb ☂")),
        ("status", json!("active")),
        ("size", json!(5)),
        ("checksum", json!(md5)),
        ("is_public", json!(true)),
        ("min_ram", json!(64)),
        ("min_disk", json!(0)),
        ("owner", json!(ANN)),
        ("deleted", json!(false)),
        ("properties", json!({ "os_name": "Debian Linux" })),
    ] {
        assert_eq!(image[key], value, "{key}");
    }
    assert!(image.get("location").is_none());
    // Pithos+ has the object, Plankton the image, with its own checksum and status.
    let object = service.objects(ANN, "GET", &format!("/{ANN}/glance/{id}")).send().expect(200);
    assert_eq!((object.text(), object.header("x-object-uuid")), ("image", Some(id)));
    let head = service.images(BEN, "HEAD", &format!("/images/{id}")).send().expect(200);
    assert_eq!(head.header("x-image-meta-name"), Some("Deb%20%E2%98%82"));
    assert_eq!(head.header("x-image-meta-status"), Some("AVAILABLE"));
    assert_eq!(head.header("x-image-meta-property-os-name"), Some("Debian%20Linux"));
    assert_ne!(head.header("x-image-meta-checksum"), Some(md5));
    // A change at one is a change at the other.
    service.images(ANN, "PUT", &format!("/images/{id}")).header("x-image-meta-name", "renamed").send().expect(200);
    assert_eq!(service.page(BEN, ""), ["renamed"]);
    service.images(ANN, "PUT", &format!("/images/{id}/members/{CID}")).send().expect(204);
    service.images(ANN, "PUT", &format!("/images/{id}")).header("x-image-meta-is-public", "no").send().expect(200);
    assert_eq!(service.page(CID, ""), ["renamed"]);
    refused(&service.glance(BEN, "GET", &format!("/images/{id}")).send(), 404);
    // What only Glance knows stays over a change at Plankton.
    let shown = service.glance(ANN, "HEAD", &format!("/images/{id}")).send().expect(200);
    assert_eq!(shown.header("x-image-meta-min_ram"), Some("64"));
    assert_eq!(shown.header("x-image-meta-property-os_name"), Some("Debian Linux"));
    assert_eq!(shown.header("etag"), Some(md5));
    assert!(shown.body.is_empty());
    assert_eq!(shown.header("x-image-meta-created_at"), image["created_at"].as_str());
}

#[test]
fn an_object_becomes_an_image_where_it_is() {
    let service = Service::with_container();
    service.put("a%20b", "image");
    let post = |user: &str, extra: (&str, &str)| {
        service
            .glance(user, "POST", "/images")
            .header("x-image-meta-name", "n")
            .header("x-image-meta-disk_format", "raw")
            .header("x-image-meta-container_format", "bare")
            .header("x-image-meta-location", format!("pithos%3A//{ANN}/c/a%2520b"))
            .header(extra.0, extra.1)
            .send()
    };
    for (extra, status) in [
        (("x-image-meta-size", "6"), 400),
        (("x-image-meta-checksum", "x"), 400),
        (("x-image-meta-id", "00000000-0000-4000-8000-000000000000"), 409),
        (("content-length", "1"), 400),
    ] {
        refused(&post(ANN, extra), status);
    }
    refused(&post(BEN, ("x-image-meta-size", "5")), 403);
    let body: Value = post(ANN, ("x-image-meta-checksum", "78805a221a988e79ef3f42d7c5bfd418")).expect(201).json();
    let id = body["image"]["id"].as_str().unwrap();
    let object = service.objects(ANN, "HEAD", &format!("/{ANN}/c/a%20b")).send();
    assert_eq!(object.header("x-object-uuid"), Some(id));
    assert_eq!(service.glance(ANN, "GET", &format!("/images/{id}")).send().text(), "image");
    // Deleting the image leaves a file alone that was not uploaded here.
    let deleted = service.glance(ANN, "DELETE", &format!("/images/{id}")).send().expect(200);
    assert!(deleted.body.is_empty());
    refused(&service.glance(ANN, "GET", &format!("/images/{id}")).send(), 404);
    service.objects(ANN, "HEAD", &format!("/{ANN}/c/a%20b")).send().expect(200);
    for location in ["http://example.org/x", "pithos://a", "file:///etc/passwd"] {
        let answer = service.glance(ANN, "POST", "/images").header("x-image-meta-location", location).send();
        assert!(refused(&answer, 400).contains("ocation"), "{location}");
    }
}

#[test]
fn updates_touch_what_is_given_and_properties_go_unless_kept() {
    let service = Service::new();
    let id = service.create(ANN, "n", "image");
    let put = |user: &str, fields: &[(&str, &str)]| {
        let mut request = service.glance(user, "PUT", &format!("/images/{id}")).header("content-length", "0");
        for (name, value) in fields {
            request = request.header(name, *value);
        }
        request.send()
    };
    let properties = |answer: TestAnswer| answer.expect(200).json::<Value>()["image"]["properties"].clone();
    let keep = ("x-glance-registry-purge-props", "false");
    assert_eq!(properties(put(ANN, &[keep, ("x-image-meta-property-a", "1")])), json!({ "a": "1" }));
    assert_eq!(properties(put(ANN, &[keep, ("x-image-meta-property-b", "")])), json!({ "a": "1", "b": "" }));
    assert_eq!(properties(put(ANN, &[("x-image-meta-property-c", "3")])), json!({ "c": "3" }));
    let named: Value = put(ANN, &[keep, ("x-image-meta-name", ""), ("x-image-meta-min_disk", "3")]).expect(200).json();
    assert_eq!((&named["image"]["name"], &named["image"]["min_disk"]), (&Value::Null, &json!(3)));
    put(ANN, &[("x-image-meta-size", "5"), ("x-image-meta-checksum", "78805A221a988e79ef3f42d7c5bfd418")]).expect(200);
    for (fields, status) in [
        (("x-image-meta-size", "6"), 403),
        (("x-image-meta-checksum", "0"), 403),
        (("x-image-meta-disk_format", "floppy"), 400),
        (("x-image-meta-disk_format", "ami"), 400),
        (("x-image-meta-location", "pithos://a/b/c"), 400),
        (("x-image-meta-colour", "blue"), 400),
        (("x-glance-api-copy-from", "http://x"), 400),
    ] {
        refused(&put(ANN, &[fields]), status);
    }
    refused(&put(BEN, &[("x-image-meta-name", "x")]), 404);
    service.glance(ANN, "PUT", &format!("/images/{id}/members/{BEN}")).send().expect(204);
    refused(&put(BEN, &[("x-image-meta-name", "x")]), 403);
    // Who may write the object may change the image, but not publish or delete it.
    service
        .objects(ANN, "POST", &format!("/{ANN}/glance/{id}?update"))
        .header("x-object-sharing", format!("write={BEN}"))
        .send()
        .expect(202);
    put(BEN, &[("x-image-meta-name", "by ben")]).expect(200);
    refused(&put(BEN, &[("x-image-meta-is_public", "True")]), 403);
    refused(&service.glance(BEN, "DELETE", &format!("/images/{id}")).send(), 403);
}

#[test]
fn a_protected_image_stays_and_a_deleted_one_is_gone_with_its_data() {
    let service = Service::new();
    let id = service.create(ANN, "n", "image");
    let target = format!("/images/{id}");
    let protect = |word: &str| {
        service.glance(ANN, "PUT", &target).header("x-image-meta-protected", word).send().expect(200);
    };
    protect("True");
    assert!(refused(&service.glance(ANN, "DELETE", &target).send(), 403).contains("protected"));
    protect("False");
    service.glance(ANN, "DELETE", &target).send().expect(200);
    for method in ["GET", "PUT", "DELETE"] {
        refused(&service.glance(ANN, method, &target).send(), 404);
    }
    assert_eq!(service.objects(ANN, "HEAD", &format!("/{ANN}/glance/{id}")).send().status, 404);
    assert!(service.page(ANN, "").is_empty());
    // Nothing of it is in a history: the container was made without one.
    assert!(!service.app.host().keys().iter().any(|key| key.starts_with("h/") || key.starts_with("l/")));
    for id in ["x", "00000000-0000-4000-8000-000000000000"] {
        refused(&service.glance(ANN, "GET", &format!("/images/{id}")).send(), 404);
        assert_eq!(service.glance(ANN, "HEAD", &format!("/images/{id}")).send().status, 404);
    }
}

#[test]
fn members_may_share_if_they_are_let() {
    let service = Service::new();
    let id = service.create(ANN, "n", "image");
    let members = |user: &str| -> Value {
        service.glance(user, "GET", &format!("/images/{id}/members")).send().expect(200).json()
    };
    let add = |user: &str, member: &str, body: Value| {
        service.glance(user, "PUT", &format!("/images/{id}/members/{member}")).json(&body).send().status
    };
    let row = |member: &str, can_share: bool| json!({ "member_id": member, "can_share": can_share });
    assert_eq!(add(BEN, BEN, json!({ "member": { "can_share": true } })), 404);
    assert_eq!(service.glance(ANN, "PUT", &format!("/images/{id}/members/{BEN}")).send().status, 204);
    assert_eq!(members(ANN), json!({ "members": [row(BEN, false)] }));
    assert_eq!(add(BEN, CID, json!({ "member": { "can_share": true } })), 403);
    assert_eq!(add(ANN, BEN, json!({ "member": { "can_share": true } })), 204);
    // Adding again without a word leaves it; a list replaces all.
    assert_eq!(add(ANN, BEN, json!({ "member": {} })), 204);
    assert_eq!(add(BEN, CID, json!({ "member": { "can_share": false } })), 204);
    assert_eq!(members(CID), json!({ "members": [row(BEN, true), row(CID, false)] }));
    assert_eq!(add(ANN, "*", json!({ "member": {} })), 400);
    assert_eq!(add(ANN, CID, json!({ "can_share": true })), 400);
    let shared = |user: &str, member: &str| -> Value {
        service.glance(user, "GET", &format!("/shared-images/{member}")).send().expect(200).json()
    };
    let one = json!({ "shared_images": [{ "image_id": id, "can_share": true }] });
    assert_eq!((shared(BEN, BEN), shared(ANN, BEN)), (one.clone(), one));
    assert_eq!(shared(CID, BEN), json!({ "shared_images": [] }));
    let replace = |user: &str, members: Value| {
        let request = service.glance(user, "PUT", &format!("/images/{id}/members"));
        request.json(&json!({ "memberships": members })).send().status
    };
    assert_eq!(replace(CID, json!([])), 403);
    assert_eq!(replace(ANN, json!([row(CID, true)])), 204);
    assert_eq!(members(ANN), json!({ "members": [row(CID, true)] }));
    // Plankton shows the same members, says nothing of sharing, and drops it with the member.
    let plankton: Value = service.images(ANN, "GET", &format!("/images/{id}/members")).send().json();
    assert_eq!(plankton, json!({ "members": [row(CID, false)] }));
    service.images(ANN, "DELETE", &format!("/images/{id}/members/{CID}")).send().expect(204);
    service.images(ANN, "PUT", &format!("/images/{id}/members/{CID}")).send().expect(204);
    assert_eq!(members(ANN), json!({ "members": [row(CID, false)] }));
    let remove = |user: &str, member: &str| {
        service.glance(user, "DELETE", &format!("/images/{id}/members/{member}")).send().status
    };
    assert_eq!(remove(CID, CID), 403);
    assert_eq!(remove(ANN, BEN), 404);
    assert_eq!((remove(ANN, CID), remove(ANN, CID)), (204, 404));
    refused(&service.glance(CID, "GET", &format!("/images/{id}/members")).send(), 404);
}

#[test]
fn any_name_of_a_property_is_a_header_at_both_apis() {
    let service = Service::new();
    let created = service
        .glance(ANN, "POST", "/images")
        .header("x-image-meta-property-a%2Fb%20c%0Ad", "1")
        .header("x-image-meta-property-x~y.z", "2")
        .send()
        .expect(201);
    let body: Value = created.json();
    assert_eq!(body["image"]["properties"], json!({ "a/b c\nd": "1", "x~y.z": "2" }));
    let path = format!("/images/{}", body["image"]["id"].as_str().unwrap());
    let glance = service.glance(ANN, "HEAD", &path).send().expect(200);
    assert_eq!(glance.header("x-image-meta-property-a%2Fb%20c%0Ad"), Some("1"));
    assert_eq!(glance.header("x-image-meta-property-x~y.z"), Some("2"));
    let plankton = service.images(ANN, "HEAD", &path).send().expect(200);
    assert_eq!(plankton.header("x-image-meta-property-a%2Fb%20c%0Ad"), Some("1"));
}
