//! The image registry's rules, from request to answer.

use serde_json::{Value, json};

use super::{ANN, BEN, CID, Service, fault};

fn service() -> Service {
    let service = Service::with_container();
    service.put("o", "image");
    service
}

#[test]
fn registering_gives_all_headers_and_an_empty_body() {
    let service = service();
    let answer = service
        .images(ANN, "POST", "/images/")
        .header("X-Image-Meta-Name", "Debian%20%E2%98%82")
        .header("X-Image-Meta-Location", format!("pithos://{ANN}/c/o"))
        .header("x-image-meta-container_format", "ovf")
        .header("x-image-meta-size", "5")
        .header("x-image-meta-checksum", "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d")
        .header("x-image-meta-store", "pithos")
        .header("x-image-meta-property-OS", "Debian%20Linux")
        .send()
        .expect(200);
    assert!(answer.body.is_empty());
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
    for (name, value) in [
        ("name", "Debian%20%E2%98%82"),
        ("location", &*format!("pithos://{ANN}/c/o")),
        ("disk-format", "diskdump"),
        ("container-format", "ovf"),
        ("size", "5"),
        ("is-public", "False"),
        ("owner", ANN),
        ("status", "AVAILABLE"),
        ("deleted-at", ""),
        ("property-os", "Debian%20Linux"),
    ] {
        let name = format!("x-image-meta-{name}");
        assert_eq!(answer.header(&name), Some(value), "{name}");
    }
    let id = answer.header("x-image-meta-id").unwrap();
    let object = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send();
    assert_eq!(object.header("x-object-uuid"), Some(id));
    let sharing = format!("read={ANN}");
    assert_eq!(object.header("x-object-sharing"), Some(sharing.as_str()));
    let head = service.images(ANN, "HEAD", &format!("/images/{id}")).send().expect(200);
    assert_eq!(head.header("x-image-meta-name"), Some("Debian%20%E2%98%82"));
}

#[test]
fn a_registration_is_refused_for_its_reason_and_changes_nothing() {
    let service = service();
    let before = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send();
    let post = |user: &str, location: &str, extra: (&str, &str)| {
        service
            .images(user, "POST", "/images")
            .header("x-image-meta-name", "n")
            .header("x-image-meta-location", location)
            .header(extra.0, extra.1)
            .send()
    };
    let there = format!("pithos://{ANN}/c/o");
    let none = ("x-nothing", "");
    fault(&post(ANN, "", none), 501, "notImplemented");
    fault(&post(ANN, "http://x", none), 400, "badRequest");
    fault(&post(ANN, &format!("pithos://{ANN}/c/none"), none), 404, "itemNotFound");
    fault(&post(ANN, &format!("pithos://{ANN}/none/o"), none), 404, "itemNotFound");
    fault(&post(ANN, &format!("pithos://{ANN}/c/"), none), 404, "itemNotFound");
    assert_eq!(fault(&post(BEN, &there, none), 403, "forbidden"), "");
    for (name, value) in [
        ("x-image-meta-id", "x"),
        ("x-image-meta-size", "6"),
        ("x-image-meta-checksum", "x"),
        ("x-image-meta-disk-format", "raw"),
        ("x-image-meta-status", "available"),
        ("x-image-meta-property-a", "%ff"),
    ] {
        fault(&post(ANN, &there, (name, value)), 400, "badRequest");
    }
    // Readable is not enough: only the owner of the file may register it.
    service
        .objects(ANN, "POST", &format!("/{ANN}/c/o?update"))
        .header("x-object-sharing", format!("write={BEN}"))
        .send()
        .expect(202);
    fault(&post(BEN, &there, none), 403, "forbidden");
    let after = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send();
    assert_eq!(after.header("x-object-version"), before.header("x-object-version"));
}

#[test]
fn registering_again_starts_afresh_under_the_same_id() {
    let service = service();
    let id = service.register("o", "first", true);
    service
        .images(ANN, "PUT", &format!("/images/{id}"))
        .header("x-image-meta-property-os", "x")
        .header("x-image-meta-disk-format", "extdump")
        .send()
        .expect(200);
    service.images(ANN, "PUT", &format!("/images/{id}/members/{BEN}")).send().expect(204);
    let before = service.images(ANN, "HEAD", &format!("/images/{id}")).send();
    assert_eq!(service.register("o", "second", false), id);
    let after = service.images(ANN, "HEAD", &format!("/images/{id}")).send();
    assert_eq!(after.header("x-image-meta-name"), Some("second"));
    assert_eq!(after.header("x-image-meta-is-public"), Some("False"));
    assert_eq!(after.header("x-image-meta-disk-format"), Some("diskdump"));
    assert_eq!(after.header("x-image-meta-property-os"), None);
    assert_eq!(after.header("x-image-meta-created-at"), before.header("x-image-meta-created-at"));
    fault(&service.images(BEN, "GET", &format!("/images/{id}/members")).send(), 403, "forbidden");
}

