//! A plugin can only hurt itself (rule 4): each bound has its status.

use plugbay_tests::{Bed, Sent, marked};

async fn bed(limits: &str) -> Bed {
    Bed::serving("trouble", &marked(1, 1), &format!("[plugin.trouble]\nlimits = {{ {limits} }}\n")).await
}

#[tokio::test]
async fn a_trap_is_a_500_with_the_request_id_and_touches_nobody_else() {
    let bed = bed("").await;
    for path in ["/trouble/panic", "/trouble/allocate", "/trouble/recurse", "/trouble/huge"] {
        let answer = bed.get(path).await;
        assert_eq!(answer.status, 500, "{path}");
        assert_eq!(answer.json()["request-id"], answer.header("x-request-id"), "{path}");
        assert_eq!(bed.get("/trouble/label").await.text(), "1", "after {path}");
    }
}

#[tokio::test]
async fn a_guest_that_loops_is_ended_at_its_deadline() {
    let bed = bed("deadline = \"300ms\"").await;
    assert_eq!(bed.get("/trouble/loop").await.status, 504);
    assert_eq!(bed.get("/trouble/label").await.text(), "1");
}

#[tokio::test]
async fn the_deadline_counts_inside_host_calls() {
    let bed = bed("deadline = \"300ms\"").await;
    assert_eq!(bed.get("/trouble/sleep/60000").await.status, 504);
}

#[tokio::test]
async fn a_guest_that_loops_lets_others_of_its_plugin_compute() {
    let bed = bed("deadline = \"2s\", executing = 1").await;
    let looping = tokio::spawn(Sent::new("GET", "/trouble/loop").to(bed.address()));
    assert_eq!(bed.get("/trouble/label").await.text(), "1");
    assert!(!looping.is_finished(), "the other request did not wait for the loop to end");
    assert_eq!(looping.await.unwrap().status, 504);
}

#[tokio::test]
async fn a_full_queue_is_a_503_with_retry_after() {
    let bed = bed("concurrency = 1, queue = 1, queue_wait = \"200ms\"").await;
    let address = bed.address();
    let version = bed.host().registry().version("trouble").unwrap();
    let inside = tokio::spawn(Sent::new("GET", "/trouble/sleep/1500").to(address));
    plugbay_tests::wait_until("one is inside", || async { (version.requests() == 1).then_some(()) }).await;
    let (one, other) = tokio::join!(bed.get("/trouble/label"), bed.get("/trouble/label"));
    for refused in [one, other] {
        assert_eq!(refused.status, 503);
        assert!(!refused.header("retry-after").is_empty());
    }
    assert_eq!(inside.await.unwrap().status, 200);
}

#[tokio::test]
async fn bodies_over_their_bound_are_a_413() {
    let bed = bed("upload = \"1MiB\"").await;
    let post = |path: &str, size: usize| bed.send(Sent::new("POST", path).body(vec![1; size]));
    assert_eq!(post("/trouble/body", 1 << 20).await.text(), "1048576");
    assert_eq!(post("/trouble/body", (1 << 20) + 1).await.status, 413);
    assert_eq!(post("/trouble/upload", 1 << 20).await.text(), "1048576 bytes in 16 pieces");
    assert_eq!(post("/trouble/upload", (1 << 20) + 1).await.status, 413);
    let unexpected = bed.send(Sent::new("GET", "/trouble/label").body("x")).await;
    assert_eq!(unexpected.status, 413);
}

#[tokio::test]
async fn a_store_over_its_quota_takes_no_more_and_gives_what_it_has() {
    let bed = bed("store_bytes = \"100KiB\"").await;
    let put = |key: &str, size: usize| bed.send(Sent::new("PUT", &format!("/trouble/kv/{key}")).body(vec![1; size]));
    assert_eq!(put("a", 60 << 10).await.status, 204);
    let refused = put("b", 60 << 10).await;
    assert!(refused.status.is_client_error() || refused.status.is_server_error(), "{}", refused.status);
    assert_eq!(bed.get("/trouble/kv/b").await.status, 404);
    assert_eq!(bed.get("/trouble/kv/a").await.body.len(), 60 << 10);
}

#[tokio::test]
async fn a_plugin_that_keeps_trapping_gets_a_rest() {
    let config = "[plugin.trouble.breaker]\ntraps = 3\npause = \"60s\"\n";
    let bed = Bed::serving("trouble", &marked(1, 1), config).await;
    for _ in 0..3 {
        assert_eq!(bed.get("/trouble/panic").await.status, 500);
    }
    let resting = bed.get("/trouble/label").await;
    assert_eq!(resting.status, 503);
    assert!(!resting.header("retry-after").is_empty());
    assert!(bed.status("trouble").resting);
}
