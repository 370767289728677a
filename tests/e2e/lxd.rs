//! The LXD plugin between real requirers and real LXD servers: who is trusted where, and what a poll costs.

use std::time::{Duration, Instant};

use plugbay_tests::Sent;
use tokio::io::AsyncReadExt;

use crate::many::{open_many, resident_kib};
use lab::Lab;
use servers::{Credential, Servers};

mod clients;
mod failing;
mod front;
mod killed;
mod lab;
mod many;
mod servers;

/// Long polls that are parked at once.
const POLLS: usize = 10_000;
/// Most bytes of the host's memory for each of them; half of it is its connection's buffers.
const POLL_BYTES: u64 = 20_000;

#[tokio::test]
async fn a_certificate_reaches_every_node_and_leaves_with_the_last_who_wants_it() {
    let Some(servers) = Servers::start(2, &[]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let (shared, own) = (Credential::new("shared"), Credential::new("own"));
    let (one, two) = (lab.relation().await, lab.relation().await);
    lab.write(&one, &[&shared, &own]).await;
    lab.write(&two, &[&shared]).await;
    lab.until_registered(&one, &[&shared, &own]).await;
    for server in 0..2 {
        servers.until_trusted(server, &[&shared, &own]).await;
    }
    lab.break_off(&one).await;
    for server in 0..2 {
        servers.until_trusted(server, &[&shared]).await;
    }
}

#[tokio::test]
async fn a_removal_is_paid_when_the_node_is_back_even_by_another_process() {
    let Some(mut servers) = Servers::start(1, &[]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let (relation, credential) = (lab.relation().await, Credential::new("c"));
    lab.write(&relation, &[&credential]).await;
    lab.until_registered(&relation, &[&credential]).await;
    servers.tell("stop", 0).await;
    assert!(lab.break_off(&relation).await, "it is owed");
    let _lab = lab.kill().await.start().await;
    servers.tell("start", 0).await;
    servers.until_trusted(0, &[]).await;
}

#[tokio::test]
async fn members_of_a_cluster_stand_in_for_one_that_is_down() {
    let Some(mut servers) = Servers::start(3, &["--cluster", "--count"]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let (relation, before, after) = (lab.relation().await, Credential::new("before"), Credential::new("after"));
    lab.write(&relation, &[&before]).await;
    lab.until_registered(&relation, &[&before]).await;
    let mut posts = 0;
    for server in 0..3 {
        posts += servers.requests(server).await.get("POST").copied().unwrap_or_default();
    }
    assert_eq!(posts, 1, "members share a trust store");
    servers.tell("kill", 0).await;
    lab.write(&relation, &[&after]).await;
    for server in 1..3 {
        servers.until_trusted(server, &[&after]).await;
    }
    servers.tell("start", 0).await;
    lab.reconcile().await;
    lab.until_registered(&relation, &[&after]).await;
    servers.until_trusted(0, &[&after]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_long_polls_are_woken_by_one_change_within_a_second() {
    plugbay_tests::raise_descriptor_limit(POLLS as u64 + 1_000);
    let lab = Lab::new(&[], "").await;
    let relation = lab.relation().await;
    let path = format!("/lxd/v1/{}", relation.path("provider/data"));
    let authorization = format!("Bearer {}", relation.token);
    let first = Sent::new("GET", &path).header("authorization", &authorization).to(lab.process.address).await;
    let etag = first.header("etag").to_owned();
    let head = |_| {
        format!(
            "GET {path}?wait=60 HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\nif-none-match: {etag}\r\n\r\n"
        )
    };
    // What the host keeps for good after its first work is not the polls'.
    drop(open_many(lab.process.address, 200, head, 0).await);
    let before = resident_kib(lab.process.id());
    let began = Instant::now();
    let mut polls = open_many(lab.process.address, POLLS, head, 0).await;
    // Polls are handled more or less in the order in which they came: when one more is answered, nearly all were seen. One that
    // was not is answered at once below.
    let ended = lab.sent("GET", &relation.path("provider/data")).header("if-none-match", &etag);
    assert_eq!(ended.to(lab.process.address).await.status, 304);
    let opened = began.elapsed();
    let each = (resident_kib(lab.process.id()).saturating_sub(before)) * 1024 / POLLS as u64;
    println!("{POLLS} polls parked in {opened:.1?}, {each} bytes each");
    assert!(each < POLL_BYTES);

    let woken = Instant::now();
    assert!(!lab.break_off(&relation).await, "nothing is owed");
    let mut slowest = Duration::ZERO;
    for poll in &mut polls {
        let mut start = [0; 12];
        poll.read_exact(&mut start).await.unwrap();
        slowest = slowest.max(woken.elapsed());
        assert_eq!(&start, b"HTTP/1.1 410");
    }
    println!("all woken after {slowest:.2?}");
    assert!(slowest < Duration::from_secs(1));
}