#[test]
fn lists_hold_own_shared_and_public_images_in_order() {
    let service = service();
    for name in ["p", "q", "r"] {
        service.put(name, "x");
    }
    service.register("o", "own", false);
    service.register("p", "public", true);
    let shared = service.register("q", "shared", false);
    service.images(ANN, "PUT", &format!("/images/{shared}/members/{BEN}")).send().expect(204);
    assert_eq!(service.listed(ANN, ""), ["shared", "public", "own"]);
    assert_eq!(service.listed(ANN, "?sort_dir=asc"), ["own", "public", "shared"]);
    assert_eq!(service.listed(BEN, ""), ["shared", "public"]);
    assert_eq!(service.listed(CID, ""), ["public"]);
    assert_eq!(service.listed(ANN, "?sort_key=size&sort_dir=desc")[0], "own");
    assert_eq!(service.listed(ANN, "?size_max=1&name=public"), ["public"]);
    let brief: Vec<Value> = service.images(CID, "GET", "/images/").send().json();
    let mut fields: Vec<&String> = brief[0].as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["container_format", "disk_format", "id", "name", "size", "status"]);
    for (query, message) in [
        ("sort_key=owner", "Invalid 'sort_key'"),
        ("sort_dir=up", "Invalid 'sort_dir'"),
        ("size_min=", "Malformed request."),
    ] {
        let answer = service.images(ANN, "GET", &format!("/images?{query}")).send();
        assert_eq!(fault(&answer, 400, "badRequest"), message);
    }
}

#[test]
fn an_image_follows_its_object() {
    let service = service();
    let id = service.register("o", "n", true);
    let head = || service.images(ANN, "HEAD", &format!("/images/{id}")).send();
    let before = head();
    service.put("o", "other bytes");
    assert_eq!(head().header("x-image-meta-size"), Some("11"));
    assert_ne!(head().header("x-image-meta-checksum"), before.header("x-image-meta-checksum"));
    assert_eq!(service.listed(BEN, ""), ["n"]);
    // A copy is another image, private.
    service.objects(ANN, "COPY", &format!("/{ANN}/c/o")).header("destination", "/c/copy").send().expect(201);
    assert_eq!(service.listed(ANN, ""), ["n", "n"]);
    assert_eq!(service.listed(BEN, ""), ["n"]);
    // A move keeps the id and drops the permissions.
    service.objects(ANN, "MOVE", &format!("/{ANN}/c/o")).header("destination", "/c/moved").send().expect(201);
    let location = format!("pithos://{ANN}/c/moved");
    assert_eq!(head().header("x-image-meta-location"), Some(location.as_str()));
    assert_eq!(head().header("x-image-meta-is-public"), Some("False"));
    assert!(service.listed(BEN, "").is_empty());
    // Sharing at the object store is membership here.
    service
        .objects(ANN, "POST", &format!("/{ANN}/c/moved?update"))
        .header("x-object-sharing", format!("read={BEN}"))
        .send()
        .expect(202);
    assert_eq!(service.listed(BEN, ""), ["n"]);
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/moved")).send().expect(204);
    assert_eq!(head().status, 404);
    assert_eq!(service.listed(ANN, "").len(), 1);
    service.put("moved", "plain");
    assert_eq!(service.listed(ANN, "").len(), 1);
}

#[test]
fn unregistering_keeps_the_file_its_uuid_and_its_permissions() {
    let service = service();
    let id = service.register("o", "n", true);
    service.images(ANN, "DELETE", &format!("/images/{id}")).send().expect(204);
    fault(&service.images(ANN, "DELETE", &format!("/images/{id}")).send(), 404, "itemNotFound");
    assert!(service.listed(ANN, "").is_empty());
    let object = service.objects(BEN, "HEAD", &format!("/{ANN}/c/o")).send().expect(200);
    assert_eq!(object.header("x-object-uuid"), Some(id.as_str()));
    assert_eq!(service.register("o", "n", false), id);
}

