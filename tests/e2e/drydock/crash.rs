//! kill -9 of the host at random moments of a deployment: it ends as it would have.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plugbay_tests::{Bed, Process, Sent};
use serde_json::Value;

use super::reporter::Reporter;
use super::{Api, bed, generated, private};

const NODES: usize = 20;
const SITE: &str = "file:///twenty.yaml";

/// Moments of killing; `PLUGBAY_DRYDOCK_KILLS=300` asks for more.
fn kills() -> u32 {
    std::env::var("PLUGBAY_DRYDOCK_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(30)
}

fn node(number: usize) -> String {
    format!("node-{number:04}")
}

/// Report for each node of the deployment until it has ended; the fourth one fails. None if the host is gone.
async fn finish(bed: &Bed, api: &Api, id: &str) -> Option<Value> {
    let begin = Instant::now();
    let reporter = Reporter::new(bed, api.address);
    loop {
        for number in 0..NODES {
            let word = if number == 3 { "Failure" } else { "Success" };
            reporter.node(&node(number), id, word).await;
        }
        let sent = Sent::new("GET", &format!("/api/v1.0/tasks/{id}")).header("x-auth-token", &api.token);
        let task = sent.try_to(api.address).await.ok()?.json();
        if task["status"] == "complete" {
            return Some(api.get(&format!("/tasks/{id}?layers=-1")).await.json());
        }
        assert!(begin.elapsed() < Duration::from_secs(90), "it does not end: {task:#}");
    }
}

/// What a deployment came to, without ids and times: each part by its place with its result and what it said.
fn outcome(tree: &Value) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for task in tree.as_object().unwrap().values().filter(|task| task.is_object()) {
        let parent = &tree[task["parent_task_id"].as_str().unwrap_or_default()]["action"];
        let nodes = task["node_filter"]["filter_set"][0]["node_names"].to_string();
        let said = task["result"]["details"]["messageList"].as_array().unwrap().iter();
        let mut said: Vec<String> = said.map(|message| words(message["message"].as_str().unwrap())).collect();
        said.sort();
        said.dedup();
        let result = &task["result"];
        let place = format!("{parent}/{} {nodes}", task["action"]);
        let parts = task["subtask_id_list"].as_array().unwrap().len();
        all.entry(place).or_default().push(format!(
            "{} {} {} {} {parts} parts, retry {}: {said:?}",
            task["status"], result["status"], result["successes"], result["failures"], task["retry"]
        ));
    }
    all.values_mut().for_each(|of_place| of_place.sort());
    all
}

/// The places where two outcomes differ.
fn differences(expected: &BTreeMap<String, Vec<String>>, found: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let places = expected.keys().chain(found.keys().filter(|place| !expected.contains_key(*place)));
    let differing = places.filter(|place| expected.get(*place) != found.get(*place));
    differing.map(|place| format!("{place}: {:?} and not {:?}", found.get(place), expected.get(place))).collect()
}

/// A message without the ids in it.
fn words(message: &str) -> String {
    let is_id = |word: &&str| !(word.len() == 36 && word.matches('-').count() == 4);
    message.split(' ').filter(is_id).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_ends_as_it_would_have_whenever_the_host_is_killed() {
    let bed = bed();
    let token = bed.token("ann", &["admin"]);
    std::fs::write(private(&bed).join("twenty.yaml"), generated(NODES)).unwrap();
    let mut host = Process::start(&bed).await;
    let api = Api { address: host.address, token: token.clone() };
    let task = api.run("prepare_nodes", SITE, None).await;
    assert_eq!(task["result"]["status"], "success", "{task:#}");
    let begin = Instant::now();
    let id = api.start("deploy_nodes", SITE, None).await;
    let expected = outcome(&finish(&bed, &api, &id).await.expect("nobody killed it"));
    let length = begin.elapsed();
    assert!(expected.values().flatten().any(|one| one.contains("partial_success")), "{expected:#?}");
    let mut seed = 0x9e37_79b9_u64;
    let mut before_end = 0;
    for round in 0..kills() {
        let api = Api { address: host.address, token: token.clone() };
        let id = api.start("deploy_nodes", SITE, None).await;
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = length.mul_f64(f64::from(u32::try_from(seed >> 40).unwrap()) / f64::from(1_u32 << 24));
        // The moment of the kill is what is random here; nothing waits for it to have happened.
        let ended = tokio::time::timeout(moment, finish(&bed, &api, &id)).await;
        before_end += u32::from(ended.is_err());
        host.kill().await;
        host = Process::start(&bed).await;
        let api = Api { address: host.address, token: token.clone() };
        let came_to = outcome(&finish(&bed, &api, &id).await.expect("nobody killed it"));
        let differing = differences(&expected, &came_to);
        assert_eq!(differing, [""; 0], "round {round}, killed after {moment:?} of {length:?}");
    }
    println!(
        "{} kills, {before_end} of them before the end of a deployment of {length:?}: the same result each time",
        kills()
    );
    host.terminate().await;
}
