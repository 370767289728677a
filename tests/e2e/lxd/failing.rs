//! Nodes that are not who they were, silent, or sick, and hosts that are killed in the middle of a request to one. Each
//! time there is a second node, which has to go on.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::front::{Came, FAILURE, Front, Manner, Record};
use super::lab::{Dead, Lab, Relation};
use super::servers::{Credential, Servers};

/// Less than what a node may take to answer, by far.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A host whose first node is reached through a front; the others are reached directly. Returns when all are online.
async fn fronted(servers: &Servers, config: &str) -> (Front, Lab) {
    let front = Front::before(servers, 0).await;
    let mut endpoints: Vec<&str> = servers.all.iter().map(|server| server.endpoint.as_str()).collect();
    endpoints[0] = &front.endpoint;
    let lab = Lab::new(&endpoints, config).await;
    for (place, endpoint) in endpoints.iter().enumerate() {
        let mut node = servers.node(place);
        node["endpoint"] = json!(endpoint);
        lab.add_node(&servers.all[place].name, &node).await;
    }
    for server in &servers.all {
        lab.until_state(&server.name, "online").await;
    }
    (front, lab)
}

#[tokio::test]
async fn a_node_with_another_certificate_gets_not_a_byte_and_is_withdrawn() {
    let Some(servers) = Servers::start(2, &[]).await else { return };
    let (front, lab) = fronted(&servers, "").await;
    let (relation, before, after) = (lab.relation().await, Credential::new("before"), Credential::new("after"));
    lab.write(&relation, &[&before]).await;
    lab.until_registered(&relation, &[&before]).await;

    let stranger = Credential::new("stranger");
    front.show(&stranger.certificate, &stranger.key);
    front.take();
    lab.write(&relation, &[&before, &after]).await;
    lab.reconcile().await;
    lab.until_state(&servers.all[0].name, "pin-mismatch").await;
    servers.until_trusted(1, &[&before, &after]).await;
    lab.until_registered(&relation, &[&before, &after]).await;
    assert_eq!(
        lab.published(&relation).await.nodes,
        [servers.all[1].name.as_str()],
        "it is not the node that was meant"
    );
    let Record { connections, handshakes, requests } = front.take();
    assert!(connections > 0, "it was asked");
    assert_eq!((handshakes, requests.len()), (0, 0), "and told nothing");
    servers.until_trusted(0, &[&before]).await;

    let (certificate, key) = servers.identity(0);
    front.show(&certificate, &key);
    lab.reconcile().await;
    servers.until_trusted(0, &[&before, &after]).await;
    lab.until_registered(&relation, &[&before, &after]).await;
    assert_eq!(lab.published(&relation).await.nodes.len(), 2);
}

