//! A host with the plugin and an operator, and what tests do with it: nodes, relations, bags.

use std::collections::BTreeSet;

use plugbay_tests::{Answer, Bed, Process, Sent, component, wait_until};
use rcgen::generate_simple_self_signed;
use serde_json::{Value, json};

use super::servers::{Credential, Servers};

/// A host with the plugin, which may reach these endpoints, and an operator. The facade is served below `/facade`, and
/// as `lxc` wants it on the listener `trust`.
pub struct Lab {
    pub process: Process,
    bed: Bed,
    token: String,
}

/// The data of a host that was killed.
pub struct Dead {
    bed: Bed,
    token: String,
}

impl Dead {
    pub async fn start(self) -> Lab {
        let Self { bed, token } = self;
        Lab { process: Process::start(&bed).await, bed, token }
    }
}

/// A relation with its unit 0.
pub struct Relation {
    pub id: String,
    pub token: String,
}

impl Relation {
    pub fn path(&self, rest: &str) -> String {
        format!("relations/{}/{rest}", self.id)
    }
}

/// The bag of a unit that wants these.
pub fn bag(certificates: &[&Credential]) -> Value {
    let list: Vec<&str> = certificates.iter().map(|credential| credential.certificate.as_str()).collect();
    json!({ "client_certificates": json!(list).to_string() })
}

/// What is in the bag of a provider.
pub struct Published {
    /// Names of the nodes, as they call themselves.
    pub nodes: Vec<String>,
    /// What each of them trusts, in the same order.
    pub trusted: Vec<BTreeSet<String>>,
    /// PEM of what all of them trust.
    pub registered: Vec<String>,
}

impl Lab {
    /// `config` is the plugin's.
    pub async fn new(endpoints: &[&str], config: &str) -> Self {
        let bed = Bed::new(&format!(
            "[[listener]]\nname = \"trust\"\nbind = \"127.0.0.1:0\"\n\
             tls = {{ cert = \"trust.pem\", client_auth = \"optional-any\", min_version = \"1.3\" }}\n\
             [auth.operators]\nprovider = \"tokens\"\n\
             [plugin.lxd]\ngrants = [\"http-client\", \"secrets\"]\noutbound.allow = {endpoints:?}\n\
             mounts = [{{ listener = \"default\", path = \"/lxd\", auth = \"operators\" }}, \
             {{ listener = \"default\", path = \"/facade\", surface = \"facade\", auth = \"operators\" }}, \
             {{ listener = \"trust\", path = \"/\", surface = \"facade\", auth = \"operators\" }}]\n\
             limits = {{ job_concurrency = 16, queue = 20000, queue_wait = \"30s\" }}\nconfig = {{ {config} }}\n"
        ));
        let trust = generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let pem = trust.cert.pem() + &trust.signing_key.serialize_pem();
        std::fs::write(bed.path().join("trust.pem"), pem).unwrap();
        bed.install("lxd", &component("lxd"));
        let token = bed.token("operator", &["operator"]);
        Dead { bed, token }.start().await
    }

    /// With every server as a node of its name.
    pub async fn with_nodes(servers: &Servers) -> Self {
        let endpoints: Vec<&str> = servers.all.iter().map(|server| server.endpoint.as_str()).collect();
        let lab = Self::new(&endpoints, "").await;
        for place in 0..servers.all.len() {
            lab.add_node(&servers.all[place].name, &servers.node(place)).await;
        }
        lab
    }

    pub async fn add_node(&self, name: &str, node: &Value) {
        let put = self.call("PUT", &format!("nodes/{name}"), node).await;
        assert_eq!(put.status, 201, "{}", put.text());
    }

    pub async fn kill(self) -> Dead {
        let Self { bed, process, token } = self;
        process.kill().await;
        Dead { bed, token }
    }

    /// The URL of a mount.
    pub fn url(&self, mount: &str) -> String {
        format!("http://{}/{mount}", self.process.address)
    }

    /// The operator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What the listener `trust` shows.
    pub fn trust_certificate(&self) -> String {
        std::fs::read_to_string(self.bed.path().join("trust.pem")).unwrap()
    }

    pub fn sent(&self, method: &str, path: &str) -> Sent {
        Sent::new(method, &format!("/lxd/v1/{path}")).header("authorization", &format!("Bearer {}", self.token))
    }

    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.sent(method, path).header("content-type", "application/json").body(body).to(self.process.address).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, &Value::Null).await.json()
    }

    /// A relation with its unit 0.
    pub async fn relation(&self) -> Relation {
        let made = self.call("POST", "relations", &json!({"interface": "lxd", "remote_app": "app"})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let text = |key: &str| made.json()[key].as_str().unwrap().to_owned();
        let relation = Relation { id: text("id"), token: text("token") };
        assert_eq!(self.call("PUT", &relation.path("units/0"), &Value::Null).await.status, 201);
        relation
    }

    pub async fn write(&self, relation: &Relation, certificates: &[&Credential]) {
        let written = self.call("PUT", &relation.path("units/0/data"), &bag(certificates)).await;
        assert_eq!(written.status, 200, "{}", written.text());
    }

    /// Break a relation; whether a node still owes a removal.
    pub async fn break_off(&self, relation: &Relation) -> bool {
        let gone = self.call("DELETE", &format!("relations/{}", relation.id), &Value::Null).await;
        assert!([202, 204].contains(&gone.status.as_u16()), "{}", gone.text());
        gone.status == 202
    }

    pub async fn reconcile(&self) {
        assert_eq!(self.call("POST", "reconcile", &Value::Null).await.status, 202);
    }

    pub async fn published(&self, relation: &Relation) -> Published {
        let bag = self.get(&relation.path("provider/data")).await;
        let list = |key: &str| serde_json::from_str::<Vec<Value>>(bag[key].as_str().unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let nodes = list("nodes");
        let trusted = nodes.iter().map(|node| node["trusted_certs_fp"].as_array().unwrap().iter().map(text).collect());
        Published {
            trusted: trusted.collect(),
            nodes: nodes.iter().map(|node| text(&node["name"])).collect(),
            registered: list("registered_certificates").iter().map(text).collect(),
        }
    }

    /// Wait until the provider's bag names exactly these as registered.
    pub async fn until_registered(&self, relation: &Relation, certificates: &[&Credential]) {
        let wanted: Vec<&str> = certificates.iter().map(|credential| credential.certificate.as_str()).collect();
        wait_until("the certificates are registered", || async {
            (self.published(relation).await.registered == wanted).then_some(())
        })
        .await;
    }

    /// Wait until a node is in a state; its view.
    pub async fn until_state(&self, node: &str, state: &str) -> Value {
        wait_until(&format!("{node} is {state}"), || async {
            let view = self.get(&format!("nodes/{node}")).await;
            (view["state"] == state).then_some(view)
        })
        .await
    }

    /// What is said of a certificate on a node.
    pub async fn state_on(&self, credential: &Credential, node: &str) -> Value {
        let mut view = self.get(&format!("certificates/{}", credential.fingerprint)).await;
        let nodes = view["nodes"].as_array_mut().unwrap();
        nodes.iter_mut().find(|state| state["node"] == node).unwrap().take()
    }
}
