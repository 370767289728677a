//! Octavia's driver and octavia's agent, with each other: an amphora is right if the driver finds no difference.
//! What the driver has to ask, and to be answered, is a table here, for the agent and for whatever takes its place.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use plugbay_tests::{free_port, target};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The id of the amphora.
pub const AMPHORA: &str = "6b2f9e1c-5a3d-4c8e-9f10-2d7c4b8a1e55";

/// What programs an amphora needs, all of Debian.
const PROGRAMS: [&str; 3] = ["/usr/sbin/haproxy", "/usr/sbin/keepalived", "/usr/sbin/ipvsadm"];

/// By scenario and step: requests and status codes, below `/1.0/`, without `loadbalancer/`.
#[rustfmt::skip]
pub const CALLS: [(&str, &str, &[&str]); 14] = [
    ("info", "check", &["GET // 200"]),
    ("info", "details", &["GET details 200"]),
    ("create", "update", &[
        "GET info 200", "GET details 200", "PUT {amphora}/{load balancer}/haproxy 202", "PUT {load balancer}/reload 202",
    ]),
    // Certificates before the list that names them, and both before the configuration.
    ("create-tls", "update", &[
        "GET info 200",
        "GET {load balancer}/certificates/{sha1}.pem 404", "PUT {load balancer}/certificates/{sha1}.pem 200",
        "GET {load balancer}/certificates/{sha1}.pem 404", "PUT {load balancer}/certificates/{sha1}.pem 200",
        "GET {load balancer}/certificates/{tls}.pem 404", "PUT {load balancer}/certificates/{tls}.pem 200",
        "GET details 200", "PUT {amphora}/{load balancer}/haproxy 202", "PUT {load balancer}/reload 202",
    ]),
    ("update", "again", &[
        "GET info 200",
        "GET {load balancer}/certificates/{sha1}.pem 200", "GET {load balancer}/certificates/{sha1}.pem 200",
        "GET {load balancer}/certificates/{tls}.pem 200",
        "GET details 200", "PUT {amphora}/{load balancer}/haproxy 202", "PUT {load balancer}/reload 202",
    ]),
    // Another certificate has another name, so the list changes with it.
    ("rotate-listener-certificate", "update", &[
        "GET info 200",
        "GET {load balancer}/certificates/{sha1}.pem 404", "PUT {load balancer}/certificates/{sha1}.pem 200",
        "GET {load balancer}/certificates/{sha1}.pem 200",
        "GET {load balancer}/certificates/{tls}.pem 200", "PUT {load balancer}/certificates/{tls}.pem 200",
        "GET details 200", "PUT {amphora}/{load balancer}/haproxy 202", "PUT {load balancer}/reload 202",
    ]),
    ("bad-config", "garbage", &["PUT {amphora}/{load balancer}/haproxy 400"]),
    ("bad-config", "empty", &["PUT {amphora}/{load balancer}/haproxy 400"]),
    ("bad-config", "unknown", &["PUT {unknown}/reload 404"]),
    ("delete-one", "delete", &[
        "DELETE {load balancer}/certificates/{sha1}.pem 200", "DELETE {load balancer}/certificates/{sha1}.pem 200",
        "GET info 200", "GET details 200", "PUT {amphora}/{load balancer}/haproxy 202", "PUT {load balancer}/reload 202",
    ]),
    ("delete-last", "delete", &["DELETE listeners/{load balancer} 200"]),
    ("delete-last", "again", &["DELETE listeners/{load balancer} 200"]),
    ("agent-config", "upload", &["PUT config 202"]),
    ("certificate-rotation", "upload", &["PUT certificate 202"]),
];

/// The scenarios of that table, and others that show that it works, in an order in which they work.
pub const SCENARIOS: [&str; 21] = [
    "info",
    "agent-config",
    "create",
    "traffic",
    "heartbeat",
    "reloads",
    "create-tls",
    "traffic",
    "update",
    "policy",
    "rotate-listener-certificate",
    "traffic",
    "client-auth",
    "disable",
    "restart",
    "bad-config",
    "again",
    "delete-one",
    "traffic",
    "delete-last",
    "certificate-rotation",
];

/// One step that the driver took.
#[derive(Debug)]
pub struct Step {
    pub scenario: String,
    pub name: String,
    pub result: Value,
    pub retries: u64,
    pub calls: Vec<String>,
}

