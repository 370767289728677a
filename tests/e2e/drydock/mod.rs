//! Drydock on the real host, as its example configures it.

mod access;
mod codes;
mod crash;
mod designs;
mod nodes;
mod reporter;
mod scale;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plugbay_tests::{Answer, Bed, Client, Keystone, Sent, component, missing};
use serde_json::{Value, json};

/// A reference to the site, in the plugin's private directory.
pub const SITE: &str = "file:///site.yaml";

/// The site that is shared beside the checkout.
pub fn site() -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/drydock/site.yaml");
    let text = std::fs::read_to_string(&file).ok();
    if text.is_none() {
        missing("no shared/data/drydock/site.yaml beside the checkout");
    }
    text
}

/// A site of so many nodes without controllers.
pub fn generated(nodes: usize) -> Vec<u8> {
    let output = std::process::Command::new(plugbay_tests::target().join("release/baseline"))
        .args(["site", &nodes.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The example, still to be changed and started.
pub fn bed() -> Bed {
    let bed = Bed::example("drydock");
    bed.install("drydock", &component("drydock"));
    bed
}

/// The example with its lines about Keystone in use.
pub fn bed_of(keystone: &Keystone) -> Bed {
    let bed = bed();
    let text = std::fs::read_to_string(bed.config_file()).unwrap();
    let begin = text.find("#[auth.cloud]").unwrap();
    let length = text[begin..].find("\n\n").unwrap();
    let table = &text[begin..begin + length];
    bed.change_config(table, &table.replace("\n#", "\n").replacen('#', "", 1));
    bed.change_config("http://127.0.0.1:5000/v3\"\nuser", &format!("{}\"\nuser", keystone.url()));
    bed.change_config("user = \"drydock\" ", "user = \"plugbay\" ");
    bed.change_config("data/keystone.password", &keystone.password_file().display().to_string());
    bed.change_config("path = \"/\", auth = \"drydock\"", "path = \"/\", auth = \"cloud\"");
    bed
}

/// The plugin's private directory.
pub fn private(bed: &Bed) -> PathBuf {
    let directory = bed.path().join("data/plugins/drydock");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// The API as one caller sees it.
pub struct Api {
    pub address: std::net::SocketAddr,
    pub token: String,
}

impl Api {
    /// Of a started bed, as an administrator of its token file.
    pub fn of(bed: &Bed, token: &str) -> Self {
        Self { address: bed.address(), token: token.to_owned() }
    }

    pub async fn send(&self, sent: Sent) -> Answer {
        sent.header("x-auth-token", &self.token).to(self.address).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Sent::new("GET", &format!("/api/v1.0{path}"))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let sent = Sent::new("POST", &format!("/api/v1.0{path}")).header("content-type", "application/json");
        self.send(sent.body(body.to_string())).await
    }

    /// Post a task; its id.
    pub async fn start(&self, action: &str, reference: &str, nodes: Option<&[&str]>) -> String {
        let filter = nodes.map(named);
        let body = json!({"action": action, "design_ref": reference, "node_filter": filter});
        let answer = self.post("/tasks", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["task_id"].as_str().unwrap().to_owned()
    }

    pub async fn task(&self, id: &str) -> Value {
        self.get(&format!("/tasks/{id}")).await.json()
    }

    /// Wait until a task has ended.
    pub async fn ended(&self, id: &str, patience: Duration) -> Value {
        let start = Instant::now();
        let mut client = Client::connect(self.address).await;
        loop {
            let sent = Sent::new("GET", &format!("/api/v1.0/tasks/{id}")).header("x-auth-token", &self.token);
            let task = client.send(sent).await.unwrap().json();
            if task["status"] == "complete" || task["status"] == "terminated" {
                return task;
            }
            assert!(start.elapsed() < patience, "waited too long for {task:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Post a task and wait for its end.
    pub async fn run(&self, action: &str, reference: &str, nodes: Option<&[&str]>) -> Value {
        let id = self.start(action, reference, nodes).await;
        self.ended(&id, Duration::from_secs(120)).await
    }
}

/// A filter for these nodes.
pub fn named(names: &[&str]) -> Value {
    json!({"filter_set_type": "union", "filter_set": [{"filter_type": "union", "node_names": names}]})
}

/// Texts of a task's messages.
pub fn texts(task: &Value) -> Vec<String> {
    let list = task["result"]["details"]["messageList"].as_array().unwrap();
    list.iter().map(|message| message["message"].as_str().unwrap().to_owned()).collect()
}

/// What the operator is told: as `plugbay call drydock METHOD PATH` does.
pub async fn call(bed: &Bed, method: &str, path: &str) -> Value {
    let answer = bed.operator("drydock", method, path).await;
    assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text());
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

/// The key of a node's deployment and the ids of its boot actions by name.
pub async fn boot_context(bed: &Bed, node: &str) -> (String, std::collections::BTreeMap<String, String>) {
    let context = call(bed, "GET", &format!("/bootactions/{node}")).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let actions = context["actions"].as_array().unwrap().iter();
    (text(&context["key"]), actions.map(|one| (text(&one["action_name"]), text(&one["action_id"]))).collect())
}