#[tokio::test]
async fn a_silent_node_delays_neither_the_api_nor_the_other_node() {
    let Some(mut servers) = Servers::start(2, &[]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let (relation, before, after) = (lab.relation().await, Credential::new("before"), Credential::new("after"));
    lab.write(&relation, &[&before]).await;
    lab.until_registered(&relation, &[&before]).await;

    servers.tell("freeze", 0).await;
    let began = Instant::now();
    // So that the worker asks the node how it is, which it does not wait for as long as for a change.
    lab.reconcile().await;
    lab.write(&relation, &[&before, &after]).await;
    let written = began.elapsed();
    servers.until_trusted(1, &[&before, &after]).await;
    let reached = began.elapsed();
    for path in ["nodes", "relations", "certificates", &relation.path("provider/data"), &relation.path("certificates")]
    {
        assert_eq!(lab.call("GET", path, &Value::Null).await.status, 200, "{path}");
    }
    let read = began.elapsed();
    println!(
        "silent node: bag written after {written:.2?}, on the other node after {reached:.2?}, all read by {read:.2?}"
    );
    assert!(read < AT_ONCE);
    lab.until_state(&servers.all[0].name, "offline").await;
    println!("offline after {:.2?}", began.elapsed());
    let published = lab.published(&relation).await;
    assert_eq!(published.nodes.len(), 2, "a short outage is no change of the nodes");
    assert_eq!(published.registered, [before.certificate.as_str()], "not on every node");

    servers.tell("thaw", 0).await;
    servers.until_trusted(0, &[&before, &after]).await;
    lab.until_registered(&relation, &[&before, &after]).await;
}

#[tokio::test]
async fn a_node_that_answers_500_is_left_alone_for_longer_each_time_and_gets_everything_afterwards() {
    let Some(servers) = Servers::start(2, &[]).await else { return };
    let (front, lab) = fronted(&servers, "").await;
    let relation = lab.relation().await;
    let all = [0, 1, 2, 3, 4].map(|number| Credential::new(&format!("c{number}")));
    let all: Vec<&Credential> = all.iter().collect();
    front.behave(Manner::Fails);
    front.take();
    let began = Instant::now();
    lab.write(&relation, &all).await;
    servers.until_trusted(1, &all).await;
    println!("500: on the other node after {:.2?}", began.elapsed());
    assert!(began.elapsed() < AT_ONCE);
    let view = lab.until_state(&servers.all[0].name, "offline").await;
    assert_eq!(view["error"], FAILURE);
    let mut refused = 0;
    for credential in &all {
        let state = lab.state_on(credential, &servers.all[0].name).await;
        assert_eq!(state["state"], "pending");
        refused += usize::from(state["error"]["http_status"] == 500);
    }
    assert_eq!(refused, 3, "after three failures in a row the node is left alone");

    // The last attempt at a certificate, then how the node is, how it is, how it is.
    let attempts = front.until("the node was asked how it is three times", |record| {
        let times: Vec<Instant> = record.requests.iter().map(|came| came.at).collect();
        let looks = record.requests.iter().filter(|came| came.method == Method::GET).count();
        (looks == 3).then(|| times[times.len() - 4..].to_vec())
    });
    let attempts = attempts.await;
    let waits: Vec<Duration> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("waits while it answers 500: {waits:.2?}");
    // From half to all of a time that doubles from a second.
    for (wait, least) in waits.iter().zip([500, 1_000, 2_000]) {
        assert!(*wait >= Duration::from_millis(least), "{waits:?}");
    }
    front.behave(Manner::Relays);
    servers.until_trusted(0, &all).await;
    lab.until_registered(&relation, &all).await;
}

fn posts(record: &Record) -> impl Iterator<Item = &Came> {
    record.requests.iter().filter(|came| came.method == Method::POST)
}

/// A host that is killed while it sends a POST, which gets as far as the front: whose it is, its relation, a certificate
/// that was there before, the one that was sent, and the POST. There are no listings, which would settle it another way.
async fn killed_in_the_middle(servers: &Servers) -> (Front, Dead, Relation, [Credential; 2], Came) {
    let (front, lab) = fronted(servers, "relist = 3600").await;
    let (relation, first, held) = (lab.relation().await, Credential::new("first"), Credential::new("held"));
    // When this is registered the worker has done with the new node.
    lab.write(&relation, &[&first]).await;
    lab.until_registered(&relation, &[&first]).await;
    front.behave(Manner::Holds);
    front.take();
    lab.write(&relation, &[&first, &held]).await;
    let came = front.until("the POST is held", |record| posts(record).next().cloned()).await;
    let dead = lab.kill().await;
    front.take();
    (front, dead, relation, [first, held], came)
}

#[tokio::test]
async fn a_host_killed_between_intent_and_post_knows_its_entry_by_the_name() {
    let Some(servers) = Servers::start(1, &[]).await else { return };
    let (front, dead, relation, [first, held], lost) = killed_in_the_middle(&servers).await;
    let lab = dead.start().await;
    let late = front.until("the POST is sent again", |record| posts(record).next().cloned()).await;
    let name = |came: &Came| serde_json::from_slice::<Value>(&came.body).unwrap()["name"].clone();
    assert_eq!(name(&late), name(&lost), "what was meant was kept");
    let dead = lab.kill().await;
    // It was under way when its sender died.
    assert_eq!(front.deliver(&late).await, StatusCode::CREATED);
    assert_eq!(servers.entries(0).await[&held.fingerprint]["name"], name(&late));

    front.take();
    front.behave(Manner::Relays);
    let lab = dead.start().await;
    lab.until_registered(&relation, &[&first, &held]).await;
    let record = front.take();
    let statuses: Vec<_> = posts(&record).map(|came| came.status).collect();
    assert_eq!(statuses, [Some(StatusCode::CONFLICT)], "{:?}", record.requests);
    assert_eq!(lab.state_on(&held, &servers.all[0].name).await["owned"], true);
    lab.write(&relation, &[&first]).await;
    servers.until_trusted(0, &[&first]).await;
}

#[tokio::test]
async fn an_entry_that_came_from_elsewhere_between_intent_and_post_is_not_ours() {
    let Some(servers) = Servers::start(1, &[]).await else { return };
    let (front, dead, relation, [first, held], _) = killed_in_the_middle(&servers).await;
    assert!(servers.add_by_hand(0, &held).await);
    front.behave(Manner::Relays);
    let lab = dead.start().await;
    lab.until_registered(&relation, &[&first, &held]).await;
    assert_eq!(lab.state_on(&held, &servers.all[0].name).await["owned"], false);
    assert!(lab.break_off(&relation).await, "the first one is owed");
    servers.until_trusted(0, &[&held]).await;
}

#[tokio::test]
async fn a_post_that_comes_through_when_it_is_wanted_no_more_is_taken_back() {
    let Some(servers) = Servers::start(1, &[]).await else { return };
    let (front, dead, relation, [first, held], late) = killed_in_the_middle(&servers).await;
    front.behave(Manner::Fails);
    let lab = dead.start().await;
    front.until("the POST is sent again", |record| posts(record).next().map(drop)).await;
    lab.write(&relation, &[&first]).await;
    front.behave(Manner::Relays);
    let path = format!("/1.0/certificates/{}", held.fingerprint);
    let looked = front.until("the node said that it is not there", |record| {
        let of_it = |came: &&Came| came.path == path && came.status == Some(StatusCode::NOT_FOUND);
        record.requests.iter().find(of_it).map(drop)
    });
    looked.await;
    assert_eq!(front.deliver(&late).await, StatusCode::CREATED);
    servers.until_trusted(0, &[&first]).await;
}
