//! kill -9 of the host at random moments while bags change and trust stores converge: the stores end as they should.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use plugbay_tests::{Client, Random, Sent, number, wait_until};
use serde_json::Value;
use tokio::task::JoinSet;

use super::lab::{Lab, Relation, bag};
use super::servers::{BY_HAND, Credential, Servers};

const NODES: usize = 2;
const RELATIONS: usize = 3;
/// Of each relation.
const UNITS: u32 = 2;
/// Certificates that units choose from.
const CERTIFICATES: usize = 24;
/// Most certificates that a unit wants at once.
const MOST: usize = 8;
/// Most writes of a unit between two kills.
const WRITES: usize = 40;
/// Most milliseconds that a host lives.
const LIFE: usize = 400;

/// What a unit wants: places among the certificates. None if it departed.
type Wish = Option<BTreeSet<usize>>;

/// A unit, and what it wants as far as its writer knows.
struct Unit {
    relation: usize,
    path: String,
    acknowledged: Wish,
    /// Sent, and not answered when the host was killed.
    sent: Option<Wish>,
    /// It was told that its relation was broken.
    broken: bool,
}

impl Unit {
    fn new(place: usize, relation: &Relation, number: u32) -> Self {
        let acknowledged = (number == 0).then(BTreeSet::new);
        let path = relation.path(&format!("units/{number}"));
        Self { relation: place, path, acknowledged, sent: None, broken: false }
    }

    /// Write until the host is gone, or for a while; how many writes were acknowledged.
    async fn write(&mut self, host: &Host, random: &mut Random, certificates: &[Credential]) -> u32 {
        let Ok(mut client) = Client::try_connect(host.address).await else { return 0 };
        let mut writes = 0;
        for _ in 0..random.below(WRITES) {
            let wish = match &self.acknowledged {
                Some(_) if random.once_in(6) => None,
                Some(_) => Some((0..random.below(MOST + 1)).map(|_| random.below(certificates.len())).collect()),
                None => Some(BTreeSet::new()),
            };
            let sent = match (&self.acknowledged, &wish) {
                (_, None) => host.sent("DELETE", &self.path),
                (None, Some(_)) => host.sent("PUT", &self.path),
                (Some(_), Some(wish)) => {
                    let wanted: Vec<&Credential> = wish.iter().map(|place| &certificates[*place]).collect();
                    let put = host.sent("PUT", &format!("{}/data", self.path));
                    put.header("content-type", "application/json").body(bag(&wanted).to_string())
                }
            };
            self.sent = Some(wish.clone());
            let Ok(answer) = client.send(sent).await else { break };
            self.sent = None;
            self.broken = [StatusCode::CONFLICT, StatusCode::GONE].contains(&answer.status);
            if self.broken {
                break;
            }
            assert!(answer.status.is_success(), "{}", answer.text());
            self.acknowledged = wish;
            writes += 1;
        }
        writes
    }

    /// Ask a new host what was kept: what was acknowledged, or what was sent and not answered.
    async fn find(&mut self, lab: &Lab, certificates: &[Credential]) {
        assert!(!self.broken, "{} was said to be gone", self.path);
        let answer = lab.call("GET", &format!("{}/data", self.path), &Value::Null).await;
        let kept: Wish = (answer.status == 200).then(|| {
            let list = answer.json()["client_certificates"].as_str().unwrap_or("[]").to_owned();
            let list: Vec<String> = serde_json::from_str(&list).unwrap();
            let place = |pem: &String| certificates.iter().position(|known| known.certificate == *pem).unwrap();
            list.iter().map(place).collect()
        });
        let sent = self.sent.take();
        assert!(
            kept == self.acknowledged || Some(&kept) == sent.as_ref(),
            "{}: {kept:?} kept, {:?} acknowledged, {sent:?} sent",
            self.path,
            self.acknowledged
        );
        self.acknowledged = kept;
    }
}

