//! A hostile plugin beside a quiet one: the neighbour keeps its requests and its pace.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plugbay_tests::{Bed, Sent, component, marked, wait_until};

/// Requests per second to the neighbour, whatever its answers take.
const RATE: u32 = 200;
const SECONDS: u32 = 4;
/// What the neighbour's p99 may grow by.
const MARGIN: Duration = Duration::from_millis(25);

/// An open-loop load on the neighbour: the p99, and how many requests failed.
async fn neighbour(address: SocketAddr) -> (Duration, usize) {
    let start = Instant::now();
    let mut sent = tokio::task::JoinSet::new();
    for number in 0..RATE * SECONDS {
        let at = start + Duration::from_secs(1) * number / RATE;
        sent.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            let begun = Instant::now();
            let answer = Sent::new("GET", "/hello/hello").try_to(address).await;
            (begun.elapsed(), answer.is_ok_and(|answer| answer.status == 200))
        });
    }
    let mut times = Vec::new();
    let mut failed = 0;
    while let Some(done) = sent.join_next().await {
        let (time, good) = done.unwrap();
        times.push(time);
        failed += usize::from(!good);
    }
    times.sort();
    (times[times.len() * 99 / 100], failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_plugin_does_not_slow_its_neighbour() {
    let mut bed = Bed::new(
        "[plugin.trouble]\nlimits = { deadline = \"2s\", queue = 2000 }\n[plugin.trouble.breaker]\ntraps = 0\n",
    );
    bed.install("trouble", &marked(1, 1));
    bed.install("hello", &component("hello"));
    bed.start().await;
    let address = bed.address();
    let (quiet, failed) = neighbour(address).await;
    assert_eq!(failed, 0);
    let version = bed.host().registry().version("trouble").unwrap();
    // The last number: how many requests are to be inside before the neighbour is looked at. The
    // thousand clients live in this process, and opening their connections is not the host's doing.
    for (what, path, at_once, held) in [
        ("loops", "/trouble/loop", 8, 0),
        ("allocates without end", "/trouble/allocate", 4, 0),
        ("recurses", "/trouble/recurse", 4, 0),
        ("returns a gigabyte", "/trouble/huge", 4, 0),
        ("holds a thousand requests open", "/trouble/sleep/60000", 1000, 1000),
    ] {
        let mut hostile = tokio::task::JoinSet::new();
        for _ in 0..at_once {
            hostile.spawn(async move {
                loop {
                    let _ = Sent::new("GET", path).try_to(address).await;
                }
            });
        }
        wait_until("the plugin has its requests", || async { (version.requests() >= held).then_some(()) }).await;
        let (busy, failed) = neighbour(address).await;
        hostile.shutdown().await;
        println!("a plugin that {what}: neighbour p99 {busy:?} (quiet {quiet:?}), {failed} failed");
        assert_eq!(failed, 0, "beside a plugin that {what}");
        assert!(busy <= quiet + MARGIN, "beside a plugin that {what}: p99 {busy:?}, quiet {quiet:?}");
    }
}
