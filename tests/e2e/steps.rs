//! Steps, between which no instance is held.

use plugbay_tests::{Bed, Sent, marked, wait_until};

#[tokio::test]
async fn an_answer_may_come_in_parts() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    assert_eq!(bed.get("/trouble/stream/3").await.text(), "begin\n3\n2\n1\nend\n");
}

#[tokio::test]
async fn a_parked_request_is_woken_by_a_commit() {
    let bed = Bed::serving("trouble", &marked(1, 1), "[plugin.trouble]\nlimits = { concurrency = 1 }\n").await;
    let parked = tokio::spawn(Sent::new("GET", "/trouble/park/k").to(bed.address()));
    let plugin = bed.host().registry().version("trouble").unwrap().plugin.clone();
    let all = plugin.parking.available_permits();
    wait_until("the request is parked", || async { (plugin.parking.available_permits() < all).then_some(()) }).await;
    // One call at a time, and the parked one is none.
    let put = bed.send(Sent::new("PUT", "/trouble/kv/k").body("new")).await;
    assert_eq!(put.status, 204);
    assert_eq!(parked.await.unwrap().text(), "woken new");
}

#[tokio::test]
async fn too_many_parked_requests_are_a_429() {
    let bed = Bed::serving("trouble", &marked(1, 1), "[plugin.trouble]\nlimits = { parked = 1 }\n").await;
    let _parked = tokio::spawn(Sent::new("GET", "/trouble/park/k").to(bed.address()));
    let plugin = bed.host().registry().version("trouble").unwrap().plugin.clone();
    wait_until("the request is parked", || async { (plugin.parking.available_permits() == 0).then_some(()) }).await;
    assert_eq!(bed.get("/trouble/park/k").await.status, 429);
}

#[tokio::test]
async fn a_parked_request_is_handed_to_the_new_version_afresh() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    let parked = tokio::spawn(Sent::new("GET", "/trouble/park/k").to(bed.address()));
    let plugin = bed.host().registry().version("trouble").unwrap().plugin.clone();
    let all = plugin.parking.available_permits();
    wait_until("the request is parked", || async { (plugin.parking.available_permits() < all).then_some(()) }).await;
    bed.install("trouble", &marked(1, 2));
    bed.until("the new version serves", "trouble", |status| status.version.as_deref() == Some("2")).await;
    let put = bed.send(Sent::new("PUT", "/trouble/kv/k").body("after")).await;
    assert_eq!(put.status, 204);
    assert_eq!(parked.await.unwrap().text(), "woken after");
}

#[tokio::test]
async fn a_body_that_is_cut_off_leaves_no_piece() {
    use tokio::io::AsyncWriteExt;
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    let mut stream = tokio::net::TcpStream::connect(bed.address()).await.unwrap();
    stream.write_all(b"POST /trouble/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
    stream.write_all(&vec![1; 500_000]).await.unwrap();
    let plugin = bed.host().registry().version("trouble").unwrap().plugin.clone();
    wait_until("something is staged", || async { (plugin.blobs.staged_bytes() > 0).then_some(()) }).await;
    drop(stream);
    wait_until("nothing is staged", || async { (plugin.blobs.staged_bytes() == 0).then_some(()) }).await;
    let mut files = Vec::new();
    let mut folders = vec![bed.path().join("data/blobs/pieces")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    assert_eq!(files, Vec::<std::path::PathBuf>::new());
}
