//! Objects that stand for the objects below a prefix.

use super::{ANN, BEN, BLOCK, CID, Service, fault};

fn with_manifest() -> Service {
    let service = Service::with_container();
    service.put("parts/2", "two");
    service.put("parts/1", "one ");
    service.put("parts/3", "");
    service.put("other", "no part");
    service
        .objects(ANN, "PUT", &format!("/{ANN}/c/parts/0"))
        .header("content-type", "text/plain")
        .header("content-length", "3")
        .header("x-object-manifest", "c/parts/")
        .body("own")
        .send()
        .expect(201);
    service
}

#[test]
fn a_manifest_is_read_as_its_parts_in_order() {
    let service = with_manifest();
    let get = service.get("parts/0").expect(200);
    assert_eq!(get.text(), "one two");
    assert_eq!(get.header("x-object-manifest"), Some("c/parts/"));
    assert_eq!(get.header("content-type"), Some("text/plain"));
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}/c/parts/0")).send().expect(200);
    assert_eq!(head.header("content-length"), Some("7"));
    let tags: String =
        ["parts/1", "parts/2", "parts/3"].map(|part| service.get(part).header("etag").unwrap().to_owned()).concat();
    service.app.host().install();
    let tag = crate::merkle::hex(&plugbay_sdk::crypto::md5(tags.as_bytes()).unwrap());
    assert_eq!(get.header("etag"), Some(tag.as_str()));
    let unchanged =
        service.objects(ANN, "GET", &format!("/{ANN}/c/parts/0")).header("if-none-match", tag.as_str()).send();
    assert_eq!(unchanged.status, 304);
    service.put("parts/1", "1 ");
    let changed = service.objects(ANN, "GET", &format!("/{ANN}/c/parts/0")).header("if-none-match", tag).send();
    assert_eq!(changed.expect(200).text(), "1 two");
}

#[test]
fn ranges_go_across_parts() {
    let service = with_manifest();
    let get = |range: &str| service.objects(ANN, "GET", &format!("/{ANN}/c/parts/0")).header("range", range).send();
    assert_eq!(get("bytes=2-5").expect(206).text(), "e tw");
    assert_eq!(get("bytes=-3").expect(206).text(), "two");
    assert_eq!(get("bytes=0-3").header("content-range"), Some("bytes 0-3/7"));
    fault(&get("bytes=0-7"), 416, "rangeNotSatisfiable");
    let several = get("bytes=0-0,6-6").expect(206);
    assert!(several.text().contains("bytes 6-6/7\r\n\r\no\r\n"), "{}", several.text());
}

#[test]
fn a_manifest_without_parts_is_empty() {
    let service = Service::with_container();
    for manifest in ["c/none/", "nowhere/x"] {
        service
            .objects(ANN, "PUT", &format!("/{ANN}/c/m"))
            .header("content-type", "text/plain")
            .header("content-length", "0")
            .header("x-object-manifest", manifest)
            .send()
            .expect(201);
        assert_eq!(service.get("m").expect(200).text(), "");
    }
}

#[test]
fn parts_that_may_not_be_read_are_not_joined() {
    let service = with_manifest();
    let share = |name: &str, sharing: &str| {
        let post = service.objects(ANN, "POST", &format!("/{ANN}/c/{name}?update"));
        post.header("x-object-sharing", sharing).send().expect(202);
    };
    share("parts/0", &format!("read={BEN},{CID}"));
    fault(&service.objects(BEN, "GET", &format!("/{ANN}/c/parts/0")).send(), 403, "forbidden");
    for part in ["parts/1", "parts/2", "parts/3"] {
        share(part, &format!("read={BEN}"));
    }
    assert_eq!(service.objects(BEN, "GET", &format!("/{ANN}/c/parts/0")).send().expect(200).text(), "one two");
    fault(&service.objects(CID, "GET", &format!("/{ANN}/c/parts/0")).send(), 403, "forbidden");
}

#[test]
fn parts_of_several_blocks_join_at_the_byte() {
    let service = Service::with_container();
    let first = [vec![1; BLOCK], vec![0; 3]].concat();
    service.put("p/1", first.clone());
    service.put("p/2", vec![2; BLOCK + 1]);
    service
        .objects(ANN, "PUT", &format!("/{ANN}/c/m"))
        .header("content-type", "text/plain")
        .header("content-length", "0")
        .header("x-object-manifest", "c/p/")
        .send()
        .expect(201);
    let whole = [first, vec![2; BLOCK + 1]].concat();
    assert!(service.get("m").body == whole);
    let range = format!("bytes={}-{}", BLOCK - 1, 2 * BLOCK + 3);
    let part = service.objects(ANN, "GET", &format!("/{ANN}/c/m")).header("range", range).send().expect(206);
    assert!(part.body == whole[BLOCK - 1..=2 * BLOCK + 3]);
}

#[test]
fn many_parts_are_sent_in_steps() {
    let service = Service::with_container();
    service.put("p/0000", "x");
    let head = service.keys("o/").remove(0);
    let part: serde_json::Value = service.app.host().get_json(&head).unwrap();
    for n in 1..2_500 {
        let mut part = part.clone();
        part["name"] = format!("p/{n:04}").into();
        part["uuid"] = format!("{n}").into();
        service.app.host().put_json(&head.replace("p/0000", &format!("p/{n:04}")), &part);
    }
    service
        .objects(ANN, "PUT", &format!("/{ANN}/c/m"))
        .header("content-type", "text/plain")
        .header("content-length", "0")
        .header("x-object-manifest", "c/p/")
        .send()
        .expect(201);
    let get = service.get("m").expect(200);
    assert_eq!(get.text(), "x".repeat(2_500));
    assert_eq!(get.header("content-length"), Some("2500"));
}
