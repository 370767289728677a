//! The plugin between real clients and real servers: a requirer of ops, pylxd, and `lxc`.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::lab::Lab;
use super::servers::{Credential, Servers, installed, script};

const LXC: &str = "/usr/bin/lxc";

async fn requirer_is_well(lab: &Lab) {
    let relation = lab.relation().await;
    let requirer = script("lxd_requirer.py").args([&lab.url("lxd"), &relation.id, &relation.token]).output().await;
    is_well(&requirer.unwrap());
}

fn is_well(output: &Output) {
    assert!(output.status.success() && said(output).contains("all well"), "{}", said(output));
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_requirer_of_ops_gets_in_and_is_kept_out_when_it_left() {
    let Some(servers) = Servers::start(2, &[]).await else { return };
    requirer_is_well(&Lab::with_nodes(&servers).await).await;
}

#[tokio::test]
async fn every_rule_of_the_contract_holds_with_real_servers() {
    let Some(servers) = Servers::start(2, &[]).await else { return };
    // Nobody listens where somebody just did.
    let nowhere = format!("https://{}", TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
    let (grace, relist) = (8, 5);
    let endpoints = [&servers.all[0].endpoint, &servers.all[1].endpoint, &nowhere].map(String::as_str);
    let lab = Lab::new(&endpoints, &format!("grace = {grace}, relist = {relist}")).await;
    let mut facts = servers.facts();
    facts["url"] = lab.url("lxd").into();
    facts["facade"] = lab.url("facade").into();
    facts["trust"] = format!("https://{}", lab.process.address_of("trust").await).into();
    facts["token"] = lab.token().into();
    facts["nowhere"] = nowhere.into();
    (facts["grace"], facts["relist"]) = (grace.into(), relist.into());
    let mut script = script("lxd_rules.py").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut input = script.as_mut().unwrap().stdin.take().unwrap();
    input.write_all(facts.to_string().as_bytes()).await.unwrap();
    drop(input);
    let output = script.unwrap().wait_with_output().await.unwrap();
    is_well(&output);
    println!("{}", said(&output).lines().last().unwrap_or_default());
}

#[tokio::test]
async fn incus_is_a_node_as_lxd_is() {
    let Some(servers) = Servers::lxd_and_incus().await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let incus = lab.until_state(&servers.all[1].name, "online").await;
    println!("Incus {}", incus["server_version"]);
    requirer_is_well(&lab).await;

    let (relation, theirs, ours) = (lab.relation().await, Credential::new("theirs"), Credential::new("ours"));
    assert!(servers.add_by_hand(1, &theirs).await);
    lab.write(&relation, &[&theirs, &ours]).await;
    lab.until_registered(&relation, &[&theirs, &ours]).await;
    for node in 0..2 {
        servers.until_trusted(node, &[&theirs, &ours]).await;
    }
    lab.break_off(&relation).await;
    servers.until_trusted(0, &[]).await;
    servers.until_trusted(1, &[&theirs]).await;
}

#[tokio::test]
async fn pylxd_takes_the_facade_for_lxd() {
    let Some(servers) = Servers::start(1, &[]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let client = script("lxd_facade.py").args([&lab.url("facade"), "--token", lab.token()]).output().await;
    is_well(&client.unwrap());
    servers.until_trusted(0, &[]).await;
}

/// `lxc` with a configuration of its own.
struct Lxc(TempDir);

impl Lxc {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn try_run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(LXC);
        command.args(arguments).env("LXD_CONF", self.0.path()).env("HOME", self.0.path()).kill_on_drop(true);
        command.output().await.unwrap()
    }

    async fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says when it fails, as it has to.
    async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments).await;
        assert!(!output.status.success(), "{arguments:?}: {}", said(&output));
        said(&output)
    }

    /// Names in the trust list of the remote `hub`, sorted.
    async fn names(&self) -> Vec<String> {
        let list = self.run(&["config", "trust", "list", "hub:", "--format", "json"]).await;
        let list: Vec<Value> = serde_json::from_str(&list).unwrap();
        let mut names: Vec<String> = list.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// The certificate that it made for itself.
    fn own(&self) -> Credential {
        Credential::of(&std::fs::read_to_string(self.0.path().join("client.crt")).unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn lxc_joins_with_a_relations_token_and_manages_what_it_may() {
    if !installed(&[LXC.into()]) {
        return;
    }
    let Some(servers) = Servers::start(1, &[]).await else { return };
    let lab = Lab::with_nodes(&servers).await;
    let hub = format!("https://{}", lab.process.address_of("trust").await);
    let (relation, other) = (lab.relation().await, lab.relation().await);
    let (units, others) = (Credential::new("of-the-unit"), Credential::new("of-others"));
    lab.write(&relation, &[&units]).await;
    lab.write(&other, &[&others]).await;

    let lxc = Lxc::new();
    let add = ["remote", "add", "hub", &hub, "--accept-certificate", "--password"];
    let refused = lxc.refused(&[&add[..], &["wrong"]].concat()).await;
    assert!(refused.contains("not authorized"), "{refused}");
    lxc.run(&[&add[..], &[&relation.token]].concat()).await;
    let own = lxc.own();
    let names = lxc.names().await;
    assert!(names.len() == 2 && names.contains(&"of-the-unit".to_owned()), "{names:?}");

    let laptop = Credential::new("laptop");
    let file = lxc.write("laptop.crt", &laptop.certificate);
    lxc.run(&["config", "trust", "add", "hub:", text(&file), "--name", "by-lxc"]).await;
    assert_eq!(lxc.names().await.len(), 3);
    let shown = lxc.run(&["config", "trust", "show", &format!("hub:{}", laptop.short())]).await;
    assert!(shown.contains("name: by-lxc") && shown.contains("type: client"), "{shown}");
    let again = lxc.refused(&["config", "trust", "add", "hub:", text(&file)]).await;
    assert!(again.contains("already in trust store"), "{again}");
    servers.until_trusted(0, &[&units, &others, &own, &laptop]).await;
    assert_eq!(lab.published(&relation).await.registered.len(), 3);

    lxc.run(&["config", "trust", "remove", &format!("hub:{}", laptop.short())]).await;
    let refused = lxc.refused(&["config", "trust", "remove", &format!("hub:{}", units.short())]).await;
    assert!(refused.contains("wanted by a unit"), "{refused}");
    servers.until_trusted(0, &[&units, &others, &own]).await;

    // With a token as LXD makes them, instead of a URL.
    let second = Lxc::new();
    let token = json!({
        "client_name": "second",
        "fingerprint": Credential::of(&lab.trust_certificate()).fingerprint,
        "addresses": [hub.trim_start_matches("https://")],
        "secret": relation.token,
        "expires_at": "0001-01-01T00:00:00Z",
    });
    second.run(&["remote", "add", "hub", &STANDARD.encode(token.to_string())]).await;
    assert_eq!(second.names().await.len(), 3);
    // Who takes itself off the list is a stranger.
    second.run(&["config", "trust", "remove", &format!("hub:{}", second.own().short())]).await;
    let refused = second.refused(&["config", "trust", "list", "hub:"]).await;
    assert!(refused.contains("not authorized"), "{refused}");
    servers.until_trusted(0, &[&units, &others, &own]).await;
}
