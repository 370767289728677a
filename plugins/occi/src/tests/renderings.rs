//! Negotiation, and what each rendering looks like.

use super::*;

#[test]
fn the_type_asked_for_is_the_type_given() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    for (accept, content_type) in [
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/occi", "text/occi; charset=utf-8"),
        ("text/occi+plain", "text/occi+plain; charset=utf-8"),
        ("application/occi+json", "application/occi+json"),
        ("application/json;q=0.5", "application/json"),
    ] {
        for target in ["/-/", "/compute/", path.as_str()] {
            let answer = cloud.request("GET", target).header("accept", accept).send().expect(200);
            assert_eq!(answer.header("content-type"), Some(content_type));
        }
    }
    cloud.request("GET", &path).header("accept", "image/png").send().expect(406);
    cloud.request("GET", &path).header("accept", "text/uri-list").send().expect(400);
    cloud.request("GET", "/-/").header("accept", "text/uri-list").send().expect(400);
    let list = cloud.request("GET", "/").header("accept", "text/uri-list").send().expect(200);
    assert_eq!(list.text(), format!("http://localhost{path}\r\n"));
}

#[test]
fn a_request_that_cannot_be_answered_changes_nothing() {
    let cloud = Cloud::new();
    cloud
        .request("POST", "/compute/")
        .header("accept", "image/png")
        .header("content-type", "text/plain")
        .body(format!("Category: {COMPUTE}"))
        .send()
        .expect(406);
    assert!(cloud.list("/").is_empty());
}

#[test]
fn header_fields_are_joined_with_comma_and_blank() {
    let cloud = Cloud::new();
    let paths = [cloud.compute(), cloud.compute()];
    let answer = cloud.request("GET", "/compute/").header("accept", "text/occi").send().expect(200);
    assert_eq!(answer.text(), "OK\n");
    let joined = format!("http://localhost{}, http://localhost{}", paths[0], paths[1]);
    assert_eq!(answer.header("x-occi-location"), Some(joined.as_str()));
}

#[test]
fn bodies_of_other_types_are_refused() {
    let cloud = Cloud::new();
    let send = |content_type: &str, body: &str| {
        cloud.request("POST", "/compute/").header("content-type", content_type).body(body).send().status
    };
    let line = format!("Category: {COMPUTE}");
    assert_eq!(send("text/plain; charset=utf-8", &line), 201);
    assert_eq!(send("TEXT/PLAIN", &line), 201);
    assert_eq!(send("text/occi+plain", &line), 201);
    assert_eq!(send("application/xml", &line), 415);
    assert_eq!(send("application/occi+json", &line), 400);
    assert_eq!(send("text/plain", "nonsense"), 400);
    let bare = cloud.request("POST", "/compute/").header("category", COMPUTE).send();
    assert_eq!(bare.status, 201);
}

#[test]
fn a_client_of_a_later_version_is_told_so() {
    let cloud = Cloud::new();
    let status = |agent: &str| cloud.request("GET", "/-/").header("user-agent", agent).send().status;
    for (agent, wanted) in [
        ("x/1 OCCI/1.1", 200),
        ("x OCCI/1.2", 200),
        ("x OCCI/1.3", 501),
        ("x (y) OCCI/2.0", 501),
        ("x OCCI/z", 200),
        ("OCCI/1.1 OCCI/2.0", 200),
    ] {
        assert_eq!(status(agent), wanted, "{agent}");
    }
    let refused = cloud.request("GET", "/-/").header("user-agent", "OCCI/9.0").send();
    assert!(refused.header("server").is_some());
}

#[test]
fn below_a_prefix_paths_and_urls_have_it() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    let answer = cloud.request("GET", &path).prefix("/cloud").send().expect(200);
    assert!(answer.text().contains(&format!("</cloud{path}?action=start>")));
    let list = cloud.request("GET", "/compute/").prefix("/cloud").send().expect(200);
    assert_eq!(list.text(), format!("X-OCCI-Location: http://localhost/cloud{path}\n"));
}

#[test]
fn too_much_for_header_fields_is_refused() {
    let cloud = Cloud::new();
    let long = "x".repeat(60_000);
    for _ in 0..6 {
        let title = format!("X-OCCI-Attribute: occi.core.title=\"{long}\"");
        cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), &title]);
    }
    let network = cloud.network();
    cloud.request("GET", &network).header("accept", "text/occi").send().expect(200);
    let summary = format!("X-OCCI-Attribute: occi.core.summary=\"{long}\"");
    let path = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), &summary]);
    cloud.request("GET", &path).header("accept", "text/occi").send().expect(200);
}
