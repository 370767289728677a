//! Published objects, and quotas of accounts.

use plugbay_sdk::testing::TestAnswer;
use serde_json::{Value, json};

use super::{ANN, BEN, CID, Service, fault};

impl Service {
    fn publish(&self, name: &str, public: &str) -> TestAnswer {
        self.objects(ANN, "POST", &format!("/{ANN}/c/{name}?update")).header("x-object-public", public).send()
    }

    /// Where an object is published, as its owner sees it.
    fn link(&self, name: &str) -> Option<String> {
        let head = self.objects(ANN, "HEAD", &format!("/{ANN}/c/{name}")).prefix("/object-store/v1").send().expect(200);
        head.header("x-object-public").map(str::to_owned)
    }

    fn anyone(&self, method: &str, link: &str) -> TestAnswer {
        let (_, id) = link.split_once("/public").unwrap();
        self.app.request(method, id).surface("public").send()
    }
}

#[test]
fn a_published_object_is_read_without_a_token() {
    let service = Service::with_container();
    service.put("o", "0123456789");
    let version =
        service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send().header("x-object-version").map(str::to_owned);
    assert_eq!(service.publish("o", "True").expect(202).header("x-object-version"), None);
    let link = service.link("o").unwrap();
    assert!(link.starts_with("http://"), "{link}");
    let get = service.anyone("GET", &link).expect(200);
    assert_eq!(get.text(), "0123456789");
    assert_eq!(get.header("content-type"), Some("application/octet-stream"));
    assert!(get.header("etag").is_some() && get.header("last-modified").is_some());
    assert!(!get.headers.iter().any(|(name, _)| name.starts_with("x-object")));
    let head = service.anyone("HEAD", &link).expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("10"), 0));
    let id = link.rsplit('/').next().unwrap();
    let part = service.app.get(&format!("/{id}")).surface("public").header("range", "bytes=2-3").send().expect(206);
    assert_eq!(part.text(), "23");
    let etag = get.header("etag").unwrap();
    let same = service.app.get(&format!("/{id}")).surface("public").header("if-none-match", etag).send();
    assert_eq!((same.status, same.body.len()), (304, 0));
    fault(
        &service.app.get(&format!("/{id}")).surface("public").header("range", "bytes=10-").send(),
        416,
        "rangeNotSatisfiable",
    );
    // Publishing made no version, and again gives the same link.
    let again = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send();
    assert_eq!(again.header("x-object-version").map(str::to_owned), version);
    service.publish("o", "true").expect(202);
    assert_eq!(service.link("o"), Some(link));
}

#[test]
fn what_is_no_longer_published_is_not_there() {
    let service = Service::with_container();
    service.put("o", "x");
    service.publish("o", "true").expect(202);
    let first = service.link("o").unwrap();
    service.publish("o", "false").expect(202);
    fault(&service.anyone("GET", &first), 404, "itemNotFound");
    assert_eq!(service.link("o"), None);
    service.publish("o", "true").expect(202);
    let second = service.link("o").unwrap();
    assert_ne!(first, second);
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/o")).send().expect(204);
    fault(&service.anyone("GET", &second), 404, "itemNotFound");
    for path in ["/", "/none", "/..", "/%2F", "/a/b", &format!("/{}", "a".repeat(32))] {
        assert!(matches!(service.app.get(path).surface("public").send().status, 400 | 404), "{path}");
    }
    let post = service.app.post(&format!("/{}", "a".repeat(32))).surface("public").send();
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    assert!(!service.app.host().keys().iter().any(|key| key.starts_with("p/") || key.starts_with("w/")));
}

#[test]
fn publicity_stays_over_overwriting_and_not_over_moving() {
    let service = Service::with_container();
    let put = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/o"))
        .header("content-type", "text/plain")
        .header("content-length", "3")
        .header("x-object-public", "true")
        .body("one")
        .send();
    put.expect(201);
    let link = service.link("o").unwrap();
    service.put("o", "two");
    assert_eq!(service.anyone("GET", &link).expect(200).text(), "two");
    service.objects(ANN, "COPY", &format!("/{ANN}/c/o")).header("destination", "/c/copy").send().expect(201);
    assert_eq!(service.link("copy"), None);
    service.objects(ANN, "MOVE", &format!("/{ANN}/c/o")).header("destination", "/c/moved").send().expect(201);
    assert_eq!(service.link("moved"), None);
    fault(&service.anyone("GET", &link), 404, "itemNotFound");
    let copied = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/again"))
        .header("x-copy-from", "/c/moved")
        .header("content-length", "0")
        .header("x-object-public", "True")
        .send();
    copied.expect(201);
    assert!(service.link("again").is_some());
    service.put("again", "x");
    assert!(service.link("again").is_some());
}