#[test]
fn updates_touch_what_is_given() {
    let service = service();
    let id = service.register("o", "n", false);
    let put = |user: &str, name: &str, value: &str| {
        service.images(user, "PUT", &format!("/images/{id}")).header(name, value).send()
    };
    let renamed = put(ANN, "x-image-meta-name", "a%20b").expect(200);
    assert_eq!(renamed.header("x-image-meta-name"), Some("a%20b"));
    put(ANN, "x-image-meta-property-os", "x").expect(200);
    let kept = put(ANN, "x-image-meta-is-public", "TRUE").expect(200);
    assert_eq!(kept.header("x-image-meta-property-os"), Some("x"));
    assert_eq!(kept.header("x-image-meta-is-public"), Some("True"));
    let gone = put(ANN, "x-image-meta-property-os", "").expect(200);
    assert_eq!(gone.header("x-image-meta-property-os"), None);
    let status = put(ANN, "x-image-meta-status", "foo").expect(200);
    assert_eq!(status.header("x-image-meta-status"), Some("UNKNOWN"));
    fault(&put(ANN, "x-image-meta-location", "pithos://a/b/c"), 400, "badRequest");
    fault(&put(BEN, "x-image-meta-name", "x"), 403, "forbidden");
    // Write permission renames and unregisters, but does not publish nor touch members.
    service
        .objects(ANN, "POST", &format!("/{ANN}/c/o?update"))
        .header("x-object-sharing", format!("write={BEN}"))
        .send()
        .expect(202);
    put(BEN, "x-image-meta-name", "x").expect(200);
    fault(&put(BEN, "x-image-meta-is-public", "false"), 403, "forbidden");
    let add = service.images(BEN, "PUT", &format!("/images/{id}/members/{CID}")).send();
    fault(&add, 403, "forbidden");
    service.images(BEN, "DELETE", &format!("/images/{id}")).send().expect(204);
}

#[test]
fn members_come_and_go() {
    let service = service();
    let id = service.register("o", "n", true);
    let members = |user: &str| -> Vec<String> {
        let body: Value = service.images(user, "GET", &format!("/images/{id}/members")).send().expect(200).json();
        let rows = body["members"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["can_share"] == false));
        rows.iter().map(|row| row["member_id"].as_str().unwrap().to_owned()).collect()
    };
    let member = |user: &str, method: &str, who: &str| {
        service.images(user, method, &format!("/images/{id}/members/{who}")).send().status
    };
    // The owner shows up as the first member; everyone does not.
    assert_eq!(members(BEN), [ANN]);
    assert_eq!(member(ANN, "PUT", BEN), 204);
    assert_eq!(member(ANN, "PUT", BEN), 204);
    assert_eq!(members(ANN), [ANN, BEN]);
    // What is so already is granted to anyone who can read; a change is not.
    assert_eq!(member(BEN, "PUT", BEN), 204);
    assert_eq!(member(BEN, "DELETE", CID), 204);
    assert_eq!(member(BEN, "PUT", CID), 403);
    assert_eq!(member(ANN, "DELETE", BEN), 204);
    assert_eq!(member(ANN, "DELETE", BEN), 204);
    let replaced = service
        .images(ANN, "PUT", &format!("/images/{id}/members"))
        .json(&json!({ "memberships": [{ "member_id": CID }] }))
        .send();
    assert_eq!(replaced.status, 204);
    // Publicity survives, the owner drops out and keeps access.
    assert_eq!(members(ANN), [CID]);
    assert_eq!(service.listed(BEN, ""), ["n"]);
    assert_eq!(member(ANN, "PUT", "a%20b"), 400);
}

#[test]
fn shared_images_are_the_union_of_both_readings() {
    let service = service();
    service.put("p", "x");
    let id = service.register("o", "n", false);
    service.register("p", "public", true);
    service.images(ANN, "PUT", &format!("/images/{id}/members/{BEN}")).send().expect(204);
    let shared = |user: &str, member: &str| -> Value {
        service.images(user, "GET", &format!("/shared-images/{member}")).send().expect(200).json()
    };
    let one = json!({ "shared_images": [{ "image_id": id, "can_share": false }] });
    let none = json!({ "shared_images": [] });
    assert_eq!(shared(ANN, BEN), one);
    assert_eq!(shared(BEN, ANN), one);
    assert_eq!(shared(ANN, CID), none);
    assert_eq!(shared(CID, ANN), none);
}

#[test]
fn unknown_is_404_known_but_private_is_403_and_no_uuid_is_400() {
    let service = service();
    let id = service.register("o", "n", false);
    let head = |user: &str, id: &str| service.images(user, "HEAD", &format!("/images/{id}")).send();
    assert_eq!(head(BEN, "00000000-0000-4000-8000-000000000000").status, 404);
    assert_eq!(head(BEN, &id).status, 403);
    assert_eq!(head(BEN, "x").status, 400);
    service.put("plain", "x");
    let plain = service.objects(ANN, "HEAD", &format!("/{ANN}/c/plain")).send();
    assert_eq!(head(ANN, plain.header("x-object-uuid").unwrap()).status, 404);
    let data = service.images(ANN, "GET", &format!("/images/{id}")).send();
    assert_eq!((data.status, data.body.len()), (501, 0));
    let anonymous = service.app.get("/images").surface("images").send();
    fault(&anonymous, 401, "unauthorized");
}