/// Where writers send to.
struct Host {
    address: SocketAddr,
    authorization: String,
}

impl Host {
    fn sent(&self, method: &str, path: &str) -> Sent {
        Sent::new(method, &format!("/lxd/v1/{path}")).header("authorization", &self.authorization)
    }

    /// Break a relation; whether that was acknowledged.
    fn break_off(&self, relation: &Relation) -> impl Future<Output = bool> + use<> {
        let (sent, address) = (self.sent("DELETE", &format!("relations/{}", relation.id)), self.address);
        async move { sent.try_to(address).await.is_ok_and(|answer| answer.status.is_success()) }
    }
}

/// What was done to the nodes and the host, and what has to be so because of it.
struct Story<'a> {
    servers: &'a Servers,
    certificates: Arc<[Credential]>,
    relations: Vec<Relation>,
    units: Vec<Unit>,
    /// Entries that an administrator made, by node.
    by_hand: [BTreeSet<String>; NODES],
    random: Random,
    kills: u32,
    /// Kills in the middle of convergence.
    middle: u32,
    broken: u32,
    writes: u32,
}

impl<'a> Story<'a> {
    async fn begin(servers: &'a Servers, lab: &Lab) -> Self {
        let mut story = Self {
            servers,
            certificates: (0..CERTIFICATES).map(|number| Credential::new(&format!("c{number}"))).collect(),
            relations: Vec::new(),
            units: Vec::new(),
            by_hand: Default::default(),
            random: Random::seeded(),
            kills: 0,
            middle: 0,
            broken: 0,
            writes: 0,
        };
        for place in 0..RELATIONS {
            let relation = story.new_relation(lab, place).await;
            story.relations.push(relation);
        }
        // One that nobody wants, and one that units want now and then.
        let stranger = Credential::new("stranger");
        for node in 0..NODES {
            assert!(servers.add_by_hand(node, &stranger).await);
            story.by_hand[node].insert(stranger.fingerprint.clone());
            story.add_by_hand(node, node).await;
        }
        story
    }

    async fn new_relation(&mut self, lab: &Lab, place: usize) -> Relation {
        let relation = lab.relation().await;
        self.units.extend((0..UNITS).map(|number| Unit::new(place, &relation, number)));
        relation
    }

    /// An administrator adds an entry for a certificate that units choose from.
    async fn add_by_hand(&mut self, node: usize, certificate: usize) {
        let credential = &self.certificates[certificate];
        // If it is there already, it is ours, and may go.
        if self.servers.add_by_hand(node, credential).await {
            self.by_hand[node].insert(credential.fingerprint.clone());
        }
    }

    /// One life of a host, from the first write to the check of what the next host kept.
    async fn live(&mut self, lab: Lab) -> Lab {
        let host = Arc::new(Host { address: lab.process.address, authorization: format!("Bearer {}", lab.token()) });
        let mut writers = JoinSet::new();
        for mut unit in self.units.drain(..) {
            let (host, certificates, mut random) = (host.clone(), self.certificates.clone(), self.random.split());
            writers.spawn(async move {
                let writes = unit.write(&host, &mut random, &certificates).await;
                (unit, writes)
            });
        }
        let breaking = self.random.once_in(5).then(|| self.random.below(RELATIONS));
        let broken = breaking.map(|place| tokio::spawn(host.break_off(&self.relations[place])));
        if self.random.once_in(8) {
            let (node, certificate) = (self.random.below(NODES), self.random.below(CERTIFICATES));
            self.add_by_hand(node, certificate).await;
        }
        // The moment of the kill is what is random here; nothing waits for it to have happened.
        tokio::time::sleep(Duration::from_millis(self.random.below(LIFE) as u64)).await;
        let dead = lab.kill().await;
        self.kills += 1;
        for (unit, writes) in writers.join_all().await {
            self.units.push(unit);
            self.writes += writes;
        }
        self.middle += u32::from(!self.is_settled(&self.wanted(|_| true)).await);
        let acknowledged = match broken {
            Some(broken) => broken.await.unwrap(),
            None => false,
        };
        let lab = dead.start().await;
        self.find(&lab, breaking, acknowledged).await;
        lab
    }

