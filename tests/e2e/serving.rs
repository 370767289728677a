//! Mounts, paths and what the host answers by itself.

use plugbay_tests::{Bed, Sent, component, marked};

#[tokio::test]
async fn a_component_in_the_folder_is_served_under_its_name() {
    let bed = Bed::serving("hello", &component("hello"), "").await;
    let answer = bed.get("/hello/hello").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "Hello, world\n"));
    assert!(!answer.header("x-request-id").is_empty());
}

#[tokio::test]
async fn errors_of_the_host_are_problem_documents_with_the_request_id() {
    let bed = Bed::serving("hello", &component("hello"), "").await;
    let missing = bed.send(Sent::new("GET", "/hello/none").header("x-request-id", "abc-1")).await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("content-type"), "application/problem+json");
    assert_eq!(missing.header("x-request-id"), "abc-1");
    assert_eq!(missing.json()["request-id"], "abc-1");
    let wrong = bed.send(Sent::new("DELETE", "/hello/hello")).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "GET, HEAD, OPTIONS"));
    let options = bed.send(Sent::new("OPTIONS", "/hello/hello")).await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, "GET, HEAD, OPTIONS"));
    let head = bed.send(Sent::new("HEAD", "/hello/hello")).await;
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "13", 0));
    assert_eq!(bed.get("/elsewhere").await.status, 404);
}

#[tokio::test]
async fn a_mount_takes_its_prefix_off_and_matches_its_host() {
    let config = "[plugin.trouble]\nmounts = [{ path = \"/\", host = \"api.example.org\" }, { path = \"/v1/t\" }]\n";
    let bed = Bed::serving("trouble", &marked(1, 1), config).await;
    let by_path = bed.get("/v1/t/echo/a%20b/c?q=1").await;
    assert_eq!(by_path.text(), "GET /echo/a%20b/c a%20b/c\nprefix /v1/t\nquery Some(\"q=1\")\ncaller anonymous\n");
    let by_host = bed.send(Sent::new("GET", "/echo//x").header("host", "API.example.org:80")).await;
    assert_eq!(by_host.text(), "GET /echo//x /x\nprefix \nquery None\ncaller anonymous\n");
    assert_eq!(bed.get("/echo/x").await.status, 404);
}

#[tokio::test]
async fn paths_are_split_before_they_are_decoded() {
    let bed = Bed::serving("hello", &component("hello"), "").await;
    assert_eq!(bed.get("/hello/hello/a%20b").await.text(), "Hello, a b\n");
    for no_match in
        ["/hello/hello/a%2Fb", "/hello/hello/..", "/hello/hello/%2e%2e", "/hello/hello/", "/hello/hello/a%00"]
    {
        assert_eq!(bed.get(no_match).await.status, 404, "{no_match}");
    }
    for bad in ["/hello/hello/%zz", "/hello/hello/%ff"] {
        assert_eq!(bed.get(bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn an_answer_with_a_line_break_in_a_header_is_refused() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    assert_eq!(bed.get("/trouble/header?value=fine").await.header("x-bad"), "fine");
    let injected = bed.get("/trouble/header?value=a%0d%0aset-cookie:%20b").await;
    assert_eq!(injected.status, 500);
    assert!(injected.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn the_host_applies_ranges_where_the_plugin_lets_it() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    let part = bed.send(Sent::new("GET", "/trouble/zeros/1000").header("range", "bytes=10-19")).await;
    assert_eq!((part.status.as_u16(), part.header("content-range"), part.body.len()), (206, "bytes 10-19/1000", 10));
    let beyond = bed.send(Sent::new("GET", "/trouble/zeros/10").header("range", "bytes=10-")).await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */10"));
}

#[tokio::test]
async fn a_stopping_host_finishes_what_is_under_way() {
    let mut bed = Bed::serving("trouble", &marked(1, 1), "").await;
    let address = bed.address();
    let slow = tokio::spawn(Sent::new("GET", "/trouble/sleep/300").to(address));
    plugbay_tests::wait_until("the request is under way", || async {
        let version = bed.host().registry().version("trouble").unwrap();
        (version.requests() == 1).then_some(())
    })
    .await;
    assert_eq!(bed.stop().await, 0);
    assert_eq!(slow.await.unwrap().text(), "slept");
    assert!(Sent::new("GET", "/trouble/label").try_to(address).await.is_err());
}
