//! Acknowledged is durable (rule 6), and many writers lose nothing.

use plugbay_tests::{Bed, Client, Sent, marked};

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let mut bed = Bed::serving("trouble", &marked(1, 1), "").await;
    assert_eq!(bed.send(Sent::new("PUT", "/trouble/kv/a").body("1")).await.status, 204);
    bed.stop().await;
    bed.start().await;
    assert_eq!(bed.get("/trouble/kv/a").await.text(), "1");
}

#[tokio::test]
async fn concurrent_transactions_lose_no_update() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = Client::connect(bed.address()).await;
        writers.spawn(async move {
            let mut done = 0;
            for _ in 0..10 {
                let answer = client.send(Sent::new("POST", "/trouble/append/k")).await.unwrap();
                // A transaction gives up after a number of conflicts, with a status that says so.
                match answer.status.as_u16() {
                    204 => done += 1,
                    409 | 503 => {}
                    other => panic!("{other}"),
                }
            }
            done
        });
    }
    let mut acknowledged = 0;
    while let Some(done) = writers.join_next().await {
        acknowledged += done.unwrap();
    }
    assert_eq!(bed.get("/trouble/kv/k").await.body.len(), acknowledged);
}
