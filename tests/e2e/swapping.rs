//! Replacing a plugin under load loses no request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plugbay_tests::{Bed, Client, Sent, marked};

const SWAPS: u32 = 100;
const CONNECTIONS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_under_load_fail_no_request() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    let (stop, answered, failed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(bed.address()).await;
        let (stop, answered, failed) = (stop.clone(), answered.clone(), failed.clone());
        load.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match client.send(Sent::new("GET", "/trouble/label")).await {
                    Ok(answer) if answer.status == 200 => answered.fetch_add(1, Ordering::Relaxed),
                    other => {
                        println!("{other:?}");
                        failed.fetch_add(1, Ordering::Relaxed)
                    }
                };
            }
        });
    }
    for label in 2..2 + SWAPS {
        bed.install("trouble", &marked(1, label));
        let wanted = label.to_string();
        bed.until("the version serves", "trouble", |status| status.version.as_deref() == Some(&wanted)).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = load.join_next().await {
        done.unwrap();
    }
    let (answered, failed) = (answered.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    println!("{SWAPS} swaps, {CONNECTIONS} connections: {answered} requests answered, {failed} failed");
    assert_eq!(failed, 0);
    assert!(answered > u64::from(SWAPS));
}
