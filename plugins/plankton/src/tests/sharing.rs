//! Who may do what with somebody else's objects.

use serde_json::{Value, json};

use super::{ANN, BEN, CID, Service, fault};

impl Service {
    fn share(&self, name: &str, sharing: &str) {
        self.objects(ANN, "POST", &format!("/{ANN}/c/{name}?update"))
            .header("x-object-sharing", sharing)
            .send()
            .expect(202);
    }

    fn status(&self, user: &str, method: &str, target: &str) -> u16 {
        self.objects(user, method, &format!("/{ANN}{target}"))
            .header("content-type", "text/plain")
            .header("content-length", "0")
            .send()
            .status
    }
}

#[test]
fn others_get_403_whether_or_not_something_is_there() {
    let service = Service::with_container();
    service.put("o", "x");
    for target in ["/c/o", "/c/none", "/none/o", "/c", "/none", ""] {
        assert_eq!(service.status(BEN, "HEAD", target), 403, "{target}");
    }
    assert_eq!(service.status(BEN, "PUT", "/d"), 403);
    assert_eq!(service.status(BEN, "PUT", "/c/o"), 403);
    assert_eq!(service.status(BEN, "DELETE", "/c/o"), 403);
}

#[test]
fn read_permission_reads_and_write_permission_writes() {
    let service = Service::with_container();
    service.put("o", "x");
    service.put("p", "x");
    service.share("o", &format!("read={BEN};write={CID}"));
    let head = service.objects(BEN, "HEAD", &format!("/{ANN}/c/o")).send().expect(200);
    assert_eq!(head.header("x-object-allowed-to"), Some("read"));
    let sharing = format!("read={BEN}; write={CID}");
    assert_eq!(head.header("x-object-sharing"), Some(sharing.as_str()));
    assert_eq!(service.status(BEN, "PUT", "/c/o"), 403);
    assert_eq!(service.status(CID, "PUT", "/c/o"), 201);
    assert_eq!(service.status(CID, "DELETE", "/c/o"), 403);
    let sharing_by_other =
        service.objects(CID, "POST", &format!("/{ANN}/c/o?update")).header("x-object-sharing", "").send();
    fault(&sharing_by_other, 403, "forbidden");
    // Written by another, owned as before, shared as before.
    let head = service.objects(ANN, "HEAD", &format!("/{ANN}/c/o")).send().expect(200);
    assert_eq!(head.header("x-object-modified-by"), Some(CID));
    assert_eq!(service.status(BEN, "HEAD", "/c/o"), 200);
    assert_eq!(service.status(BEN, "HEAD", "/c/p"), 403);
    service.share("o", "");
    assert_eq!(service.status(BEN, "HEAD", "/c/o"), 403);
}

#[test]
fn others_see_what_they_may_read_and_no_counts() {
    let service = Service::with_container();
    for name in ["a", "b", "d/c"] {
        service.put(name, "x");
    }
    service.share("b", &format!("read={BEN}"));
    let list = service.objects(BEN, "GET", &format!("/{ANN}/c")).send().expect(200);
    assert_eq!(list.text(), "b\n");
    assert_eq!(list.header("x-container-object-count"), None);
    assert!(list.header("x-container-block-size").is_some());
    let account: Vec<Value> = service.objects(BEN, "GET", &format!("/{ANN}?format=json")).send().expect(200).json();
    assert_eq!(account[0]["name"], "c");
    assert!(account[0].get("bytes").is_none());
    let sharers: Vec<Value> = service.objects(BEN, "GET", "/?format=json").send().json();
    assert_eq!(sharers[0]["name"], ANN);
    let own: Value = service.objects(ANN, "GET", "/?format=json").send().json();
    assert_eq!(own, json!([]));
    assert_eq!(service.objects(CID, "GET", "/").send().status, 204);
}

#[test]
fn directories_pass_permissions_down_and_the_nearest_wins() {
    let service = Service::with_container();
    let directory = |name: &str, sharing: &str| {
        service
            .objects(ANN, "PUT", &format!("/{ANN}/c/{name}"))
            .header("content-type", "application/directory")
            .header("content-length", "0")
            .header("x-object-sharing", sharing)
            .send()
            .expect(201);
    };
    directory("d", &format!("write={BEN}"));
    service.put("d/o", "x");
    let head = service.objects(BEN, "HEAD", &format!("/{ANN}/c/d/o")).send().expect(200);
    let from = format!("{ANN}/c/d");
    assert_eq!(head.header("x-object-shared-by"), Some(from.as_str()));
    assert_eq!(head.header("x-object-allowed-to"), Some("write"));
    assert_eq!(service.status(BEN, "PUT", "/c/d/new"), 201);
    directory("d/e/", &format!("read={CID}"));
    assert_eq!(service.status(BEN, "PUT", "/c/d/e/new"), 403);
    assert_eq!(service.status(CID, "HEAD", "/c/d/e/new"), 404);
    service.put("file", "x");
    service.share("file", &format!("read={BEN}"));
    service.put("file/o", "x");
    assert_eq!(service.status(BEN, "HEAD", "/c/file/o"), 403);
}

#[test]
fn a_group_stands_for_its_members() {
    let service = Service::with_container();
    service.put("o", "x");
    let group = |members: &str| {
        service
            .objects(ANN, "POST", &format!("/{ANN}?update"))
            .header("X-Account-Group-Friends", members)
            .send()
            .expect(202)
    };
    group(&format!("{BEN},{CID}"));
    service.share("o", &format!("read={ANN}:friends"));
    assert_eq!(service.status(BEN, "HEAD", "/c/o"), 200);
    let id = service.register("o", "shared", false);
    service
        .images(ANN, "PUT", &format!("/images/{id}/members"))
        .json(&json!({ "memberships": [{ "member_id": format!("{ANN}:friends") }] }))
        .send()
        .expect(204);
    assert_eq!(service.listed(BEN, ""), ["shared"]);
    group(CID);
    assert_eq!(service.status(BEN, "HEAD", "/c/o"), 403);
    assert!(service.listed(BEN, "").is_empty());
    let account = service.objects(ANN, "HEAD", &format!("/{ANN}")).send();
    assert_eq!(account.header("x-account-group-friends"), Some(CID));
    let bad = service.objects(ANN, "POST", &format!("/{ANN}?update")).header("X-Account-Group-a%5Fb", BEN).send();
    fault(&bad, 400, "badRequest");
}

#[test]
fn more_members_than_a_commit_holds() {
    let service = Service::with_container();
    service.put("o", "x");
    let id = service.register("o", "popular", false);
    let user = |n: usize| format!("00000000-0000-4000-8000-{n:012}");
    let replace = |count: usize| {
        let members: Vec<Value> = (0..count).map(|n| json!({ "member_id": user(n) })).collect();
        service
            .images(ANN, "PUT", &format!("/images/{id}/members"))
            .json(&json!({ "memberships": members }))
            .send()
            .expect(204);
    };
    replace(300);
    for n in [0, 150, 299] {
        assert_eq!(service.listed(&user(n), ""), ["popular"]);
    }
    replace(1);
    assert_eq!(service.listed(&user(0), ""), ["popular"]);
    assert!(service.listed(&user(299), "").is_empty());
    let keys = service.app.host().keys();
    assert_eq!(keys.iter().filter(|key| key.starts_with("l/s/")).count(), 1);
    assert_eq!(keys.iter().filter(|key| key.starts_with("s/")).count(), 1);
}
