//! kill -9 at random moments under write load: nothing acknowledged is lost, the store opens.

use std::sync::Arc;
use std::time::Duration;

use plugbay_tests::{Bed, Client, Process, Random, Sent, marked, number};
use tokio::sync::Mutex;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_nine() {
    // `PLUGBAY_KILLS=1000` asks for more.
    let rounds = number("PLUGBAY_KILLS", 100);
    let bed = Bed::new("");
    bed.install("trouble", &marked(1, 1));
    let mut expected = vec![0_u64; 4];
    let mut random = Random::seeded();
    let mut writes = 0;
    for round in 0..rounds {
        let process = Process::start(&bed).await;
        let address = process.address;
        for (writer, expected) in expected.iter_mut().enumerate() {
            let kept = Sent::new("GET", &format!("/trouble/kv/w{writer}")).to(address).await;
            let kept: u64 = if kept.status == 404 { 0 } else { kept.text().parse().unwrap() };
            // One more than acknowledged may be there: written, and killed before the answer.
            assert!(
                kept == *expected || kept == *expected + 1,
                "round {round}, writer {writer}: {kept} kept, {expected} acknowledged"
            );
            *expected = kept;
        }
        let acknowledged = Arc::new(Mutex::new(expected.clone()));
        let mut writers = tokio::task::JoinSet::new();
        for (writer, kept) in expected.iter().enumerate() {
            let acknowledged = acknowledged.clone();
            let mut next = kept + 1;
            writers.spawn(async move {
                let Ok(mut client) = Client::try_connect(address).await else { return };
                loop {
                    let put = Sent::new("PUT", &format!("/trouble/kv/w{writer}")).body(next.to_string());
                    match client.send(put).await {
                        Ok(answer) if answer.status == 204 => acknowledged.lock().await[writer] = next,
                        _ => return,
                    }
                    next += 1;
                }
            });
        }
        // The moment of the kill is what is random here; nothing waits for it to have happened.
        tokio::time::sleep(Duration::from_millis(random.below(128) as u64)).await;
        process.kill().await;
        while writers.join_next().await.is_some() {}
        let now = acknowledged.lock().await.clone();
        writes += now.iter().zip(&expected).map(|(now, before)| now - before).sum::<u64>();
        expected = now;
    }
    println!("{rounds} kills, {writes} acknowledged writes, none lost");
}