#[test]
fn unknown_paths_are_400_and_wrong_methods_405() {
    let service = service();
    for (method, target) in
        [("GET", "/"), ("GET", "/image"), ("HEAD", "/images/9a2e10a2/"), ("PATCH", "/image"), ("GET", "/images/%20")]
    {
        let answer = service.images(ANN, method, target).send();
        assert_eq!(answer.status, 400, "{method} {target}");
    }
    for (method, target, allow) in [
        ("PUT", "/images", "GET, POST"),
        ("HEAD", "/images", "GET, POST"),
        ("POST", "/images/detail", "GET"),
        ("PUT", "/images/detail", "GET"),
        ("POST", "/images/9a2e10a2", "HEAD, GET, PUT, DELETE"),
        ("POST", "/images/9a2e10a2/members", "GET, PUT"),
        ("GET", "/images/9a2e10a2/members/x", "PUT, DELETE"),
        ("DELETE", "/shared-images/x", "GET"),
        ("PATCH", "/images", "GET, POST"),
    ] {
        let answer = service.images(ANN, method, target).send();
        assert_eq!(answer.status, 405, "{method} {target}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {target}");
    }
}

#[test]
fn answers_to_head_say_how_long_their_body_would_be() {
    let service = service();
    let id = service.register("o", "n", false);
    let head = |id: &str| service.images(ANN, "HEAD", &format!("/images/{id}")).send();
    assert_eq!(head(&id).header("content-length"), Some("0"));
    let unknown = head("00000000-0000-4000-8000-000000000000");
    let fault = r#"{"itemNotFound":{"code":404,"details":"","message":"Image not found"}}"#;
    assert_eq!(unknown.header("content-length"), Some(fault.len().to_string().as_str()));
    assert!(unknown.body.is_empty());
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let service = service();
    let answer = service.images(ANN, "POST", "/images").header("x-image-meta-name", b"\xff".as_slice()).send();
    assert_eq!(fault(&answer, 400, "badRequest"), "Could not decode request as UTF-8 string");
}

#[test]
fn a_store_that_is_full_is_over_the_limit() {
    let service = service();
    service.app.host().fail_next_commit(plugbay_sdk::kv::Error::QuotaExceeded);
    let answer = service
        .images(ANN, "POST", "/images")
        .header("x-image-meta-name", "n")
        .header("x-image-meta-location", format!("pithos://{ANN}/c/o"))
        .send();
    fault(&answer, 413, "overLimit");
}

#[test]
fn what_is_refused_is_refused_in_order() {
    let service = service();
    let id = service.register("o", "n", false);
    // The name is missed before the location, the location before the file.
    let post = |fields: &[(&str, &str)]| {
        let mut request = service.images(ANN, "POST", "/images");
        for (name, value) in fields {
            request = request.header(name, *value);
        }
        request.send()
    };
    fault(&post(&[]), 400, "badRequest");
    fault(&post(&[("x-image-meta-name", "n")]), 501, "notImplemented");
    fault(&post(&[("x-image-meta-name", "n"), ("x-image-meta-location", "pithos://a")]), 400, "badRequest");
    // An id without the form of one is a 400 everywhere but where data would be.
    for (method, target) in
        [("HEAD", "/images/x"), ("PUT", "/images/x"), ("DELETE", "/images/x"), ("GET", "/images/x/members")]
    {
        assert_eq!(service.images(ANN, method, target).send().status, 400, "{method} {target}");
    }
    assert_eq!(service.images(ANN, "GET", "/images/x").send().status, 501);
    // Who may not read it is refused alike by every call.
    let private = format!("/images/{id}");
    for (method, target) in [
        ("HEAD", private.clone()),
        ("PUT", private.clone()),
        ("DELETE", private.clone()),
        ("GET", format!("{private}/members")),
        ("PUT", format!("{private}/members/{CID}")),
        ("DELETE", format!("{private}/members/{CID}")),
    ] {
        assert_eq!(service.images(BEN, method, &target).send().status, 403, "{method} {target}");
    }
}

#[test]
fn filters_take_what_was_encoded_twice() {
    let service = service();
    service.register("o", "Test%20img", false);
    for query in ["?name=Test+img", "?name=Test%20img", "?name=Test%2520img", "?status=available&name=Test%2520img"] {
        assert_eq!(service.listed(ANN, query), ["Test img"], "{query}");
    }
    assert!(service.listed(ANN, "?name=Test%252520img").is_empty());
}
