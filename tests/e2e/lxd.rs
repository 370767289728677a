//! The LXD plugin between real requirers and real LXD servers: who is trusted where, and what a poll costs.

use std::time::{Duration, Instant};

use plugbay_tests::{Answer, Bed, Client, Process, Sent, component, wait_until};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::lxd_servers::{Credential, Servers, script};
use crate::many::{open_many, resident_kib};

/// Long polls that are parked at once.
const POLLS: usize = 10_000;
/// Most bytes of the host's memory for each of them; half of it is its connection's buffers.
const POLL_BYTES: u64 = 20_000;

/// A host with the plugin, which may reach these servers, and an operator.
struct Lab {
    bed: Bed,
    process: Process,
    token: String,
}

impl Lab {
    async fn new(servers: Option<&Servers>) -> Self {
        let endpoints: Vec<&str> =
            servers.into_iter().flat_map(|servers| &servers.all).map(|server| server.endpoint.as_str()).collect();
        let bed = Bed::new(&format!(
            "[auth.operators]\nprovider = \"tokens\"\n\
             [plugin.lxd]\ngrants = [\"http-client\", \"secrets\"]\noutbound.allow = {endpoints:?}\n\
             mounts = [{{ path = \"/lxd\", auth = \"operators\" }}, \
             {{ path = \"/facade\", surface = \"facade\", auth = \"operators\" }}]\n\
             limits = {{ job_concurrency = 16, queue = 20000, queue_wait = \"30s\" }}\n"
        ));
        bed.install("lxd", &component("lxd"));
        let token = bed.token("operator", &["operator"]);
        let process = Process::start(&bed).await;
        Self { bed, process, token }
    }

    /// With every server as a node of its name.
    async fn with_nodes(servers: &Servers) -> Self {
        let lab = Self::new(Some(servers)).await;
        for (place, server) in servers.all.iter().enumerate() {
            let put = lab.call("PUT", &format!("nodes/{}", server.name), &servers.node(place)).await;
            assert_eq!(put.status, 201, "{}", put.text());
        }
        lab
    }

    fn sent(&self, method: &str, path: &str) -> Sent {
        Sent::new(method, &format!("/lxd/v1/{path}")).header("authorization", &format!("Bearer {}", self.token))
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.sent(method, path).header("content-type", "application/json").body(body).to(self.process.address).await
    }

    async fn get(&self, path: &str) -> Value {
        self.call("GET", path, &Value::Null).await.json()
    }

    /// A relation with its unit 0.
    async fn relation(&self) -> Relation {
        let made = self.call("POST", "relations", &json!({"interface": "lxd", "remote_app": "app"})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let text = |key: &str| made.json()[key].as_str().unwrap().to_owned();
        let relation = Relation { id: text("id"), token: text("token") };
        assert_eq!(self.call("PUT", &relation.path("units/0"), &Value::Null).await.status, 201);
        relation
    }

    async fn write(&self, relation: &Relation, certificates: &[&Credential]) {
        let written = self.call("PUT", &relation.path("units/0/data"), &bag(certificates)).await;
        assert_eq!(written.status, 200, "{}", written.text());
    }

    /// Wait until the provider's bag names exactly these as registered.
    async fn until_registered(&self, relation: &Relation, certificates: &[&Credential]) {
        let wanted: Vec<&str> = certificates.iter().map(|credential| credential.certificate.as_str()).collect();
        let path = relation.path("provider/data");
        wait_until("the certificates are registered", || async {
            let bag = self.get(&path).await;
            let registered: Vec<String> = serde_json::from_str(bag["registered_certificates"].as_str()?).ok()?;
            (registered == wanted).then_some(())
        })
        .await;
    }

    /// The same data under a new process, the old one having been killed.
    async fn killed_and_started(self) -> Self {
        let Self { bed, process, token } = self;
        process.kill().await;
        let process = Process::start(&bed).await;
        Self { bed, process, token }
    }
}

struct Relation {
    id: String,
    token: String,
}

impl Relation {
    fn path(&self, rest: &str) -> String {
        format!("relations/{}/{rest}", self.id)
    }
}

/// The bag of a unit that wants these.
fn bag(certificates: &[&Credential]) -> Value {
    let list: Vec<&str> = certificates.iter().map(|credential| credential.certificate.as_str()).collect();
    json!({ "client_certificates": json!(list).to_string() })
}

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
    let gone = lab.call("DELETE", &format!("relations/{}", one.id), &Value::Null).await;
    assert!([202, 204].contains(&gone.status.as_u16()), "{}", gone.text());
    for server in 0..2 {
        servers.until_trusted(server, &[&shared]).await;
    }
}

#[tokio::test]
async fn a_requirer_of_ops_gets_in_and_is_kept_out_when_it_left() {
    let Some(servers) = Servers::start(2, &[]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let relation = lab.relation().await;
    let url = format!("http://{}/lxd", lab.process.address);
    let requirer = script("lxd_requirer.py").args([&url, &relation.id, &relation.token]).output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&requirer.stdout), String::from_utf8_lossy(&requirer.stderr));
    assert!(requirer.status.success() && said.contains("all well"), "{said}");
}