#[test]
fn publishing_is_the_owners_and_so_is_the_link() {
    let service = Service::with_container();
    service.put("o", "x");
    service
        .objects(ANN, "POST", &format!("/{ANN}/c/o?update"))
        .header("x-object-sharing", format!("write={BEN}"))
        .send()
        .expect(202);
    let by_ben = |public: &str| {
        service.objects(BEN, "POST", &format!("/{ANN}/c/o?update")).header("x-object-public", public).send()
    };
    fault(&by_ben("true"), 403, "forbidden");
    fault(&service.publish("o", "yes"), 400, "badRequest");
    service.publish("o", "true").expect(202);
    let head = |user: &str| service.objects(user, "HEAD", &format!("/{ANN}/c/o")).send();
    assert_eq!(head(BEN).expect(200).header("x-object-public"), None);
    // Every user may read what is published; it is in no list of theirs.
    assert_eq!(head(CID).expect(200).header("x-object-public"), None);
    assert_eq!(service.objects(CID, "GET", "/").send().status, 204);
    fault(&service.objects(CID, "GET", &format!("/{ANN}/c")).send(), 403, "forbidden");
    let rows = |user: &str| -> Vec<Value> {
        service.objects(user, "GET", &format!("/{ANN}/c?format=json")).send().expect(200).json()
    };
    assert!(rows(ANN)[0]["x_object_public"].as_str().unwrap().contains("/public/"));
    assert!(rows(BEN)[0].get("x_object_public").is_none());
}

#[test]
fn the_link_leads_where_the_operator_says() {
    let service = Service::with_container();
    service.put("o", "x");
    service.publish("o", "true").expect(202);
    let head = |prefix: &str, public_url: Option<&str>| {
        let request = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).prefix(prefix);
        let request = match public_url {
            Some(url) => request.public_url(url),
            None => request,
        };
        request.send().header("x-object-public").unwrap().to_owned()
    };
    assert!(head("/object-store/v1", Some("https://h/cloud/object-store/v1")).starts_with("https://h/cloud/public/"));
    service.app.host().set_config(&json!({ "endpoints": { "public": "https://files.example/" } }));
    assert!(head("/object-store/v1", None).starts_with("https://files.example/"));
}

#[test]
fn an_account_holds_what_the_operator_allows() {
    let service = Service::with_container();
    service.app.host().set_config(&json!({ "account_quota": 10 }));
    service.objects(ANN, "PUT", &format!("/{ANN}/d")).send().expect(201);
    service.put("a", "12345678");
    let put = |container: &str, data: &str| {
        service
            .objects(ANN, "PUT", &format!("/{ANN}/{container}/b"))
            .header("content-type", "text/plain")
            .header("content-length", data.len().to_string())
            .body(data)
            .send()
    };
    fault(&put("d", "123"), 413, "requestEntityTooLarge");
    put("d", "12").expect(201);
    // Nothing is added by moving, overwriting with less, or changing metadata.
    service.objects(ANN, "MOVE", &format!("/{ANN}/c/a")).header("destination", "/d/a").send().expect(201);
    put("d", "1").expect(201);
    let copy = service.objects(ANN, "COPY", &format!("/{ANN}/d/a")).header("destination", "/c/a").send();
    fault(&copy, 413, "requestEntityTooLarge");
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}")).send();
    assert_eq!(head.header("x-account-policy-quota"), Some("10"));
}

#[test]
fn what_came_as_a_hashmap_is_published_in_the_same_call() {
    let service = Service::with_container();
    service.put("o", "0123456789");
    let map = service.objects(ANN, "GET", &format!("/{ANN}/c/o?hashmap&format=json")).send().expect(200);
    let put = service
        .objects(ANN, "PUT", &format!("/{ANN}/c/p?hashmap=True&format=json"))
        .header("content-type", "text/plain")
        .header("content-length", map.body.len().to_string())
        .header("x-object-public", "True")
        .body(map.body.clone())
        .send();
    put.expect(201);
    let link = service.link("p").unwrap();
    assert_eq!(service.anyone("GET", &link).expect(200).text(), "0123456789");
}

#[test]
fn of_a_published_manifest_everyone_sees_the_parts_that_everyone_may_read() {
    let service = Service::with_container();
    service.put("parts/1", "one");
    service.put("parts/2", "two");
    service
        .objects(ANN, "PUT", &format!("/{ANN}/c/m"))
        .header("content-type", "text/plain")
        .header("content-length", "0")
        .header("x-object-manifest", "c/parts/")
        .header("x-object-public", "true")
        .send()
        .expect(201);
    let link = service.link("m").unwrap();
    fault(&service.anyone("GET", &link), 403, "forbidden");
    service.publish("parts/1", "true").expect(202);
    service
        .objects(ANN, "POST", &format!("/{ANN}/c/parts/2?update"))
        .header("x-object-sharing", "read=*")
        .send()
        .expect(202);
    assert_eq!(service.anyone("GET", &link).expect(200).text(), "onetwo");
}
