//! Durable jobs.

use plugbay_tests::{Bed, Sent, marked, wait_until};

#[tokio::test]
async fn an_enqueued_job_runs_and_is_forgotten() {
    let bed = Bed::serving("trouble", &marked(1, 1), "").await;
    for _ in 0..5 {
        assert_eq!(bed.send(Sent::new("POST", "/trouble/jobs/k")).await.status, 202);
    }
    let ran = wait_until("the jobs ran", || async {
        let answer = bed.get("/trouble/kv/ran-k").await;
        (answer.status == 200 && answer.text() == "5").then_some(answer)
    })
    .await;
    assert_eq!(ran.text(), "5");
    wait_until("the jobs are gone", || async { (bed.get("/trouble/jobs").await.text() == "0").then_some(()) }).await;
}

#[tokio::test]
async fn a_job_survives_a_restart() {
    let mut bed = Bed::new("[plugin.trouble]\nlimits = { job_attempts = 3 }\n");
    bed.install("trouble", &marked(1, 1));
    bed.start().await;
    assert_eq!(bed.send(Sent::new("POST", "/trouble/jobs/k?fail")).await.status, 202);
    assert_eq!(bed.send(Sent::new("POST", "/trouble/jobs/k")).await.status, 202);
    // The second waits behind the first, which fails and is tried again later.
    bed.stop().await;
    bed.start().await;
    assert_eq!(bed.get("/trouble/jobs").await.text(), "2");
    wait_until("the first is given up and the second runs", || async {
        let answer = bed.get("/trouble/kv/ran-k").await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_periodic_job_that_asks_for_it_is_run_again_before_its_next_time() {
    let bed = Bed::serving("trouble", &marked(1, 777), "").await;
    // Two hundred periods of a second would take longer than the test waits.
    wait_until("it has run two hundred times", async || {
        let count = bed.get("/trouble/kv/again").await;
        (count.status == 200 && count.text().parse::<u32>().is_ok_and(|count| count >= 200)).then_some(())
    })
    .await;
}