#[tokio::test]
async fn pylxd_takes_the_facade_for_lxd() {
    let Some(servers) = Servers::start(1, &[]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let url = format!("http://{}/facade", lab.process.address);
    let client = script("lxd_facade.py").args([&url, "--token", &lab.token]).output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&client.stdout), String::from_utf8_lossy(&client.stderr));
    assert!(client.status.success() && said.contains("all well"), "{said}");
    servers.until_trusted(0, &[]).await;
}

#[tokio::test]
async fn a_removal_is_paid_when_the_node_is_back_even_by_another_process() {
    let Some(mut servers) = Servers::start(1, &[]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let (relation, credential) = (lab.relation().await, Credential::new("c"));
    lab.write(&relation, &[&credential]).await;
    lab.until_registered(&relation, &[&credential]).await;
    servers.tell("stop", 0).await;
    let owed = lab.call("DELETE", &format!("relations/{}", relation.id), &Value::Null).await;
    assert_eq!(owed.status, 202, "{}", owed.text());
    let _lab = lab.killed_and_started().await;
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
    assert_eq!(lab.call("POST", "reconcile", &Value::Null).await.status, 202);
    lab.until_registered(&relation, &[&after]).await;
    servers.until_trusted(0, &[&after]).await;
}

/// Write so many relations with two certificates each, and wait until three servers have all of them.
async fn converge(relations: usize, patience: Duration) {
    let Some(mut servers) = Servers::start(3, &["--count"]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let mut written = Vec::with_capacity(relations);
    for number in 0..relations {
        written.push([0, 1].map(|copy| Credential::new(&format!("c{number}-{copy}"))));
    }
    let began = Instant::now();
    let mut client = Client::connect(lab.process.address).await;
    for credentials in &written {
        let relation = lab.relation().await;
        let put = lab.sent("PUT", &relation.path("units/0/data")).header("content-type", "application/json");
        let put = put.body(bag(&[&credentials[0], &credentials[1]]).to_string());
        assert_eq!(client.send(put).await.unwrap().status, 200);
    }
    println!("{relations} relations written in {:.1?}", began.elapsed());
    for server in 0..3 {
        while servers.trusted(server).await.len() < 2 * relations {
            assert!(began.elapsed() < patience, "{} has only a part", servers.all[server].name);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("{} has all after {:.1?}", servers.all[server].name, began.elapsed());
    }
    wait_until("the view says so", || async {
        let bag = lab.get(&format!("relations/{}/provider/data", last(&lab).await)).await;
        let nodes: Vec<Value> = serde_json::from_str(bag["nodes"].as_str()?).ok()?;
        let all = nodes.len() == 3
            && nodes.iter().all(|node| node["trusted_certs_fp"].as_array().is_some_and(|list| list.len() == 2));
        all.then_some(())
    })
    .await;
    for server in 0..3 {
        let requests = servers.requests(server).await;
        println!("{}: {requests:?}", servers.all[server].name);
        assert_eq!(requests["POST"], 2 * relations as u64, "one request for each certificate");
        let others: u64 = requests.iter().filter(|(method, _)| *method != "POST").map(|(_, count)| count).sum();
        // A look at the server and a listing each half a minute.
        let looks = 4 * (2 + began.elapsed().as_secs() / 30);
        assert!(others <= looks, "{others} other requests, {looks} would do");
    }
}

/// The relation that was made last.
async fn last(lab: &Lab) -> String {
    let all = lab.get("relations").await;
    all.as_array().and_then(|all| all.last()?["id"].as_str().map(str::to_owned)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_relations_converge_with_one_request_for_each_certificate() {
    converge(100, Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "LXD itself takes minutes: each change costs it time for every certificate it has"]
async fn a_thousand_relations_converge_with_one_request_for_each_certificate() {
    converge(1_000, Duration::from_secs(1_200)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_long_polls_are_woken_by_one_change_within_a_second() {
    plugbay_tests::raise_descriptor_limit(POLLS as u64 + 1_000);
    let lab = Lab::new(None).await;
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
    // Polls are handled in the order in which they came: when one more is answered, the others were seen.
    let ended = lab.sent("GET", &relation.path("provider/data")).header("if-none-match", &etag);
    assert_eq!(ended.to(lab.process.address).await.status, 304);
    let opened = began.elapsed();
    let each = (resident_kib(lab.process.id()).saturating_sub(before)) * 1024 / POLLS as u64;
    println!("{POLLS} polls parked in {opened:.1?}, {each} bytes each");
    assert!(each < POLL_BYTES);

    let woken = Instant::now();
    let broken = lab.call("DELETE", &format!("relations/{}", relation.id), &Value::Null).await;
    assert_eq!(broken.status, 204, "{}", broken.text());
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
