//! Large deployments and long histories.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plugbay_tests::{Bed, Client, Process, Sent};
use serde_json::{Value, json};

use super::reporter::Reporter;
use super::{Api, bed, generated, private, site};

/// Nodes of the large deployment; `PLUGBAY_DRYDOCK_NODES=1500` asks for more.
fn nodes() -> usize {
    std::env::var("PLUGBAY_DRYDOCK_NODES").ok().and_then(|nodes| nodes.parse().ok()).unwrap_or(500)
}

/// A number that the host shows among its metrics.
async fn metric(bed: &Bed, name: &str) -> u64 {
    let answer = Sent::new("GET", "/metrics").to_socket(&bed.path().join("data/admin.sock")).await;
    let line = answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    assert!(line.is_some(), "no {name} in {}", answer.text());
    line.unwrap().parse().unwrap()
}

/// The most memory that a process ever had, in KiB.
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Begin to measure the most memory anew.
fn forget_most_memory(process: u32) {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_deployment_ends_with_every_part_right_and_its_tree_is_sent_in_pieces() {
    let nodes = nodes();
    let bed = bed();
    let token = bed.token("ann", &["admin"]);
    std::fs::write(private(&bed).join("large.yaml"), generated(nodes)).unwrap();
    let host = Process::start(&bed).await;
    let api = Api { address: host.address, token };
    let reference = "file:///large.yaml";
    let patience = Duration::from_secs(600);

    let (begin, commits) = (Instant::now(), metric(&bed, "plugbay_store_commits_total").await);
    let id = api.start("prepare_nodes", reference, None).await;
    let task = api.ended(&id, patience).await;
    assert_eq!(task["result"]["status"], "success", "{:#}", task["result"]["details"]);
    assert_eq!(task["result"]["successes"].as_array().unwrap().len(), nodes);
    let prepared = metric(&bed, "plugbay_store_commits_total").await - commits;
    println!("prepare_nodes of {nodes}: {:?}, {:.1} commits a node", begin.elapsed(), per(prepared, nodes));

    let (begin, commits) = (Instant::now(), metric(&bed, "plugbay_store_commits_total").await);
    let id = api.start("deploy_nodes", reference, None).await;
    let reporter = Reporter::new(&bed, api.address);
    let mut left: Vec<String> = (0..nodes).map(|number| format!("node-{number:04}")).collect();
    while !left.is_empty() {
        let mut still = Vec::new();
        for node in left {
            match reporter.node(&node, &id, "Success").await {
                Some((done, all)) if done == all => {}
                _ => still.push(node),
            }
        }
        left = still;
        assert!(begin.elapsed() < patience, "{} nodes are not waited for", left.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let task = api.ended(&id, patience).await;
    let took = begin.elapsed();
    assert_eq!(task["result"]["status"], "success", "{:#}", task["result"]["details"]);
    assert_eq!(task["result"]["successes"].as_array().unwrap().len(), nodes);
    let deployed = metric(&bed, "plugbay_store_commits_total").await - commits;
    println!(
        "deploy_nodes of {nodes}: {took:?}, {:.1} commits a node, of which 1 is the report's",
        per(deployed, nodes)
    );

    // The whole tree, and each part of it right.
    forget_most_memory(host.id());
    let before = most_memory(host.id());
    let begin = Instant::now();
    let answer = api.get(&format!("/tasks/{id}?layers=-1")).await;
    let grown = most_memory(host.id()).saturating_sub(before);
    println!(
        "its tree: {} KiB in {:?}, for which the host grew by {grown} KiB",
        answer.body.len() / 1024,
        begin.elapsed()
    );
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    let tree = answer.json();
    let mut parts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in tree.as_object().unwrap().values().filter(|task| task.is_object()) {
        *parts.entry(task["action"].as_str().unwrap()).or_default() += 1;
        assert_eq!((&task["status"], &task["result"]["status"]), (&json!("complete"), &json!("success")), "{task:#}");
    }
    let one_each = ["apply_node_networking", "apply_node_platform", "deploy_node"].map(|action| (action, nodes + 1));
    let expected: BTreeMap<&str, usize> =
        [("deploy_nodes", 1), ("bootaction_report", 1)].into_iter().chain(one_each).collect();
    assert_eq!(parts, expected);
    // A reader that takes nothing yet costs what is on its way, not the tree.
    forget_most_memory(host.id());
    let before = most_memory(host.id());
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(unread(&api, &format!("/api/v1.0/tasks/{id}?layers=-1")).await);
    }
    let grown = most_memory(host.id()).saturating_sub(before);
    println!("twenty readers of it that read nothing: {} KiB each", grown / 20);
    let whole = answer.body.len() as u64 / 1024;
    assert!(grown / 20 < whole / 2 || whole < 2048, "{} KiB for each reader of {whole} KiB", grown / 20);
    drop(slow);
    host.terminate().await;
}

/// So many for each.
fn per(count: u64, nodes: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(nodes).unwrap())
}

/// A connection on which an answer was asked for, of which only the head is read.
async fn unread(api: &Api, path: &str) -> tokio::net::TcpStream {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(api.address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-auth-token: {}\r\n\r\n", api.token);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 64];
    stream.read_exact(&mut first).await.unwrap();
    stream
}

/// Ended tasks of the long history; `PLUGBAY_DRYDOCK_TASKS=1000000` asks for more.
fn tasks() -> usize {
    std::env::var("PLUGBAY_DRYDOCK_TASKS").ok().and_then(|tasks| tasks.parse().ok()).unwrap_or(100_000)
}

/// The median time of a page of a hundred tasks at some places of the list.
async fn page_time(api: &Api) -> Duration {
    let mut client = Client::connect(api.address).await;
    let mut times = Vec::new();
    for place in 0..15 {
        let marker = format!("{place:x}0000000-0000-4000-8000-000000000000");
        let sent = Sent::new("GET", &format!("/api/v1.0/tasks?limit=100&marker={marker}"));
        let begin = Instant::now();
        let answer = client.send(sent.header("x-auth-token", &api.token)).await.unwrap();
        times.push(begin.elapsed());
        assert_eq!(answer.status, 200);
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_tasks_costs_what_is_on_it_however_many_there_are() {
    let Some(site) = site() else { return };
    // A short history of three hundred tasks, and what one of them is in the store.
    let mut short = bed();
    let token = short.token("ann", &["admin"]);
    std::fs::write(private(&short).join("site.yaml"), &site).unwrap();
    short.start().await;
    let api = Api::of(&short, &token);
    let one = api.run("validate_design", super::SITE, None).await;
    short.stop().await;
    let export = export(&short).await;
    let id = one["task_id"].as_str().unwrap().to_owned();
    let mut times = Vec::new();
    for count in [300, tasks()] {
        let mut bed = bed();
        let token = bed.token("ann", &["admin"]);
        std::fs::copy(short.path().join("data/host.key"), bed.path().join("data/host.key")).unwrap();
        import(&bed, &multiplied(&export, &id, count)).await;
        bed.start().await;
        let api = Api::of(&bed, &token);
        times.push(page_time(&api).await);
        let walked = walk(&api, count).await;
        println!("{count} ended tasks: a page of 100 in {:?}, all pages in {walked:?}", times.last().unwrap());
        bed.stop().await;
    }
    assert!(times[1] < times[0] * 3 + Duration::from_millis(5), "{times:?}");
}

/// Go through all pages; each task is on one of them.
async fn walk(api: &Api, count: usize) -> Duration {
    let begin = Instant::now();
    let mut client = Client::connect(api.address).await;
    let (mut seen, mut marker) = (0, String::new());
    loop {
        let sent = Sent::new("GET", &format!("/api/v1.0/tasks?limit=1000{marker}")).header("x-auth-token", &api.token);
        let page = client.send(sent).await.unwrap().json();
        let page = page.as_array().unwrap();
        seen += page.len();
        let Some(last) = page.last() else { break };
        marker = format!("&marker={}", last["task_id"].as_str().unwrap());
    }
    assert_eq!(seen, count + 1);
    begin.elapsed()
}

async fn export(bed: &Bed) -> String {
    let output = plugbay_tests::plugbay(bed).arg("export").output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn import(bed: &Bed, text: &str) {
    let file = bed.path().join("export.jsonl");
    std::fs::write(&file, text).unwrap();
    let output = plugbay_tests::plugbay(bed).arg("import").arg(&file).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The export with so many more tasks like this one.
fn multiplied(export: &str, id: &str, count: usize) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let mut lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.pop();
    let of_task: Vec<(Vec<u8>, Vec<u8>, Value)> = lines
        .iter()
        .filter_map(|line| {
            let entry = line.get("entry")?;
            let (key, value) = (decoded(&entry["key"]), decoded(&entry["value"]));
            contains(&key, id.as_bytes()).then(|| (key, value, entry["version"].clone()))
        })
        .collect();
    assert!(of_task.len() >= 2, "{} entries of a task", of_task.len());
    for number in 0..count {
        // Spread over the whole list, as random ids are.
        let spread = u32::try_from(number).unwrap().wrapping_mul(0x9e37_79b9);
        let other = format!("{spread:08x}-{:04x}-4000-8000-{number:012x}", number % 0xffff);
        for (key, value, version) in &of_task {
            let (key, value) = (replaced(key, id, &other), replaced(value, id, &other));
            lines.push(
                json!({"entry": {"key": STANDARD.encode(key), "value": STANDARD.encode(value), "version": version}}),
            );
        }
    }
    // In the order of keys.
    let first = lines.iter().position(|line| line.get("entry").is_some()).unwrap();
    lines[first..].sort_by_cached_key(|line| decoded(&line["entry"]["key"]));
    let end = json!({"end": {"lines": lines.len() - 1}});
    lines.iter().chain([&end]).map(|line| format!("{line}\n")).collect()
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = out[at..].windows(from.len()).position(|window| window == from.as_bytes()) {
        out[at + found..at + found + from.len()].copy_from_slice(to.as_bytes());
        at += found + from.len();
    }
    out
}
