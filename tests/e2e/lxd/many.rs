//! Many relations over three nodes: what it costs LXD, and how long it takes.

use std::time::{Duration, Instant};

use plugbay_tests::{Client, number, wait_until};

use super::lab::{Lab, bag};
use super::servers::{Credential, Servers};

const NODES: usize = 3;
/// Certificates of each relation.
const EACH: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_relations_converge_with_one_request_for_each_certificate() {
    // `PLUGBAY_RELATIONS=1000` asks for more; each change costs LXD time for every certificate that it has.
    let relations = number("PLUGBAY_RELATIONS", 100) as usize;
    let patience = Duration::from_secs(60 + 2 * relations as u64);
    let Some(mut servers) = Servers::start(NODES, &["--count"]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let credentials: Vec<Credential> =
        (0..relations * EACH).map(|number| Credential::new(&format!("c{number}"))).collect();
    let began = Instant::now();
    let mut client = Client::connect(lab.process.address).await;
    let mut last = None;
    for credentials in credentials.chunks(EACH) {
        let relation = lab.relation().await;
        let wanted: Vec<&Credential> = credentials.iter().collect();
        let put = lab.sent("PUT", &relation.path("units/0/data")).header("content-type", "application/json");
        assert_eq!(client.send(put.body(bag(&wanted).to_string())).await.unwrap().status, 200);
        last = Some(relation);
    }
    println!("{relations} relations written in {:.1?}", began.elapsed());
    for server in 0..NODES {
        while servers.count(server).await <= EACH * relations {
            assert!(began.elapsed() < patience, "{} has only a part", servers.all[server].name);
            // It takes longer than `wait_until` waits, and is not to be kept from its work.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(servers.trusted(server).await.len(), EACH * relations);
        println!("{} has all after {:.1?}", servers.all[server].name, began.elapsed());
    }
    let last = last.unwrap();
    wait_until("the bag says so", || async {
        let published = lab.published(&last).await;
        let all = published.trusted.iter().filter(|trusted| trusted.len() == EACH).count() == NODES;
        (all && published.registered.len() == EACH).then_some(())
    })
    .await;
    println!("published after {:.1?}", began.elapsed());
    for server in 0..NODES {
        let requests = servers.requests(server).await;
        println!("{}: {requests:?}", servers.all[server].name);
        assert_eq!(requests["POST"], (EACH * relations) as u64, "one request for each certificate");
        let others: u64 = requests.iter().filter(|(method, _)| *method != "POST").map(|(_, count)| count).sum();
        // A look at the server and a listing each half a minute.
        let looks = 4 * (2 + began.elapsed().as_secs() / 30);
        assert!(others <= looks, "{others} other requests, {looks} would do");
    }
}