    /// See what a new host kept.
    async fn find(&mut self, lab: &Lab, breaking: Option<usize>, acknowledged: bool) {
        for place in 0..RELATIONS {
            let path = format!("relations/{}", self.relations[place].id);
            let gone = lab.call("GET", &path, &Value::Null).await.status == StatusCode::GONE;
            let meant = breaking == Some(place);
            assert!(if gone { meant } else { !(meant && acknowledged) }, "{path} gone: {gone}, meant: {meant}");
            if gone {
                self.broken += 1;
                self.units.retain(|unit| unit.relation != place);
                self.relations[place] = self.new_relation(lab, place).await;
            }
        }
        for unit in &mut self.units {
            unit.find(lab, &self.certificates).await;
        }
    }

    /// What units want.
    fn wanted(&self, which: impl Fn(&Unit) -> bool) -> BTreeSet<String> {
        let units = self.units.iter().filter(|unit| which(unit));
        let places = units.filter_map(|unit| unit.acknowledged.as_ref()).flatten();
        places.map(|place| self.certificates[*place].fingerprint.clone()).collect()
    }

    /// Whether each node has what is wanted and what an administrator put there, and nothing else.
    async fn is_settled(&self, wanted: &BTreeSet<String>) -> bool {
        for (node, by_hand) in self.by_hand.iter().enumerate() {
            if self.servers.trusted(node).await != by_hand | wanted {
                return false;
            }
        }
        true
    }

    /// Wait until it is so, and see that each entry is whose it should be.
    async fn until_settled(&self, wanted: &BTreeSet<String>) {
        wait_until("the nodes have what they should", || async { self.is_settled(wanted).await.then_some(()) }).await;
        for (node, by_hand) in self.by_hand.iter().enumerate() {
            let entries: BTreeMap<String, Value> = self.servers.entries(node).await;
            let mut names = BTreeSet::new();
            for (fingerprint, entry) in &entries {
                let name = entry["name"].as_str().unwrap();
                assert_eq!(name == BY_HAND, by_hand.contains(fingerprint), "{entry}");
                assert!(name == BY_HAND || name.starts_with("juju-relation-app-"), "{entry}");
                assert!(name == BY_HAND || names.insert(name), "twice: {name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trust_stores_end_as_they_should_after_kill_nine_at_random_moments() {
    // So many in the middle of convergence; `PLUGBAY_KILLS=1000` asks for more.
    let kills = number("PLUGBAY_KILLS", 50);
    let Some(servers) = Servers::start(NODES, &[]).await else { return };
    let began = Instant::now();
    let mut lab = Lab::with_nodes(&servers).await;
    let mut story = Story::begin(&servers, &lab).await;
    while story.middle < kills {
        lab = story.live(lab).await;
        assert!(story.kills < 10 * kills.max(10), "hardly ever in the middle of convergence");
    }
    let last = Instant::now();
    story.until_settled(&story.wanted(|_| true)).await;
    for (place, relation) in story.relations.iter().enumerate() {
        let mine = story.wanted(|unit| unit.relation == place);
        wait_until("the bag says so", || async {
            let published = lab.published(relation).await;
            (published.registered.len() == mine.len() && published.trusted == vec![mine.clone(); NODES]).then_some(())
        })
        .await;
    }
    let settled = last.elapsed();
    for relation in &story.relations {
        lab.break_off(relation).await;
    }
    story.until_settled(&BTreeSet::new()).await;
    let Story { kills, middle, broken, writes, .. } = story;
    println!(
        "{kills} kills, {middle} of them in the middle of convergence, {writes} acknowledged writes, {broken} relations \
         broken; as wanted {settled:.1?} after the last start, {:.1?} in all",
        began.elapsed()
    );
}