impl Step {
    fn of(line: &Value) -> Self {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let calls = line["requests"].as_array().into_iter().flatten().map(call).collect();
        let result = line["result"].clone();
        let retries = line["retries"].as_u64().unwrap_or(u64::MAX);
        Self { scenario: text("scenario"), name: text("step"), result, retries, calls }
    }
}

fn call(request: &Value) -> String {
    let asked = request["request"].as_str().unwrap_or_default().replace("/1.0/", "").replace("loadbalancer/", "");
    format!("{asked} {}", request["status"].as_u64().map_or_else(|| "failed".to_owned(), |status| status.to_string()))
}

/// A directory with the certificates of an amphora and of its controller.
pub struct Controller {
    directory: TempDir,
    python: PathBuf,
}

impl Controller {
    /// None, with a reason printed, where octavia or the programs of an amphora are not installed; under CI they are.
    pub async fn new() -> Option<Self> {
        let python = target().join("octavia/bin/python");
        let missing: Vec<_> = [python.as_path()].into_iter().chain(PROGRAMS.iter().map(Path::new)).collect();
        let missing: Vec<_> = missing.into_iter().filter(|path| !path.exists()).collect();
        if !missing.is_empty() {
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!ci, "installable, and has to be there under CI: {missing:?}");
            println!("skipped: not installed: {missing:?}");
            return None;
        }
        let this = Self { directory: tempfile::tempdir().unwrap(), python };
        let made = this.script("octavia_pki.py").arg(this.directory.path()).arg(AMPHORA).status().await.unwrap();
        assert!(made.success());
        Some(this)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(format!("{}/clients/{name}", env!("CARGO_MANIFEST_DIR"))).kill_on_drop(true);
        command
    }

    /// Octavia's agent on this port, its files below `agent`. None where the system allows no namespaces.
    pub async fn agent(&self, port: u16) -> Option<Child> {
        let isolated =
            Command::new("unshare").args(["--mount", "--pid", "--fork", "--mount-proc", "true"]).output().await;
        if !isolated.is_ok_and(|output| output.status.success()) {
            println!("skipped: this system allows no namespaces");
            return None;
        }
        let mut agent = self.script("octavia_agent.py");
        agent.arg(self.file("agent")).args([AMPHORA, &port.to_string()]);
        agent.args([self.file("server.pem"), self.file("client_ca.pem")]).stdout(Stdio::piped());
        let mut child = agent.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("serving"), "octavia's agent does not start");
        Some(child)
    }

    /// Take the driver through these scenarios. Its ports on 127.0.0.1 are free ones.
    pub async fn drive(&self, port: u16, scenarios: &[&str], base: &Path, more: &[&str]) -> Vec<Step> {
        let mut driver = self.script("octavia_driver.py");
        driver.args([AMPHORA, &port.to_string()]).args([self.file("client.pem"), self.file("server_ca.pem")]);
        driver.args(scenarios).arg("--base-path").arg(base).arg("--rotated").arg(self.file("rotated.pem"));
        for option in ["--http-port", "--tls-port", "--udp-port"] {
            driver.arg(option).arg(free_port().to_string());
        }
        let output = driver.args(more).output().await.unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains("all well"), "{out}\n{error}");
        let lines = out.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.map(|line: Value| Step::of(&line)).collect()
    }
}

/// What differs from the table, a line each.
pub fn differences(steps: &[Step]) -> String {
    let mut found = String::new();
    for (scenario, name, calls) in CALLS {
        let step = steps.iter().find(|step| step.scenario == scenario && step.name == name);
        // The first step of all asks for the version, too.
        let had = step.map(|step| step.calls.iter().filter(|call| name == "check" || !call.starts_with("GET // ")));
        let had: Vec<_> = had.into_iter().flatten().collect();
        if had != calls {
            writeln!(found, "{scenario}, {name}: {had:?} and not {calls:?}").unwrap();
        }
    }
    found
}

#[tokio::test]
async fn octavias_agent_and_driver_talk_as_the_table_says() {
    let Some(controller) = Controller::new().await else { return };
    let port = free_port();
    let Some(_agent) = controller.agent(port).await else { return };
    let base = controller.file("agent/octavia");
    let steps = controller.drive(port, &SCENARIOS, &base, &["--patient", "--reloads", "5"]).await;
    assert_eq!(differences(&steps), "");
    let under_load = steps.iter().find(|step| step.scenario == "reloads").map(|step| &step.result["failed"]);
    assert_eq!(under_load, Some(&Value::from(0)), "requests failed while haproxy was reloaded");
}
