//! Nodes: real controllers (sushy-tools' emulator, one a node), and nodes that fetch their boot data and report.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plugbay_tests::{Bed, Sent, free_port, python, wait_until};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{Api, SITE, bed, boot_context, private, site, texts};

/// Long enough for two changes of power, which the emulator takes up to 11 seconds for each.
const PATIENCE: Duration = Duration::from_secs(180);

/// Controllers, one for each node, at the addresses of the site. Ended when dropped.
struct Controllers {
    port: u16,
    directory: tempfile::TempDir,
    running: Vec<Child>,
    python: PathBuf,
}

impl Controllers {
    fn new() -> Option<Self> {
        let python = python("sushy")?;
        Some(Self { port: free_port(), directory: tempfile::tempdir().unwrap(), running: Vec::new(), python })
    }

    /// One at this address, for an account `admin` with this password.
    async fn start(&mut self, node: &str, address: &str, password: &str) {
        let directory = self.directory.path().join(node);
        std::fs::create_dir(&directory).unwrap();
        let made = Command::new(&self.python)
            .args([
                "-c",
                "import bcrypt, sys; print('admin:' + bcrypt.hashpw(sys.argv[1].encode(), bcrypt.gensalt(4)).decode())",
                password,
            ])
            .output()
            .await
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(directory.join("htpasswd"), made.stdout).unwrap();
        let mac = address.rsplit('.').next().unwrap();
        let system = json!({
            "uuid": format!("00000000-0000-4000-8000-0000000000{mac}"),
            "name": node,
            "power_state": "Off",
            "nics": [{"mac": format!("52:54:00:20:00:{mac}"), "ip": address}],
        });
        let settings = format!(
            "SUSHY_EMULATOR_AUTH_FILE = {:?}\nSUSHY_EMULATOR_STATE_DIR = {:?}\nSUSHY_EMULATOR_FAKE_SYSTEMS = [{system}]\n",
            directory.join("htpasswd"),
            directory
        );
        let file = directory.join("emulator.conf");
        std::fs::write(&file, settings).unwrap();
        let emulator = self.python.with_file_name("sushy-emulator");
        let mut command = Command::new(emulator);
        command.arg("--config").arg(&file).args(["--fake", "--interface", address, "--port", &self.port.to_string()]);
        let output = || std::fs::File::options().append(true).create(true).open(directory.join("log")).unwrap();
        self.running
            .push(command.stdin(Stdio::null()).stdout(output()).stderr(output()).kill_on_drop(true).spawn().unwrap());
        let address: std::net::SocketAddr = format!("{address}:{}", self.port).parse().unwrap();
        wait_until("the controller answers", || async {
            let answer = Sent::new("GET", "/redfish/v1/").try_to(address).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// The one system of the controller there.
    async fn system(&self, address: &str) -> Value {
        let at: std::net::SocketAddr = format!("{address}:{}", self.port).parse().unwrap();
        let get = async |path: &str| {
            Sent::new("GET", path).header("authorization", &basic("admin", "secret")).to(at).await.json()
        };
        let systems = get("/redfish/v1/Systems").await;
        assert_eq!(systems["Members"].as_array().unwrap().len(), 1);
        get(systems["Members"][0]["@odata.id"].as_str().unwrap()).await
    }

    /// What was asked of the controller of a node, method and path.
    fn asked(&self, node: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(node).join("log")).unwrap()
    }

    /// The example's settings for these controllers.
    fn configure(&self, bed: &Bed, addresses: &[&str]) {
        let lines: Vec<String> = addresses.iter().map(|one| format!("\"http://{one}:{}\"", self.port)).collect();
        bed.change_config(
            "#outbound.allow = [\"https://10.0.0.0/24\"]",
            &format!("outbound.allow = [{}]", lines.join(", ")),
        );
        bed.change_config(
            "oob = { pretend = [\"redfish\"] }\n#oob = { redfish_scheme = \"https\", redfish_port = 443 }",
            &format!(
                "oob = {{ redfish_scheme = \"http\", redfish_port = {}, power_interval = 1, power_polls = 40 }}",
                self.port
            ),
        );
    }
}

/// The value of `Authorization` for Basic authentication.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The errors of a task's descendants, by node.
async fn errors(api: &Api, id: &str) -> Vec<String> {
    let answer = api.get(&format!("/tasks/{id}?subtaskerrors=true")).await.json();
    let each = answer["subtask_errors"].as_object().unwrap().values();
    let said = each.flat_map(|one| one["details"]["messageList"].as_array().unwrap().clone());
    said.filter(|one| one["error"] == true)
        .map(|one| format!("{}: {}", one["context"].as_str().unwrap(), one["message"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_controllers_are_asked_and_driven_and_bad_ones_are_results() {
    let (Some(site), Some(mut controllers)) = (site(), Controllers::new()) else { return };
    // ctl-02 has another password, and cmp-02 has no controller.
    let nodes =
        [("ctl-01", "127.20.0.11"), ("ctl-02", "127.20.0.12"), ("cmp-01", "127.20.0.21"), ("sto-01", "127.20.0.31")];
    for (node, address) in nodes {
        controllers.start(node, address, if node == "ctl-02" { "another" } else { "secret" }).await;
    }
    let mut bed = bed();
    let token = bed.token("ann", &["admin"]);
    std::fs::write(private(&bed).join("site.yaml"), site).unwrap();
    controllers.configure(&bed, &["127.20.0.11", "127.20.0.12", "127.20.0.21", "127.20.0.22", "127.20.0.31"]);
    bed.start().await;
    assert_eq!(bed.status("drydock").last_error, None);
    let api = Api::of(&bed, &token);

    let id = api.start("verify_nodes", SITE, None).await;
    let task = api.ended(&id, PATIENCE).await;
    assert_eq!(task["result"]["status"], "partial_success", "{task:#}");
    let mut said = errors(&api, &id).await;
    said.sort();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("cmp-02: controller of cmp-02") && said[0].contains("unreachable"), "{said:?}");
    assert!(said[1].starts_with("ctl-02: controller of ctl-02 refuses account and credential"), "{said:?}");
    // One stage for each type of controller, one part for each node.
    let tree = api.get(&format!("/tasks/{id}?layers=-1")).await.json();
    let count = |action: &str| tree.as_object().unwrap().values().filter(|task| task["action"] == action).count();
    assert_eq!((count("verify_nodes"), count("interrogate_oob")), (1, 2 + 6));
    // There is no session service, so each request said who we are.
    let asked = controllers.asked("ctl-01");
    assert!(
        asked.contains("POST /redfish/v1/SessionService/Sessions") && asked.contains("GET /redfish/v1/Systems"),
        "{asked}"
    );

    let wanted = ["ctl-01", "ctl-02", "cmp-01", "sto-01", "sto-02"];
    let id = api.start("prepare_nodes", SITE, Some(&wanted)).await;
    let task = api.ended(&id, PATIENCE).await;
    assert_eq!(task["result"]["status"], "partial_success", "{task:#}");
    assert_eq!(task["result"]["failures"], json!(["ctl-02"]));
    assert_eq!(task["result"]["successes"], json!(["cmp-01", "ctl-01", "sto-01", "sto-02"]));
    for (node, address) in nodes.into_iter().filter(|(node, _)| *node != "ctl-02") {
        let system = controllers.system(address).await;
        let state = (&system["PowerState"], &system["Boot"]["BootSourceOverrideTarget"]);
        assert_eq!(state, (&json!("On"), &json!("Pxe")), "{node}");
    }
    let asked = controllers.asked("sto-01");
    let resets = asked.matches("/Actions/ComputerSystem.Reset").count();
    // It was off, so it is only turned on: once.
    assert_eq!((resets, asked.matches("PATCH ").count()), (1, 1), "{asked}");
    let known = api.get("/nodes").await.json();
    let statuses: Vec<String> =
        known.as_array().unwrap().iter().map(|node| format!("{} {}", node["hostname"], node["status_name"])).collect();
    assert_eq!(
        statuses,
        ["\"cmp-01\" \"Ready\"", "\"ctl-01\" \"Ready\"", "\"sto-01\" \"Ready\"", "\"sto-02\" \"Ready\""]
    );

    // A node that is on is turned off, and then on.
    let machine = super::call(&bed, "DELETE", "/inventory/cmp-01").await;
    assert_eq!(machine, Value::Null);
    let task = api.run("prepare_nodes", SITE, Some(&["cmp-01"])).await;
    assert_eq!(task["result"]["status"], "success", "{task:#}");
    let asked = controllers.asked("cmp-01");
    assert_eq!(asked.matches("/Actions/ComputerSystem.Reset").count(), 3, "{asked}");
    assert_eq!(controllers.system("127.20.0.21").await["PowerState"], "On");
    // One that is known is left alone.
    let task = api.run("prepare_nodes", SITE, Some(&["cmp-01"])).await;
    assert!(texts(&task).iter().any(|text| text.contains("known already")), "{task:#}");
    assert_eq!(controllers.asked("cmp-01").matches("/Actions/ComputerSystem.Reset").count(), 3);
    let data = api.get("/nodes/ctl-01/builddata?latest=True").await.json();
    assert_eq!((&data[0]["node_name"], &data[0]["generator"]), (&json!("ctl-01"), &json!("inventory")));
}

/// What a node does on its first boot.
async fn first_boot(bed: &Bed, node: &str, key: &str, more: &[&str]) -> Value {
    let root = bed.path().join("nodes").join(node);
    std::fs::create_dir_all(&root).unwrap();
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/drydock_node.py"))
        .args(["--url", &format!("http://{}/api/v1.0", bed.address()), "--node", node, "--key", key, "--root"])
        .arg(&root)
        .args(more)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{node}: {said}{why}");
    serde_json::from_str(&said).unwrap()
}

fn entry<'a>(booted: &'a Value, kind: &str, path: &str) -> &'a Value {
    let entries = booted["archives"][kind]["entries"].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["name"] == path);
    assert!(found.is_some(), "no {path} in {booted:#}");
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_fetch_their_boot_data_and_report_while_the_deployment_waits() {
    let Some(site) = site() else { return };
    let mut bed = bed();
    let token = bed.token("ann", &["admin"]);
    std::fs::write(private(&bed).join("site.yaml"), site).unwrap();
    // As nodes reach it: the port is known before the start.
    let port = free_port();
    bed.change_config("bind = \"127.0.0.1:0\"\n\n[admin]", &format!("bind = \"127.0.0.1:{port}\"\n\n[admin]"));
    bed.change_config("http://127.0.0.1:9000/api", &format!("http://127.0.0.1:{port}/api"));
    bed.start().await;
    let api = Api::of(&bed, &token);
    let nodes = ["ctl-01", "cmp-01", "sto-01", "cmp-02"];
    let task = api.run("prepare_nodes", SITE, Some(&nodes)).await;
    assert_eq!(task["result"]["status"], "success", "{task:#}");
    let id = api.start("deploy_nodes", SITE, Some(&nodes)).await;
    let waiting = wait_until("the deployment waits for reports", || async {
        let tree = api.get(&format!("/tasks/{id}?layers=-1")).await.json();
        let waits = tree.as_object()?.values().find(|task| task["action"] == "bootaction_report")?.clone();
        (waits["status"] == "running").then_some(waits)
    })
    .await;
    assert_eq!(waiting["parent_task_id"], json!(id));

    // Three nodes do as their design says: the script that it puts there reports by itself.
    let (key, actions) = boot_context(&bed, "ctl-01").await;
    assert_eq!(actions.keys().collect::<Vec<_>>(), ["first-boot", "motd"]);
    let booted = first_boot(&bed, "ctl-01", &key, &["--run"]).await;
    assert_eq!(booted["run"]["status"], 0, "{booted:#}");
    let files = &booted["archives"]["files"];
    assert_eq!((&files["type"], &files["gnu"]), (&json!("application/gzip"), &json!(true)));
    assert_eq!(files["disposition"], "attachment; filename=\"ctl-01-file.tar.gz\"");
    assert_eq!(booted["archives"]["units"]["disposition"], "attachment; filename=\"ctl-01-unit.tar.gz\"");
    for (kind, path, mode) in [
        ("units", "/etc/systemd/system/first-boot.service", "444"),
        ("files", "/opt/first-boot.sh", "755"),
        ("files", "/etc/motd", "644"),
        ("files", "/etc/site-id", "600"),
    ] {
        let entry = entry(&booted, kind, path);
        let facts = json!({"mode": mode, "uid": 0, "gid": 0, "owner": "", "mtime": 0});
        for (fact, value) in facts.as_object().unwrap() {
            assert_eq!(&entry[fact], value, "{path} {fact}");
        }
    }
    let unit = entry(&booted, "units", "/etc/systemd/system/first-boot.service")["text"].as_str().unwrap();
    assert!(unit.contains("Report first boot of ctl-01\n") && !unit.ends_with('\n'), "{unit}");
    let script = entry(&booted, "files", "/opt/first-boot.sh")["text"].as_str().unwrap();
    assert!(script.contains("# ctl-01.riverton.example 10.20.1.11\n"), "{script}");
    assert!(script.contains("DESIGN=\"file%3A///site.yaml\""), "{script}");
    let motd = entry(&booted, "files", "/etc/motd")["text"].as_str().unwrap();
    assert!(motd.contains("mgmt 10.20.1.11 10.20.1.0/24 riverton.example"), "{motd}");
    assert!(motd.ends_with("tags=control,managed tier=general"), "{motd}");
    assert_eq!(entry(&booted, "files", "/etc/site-id")["text"], "riverton\n");

    // Of another node they get nothing, and neither does somebody who guesses.
    let (other, _) = boot_context(&bed, "sto-01").await;
    for (path, given, status) in [
        ("/bootactions/nodes/ctl-01/files", Some(other.as_str()), 403),
        ("/bootactions/nodes/ctl-01/units", Some(&"0".repeat(64)), 403),
        ("/bootactions/nodes/ctl-01/units", Some("xyz"), 403),
        ("/bootactions/nodes/ctl-01/units", None, 401),
        ("/bootactions/nodes/nobody/units", Some(&key), 404),
        ("/bootdata/ctl-01/units/", Some(&key.to_uppercase()), 200),
    ] {
        let sent = Sent::new("GET", &format!("/api/v1.0{path}"));
        let answer = bed.send(given.iter().fold(sent, |sent, key| sent.header("x-bootaction-key", key))).await;
        assert_eq!(answer.status, status, "{path} {given:?}");
        let challenge = if status == 401 { "Bootaction-Key" } else { "" };
        assert_eq!(answer.header("www-authenticate"), challenge, "{path}");
    }

    // sto-01 reports both as Drydock's own reporter does; cmp-01 fails; cmp-02 has one report missing yet.
    let (key, actions) = boot_context(&bed, "sto-01").await;
    let both =
        [&["--report", &actions["first-boot"], "Success"][..], &["--report", &actions["disk-tuning"], "success"]]
            .concat();
    let booted = first_boot(&bed, "sto-01", &key, &both).await;
    for reports in booted["reports"].as_object().unwrap().values() {
        assert_eq!((&reports[0][0], &reports[1][0]), (&json!(200), &json!(200)), "{booted:#}");
        assert_eq!(reports[0][1]["action_status"], "incomplete");
        assert_eq!(reports[1][1]["action_status"], "success");
        assert!(reports[1][1].get("key").is_none());
    }
    let motd = entry(&booted, "files", "/etc/motd")["text"].as_str().unwrap();
    assert!(motd.ends_with("tags=managed,storage tier=storage"), "{motd}");
    assert_eq!(entry(&booted, "files", "/etc/sysctl.d/60-disk.conf")["mode"], "600");
    let (key, actions) = boot_context(&bed, "cmp-01").await;
    let booted = first_boot(&bed, "cmp-01", &key, &["--report", &actions["first-boot"], "Failure"]).await;
    assert_eq!(booted["reports"][&actions["first-boot"]][1][1]["action_status"], "failure");
    assert_eq!(api.task(&id).await["status"], "running");

    // Every code of the table for reports, on an action that still waits.
    let (key, actions) = boot_context(&bed, "cmp-02").await;
    let (tuning, motd) = (&actions["disk-tuning"], &actions["motd"]);
    let post = async |action: &str, key: Option<&str>, kind: &str, body: &str| {
        let sent = Sent::new("POST", &format!("/api/v1.0/bootactions/{action}")).header("content-type", kind);
        let sent = key.iter().fold(sent, |sent, key| sent.header("x-bootaction-key", key));
        bed.send(sent.body(body.to_owned())).await
    };
    let json_kind = "application/json";
    let good = "{\"details\": [{\"message\": \"m\", \"error\": true, \"more\": 1}]}";
    for (action, given, kind, body, status) in [
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", Some(key.as_str()), json_kind, good, 404),
        ("nonsense", Some(&key), json_kind, good, 404),
        (&tuning.to_lowercase(), Some(&key), json_kind, good, 404),
        (tuning, None, json_kind, good, 401),
        (tuning, Some("xyz"), json_kind, good, 403),
        (tuning, Some(&other), json_kind, good, 403),
        (tuning, Some(&key), json_kind, "", 400),
        (tuning, Some(&key), json_kind, "{", 400),
        (tuning, Some(&key), json_kind, "[]", 400),
        (tuning, Some(&key), "text/plain", good, 400),
        (tuning, Some(&key), json_kind, "{\"status\": \"SUCCESS\"}", 400),
        (tuning, Some(&key), json_kind, "{\"other\": 1}", 400),
        (tuning, Some(&key), json_kind, "{\"details\": [{\"message\": \"m\"}]}", 400),
        (tuning, Some(&key), json_kind, "{\"details\": [{\"message\": \"m\", \"error\": false, \"ts\": 1}]}", 400),
        (motd, Some(&key), json_kind, "{}", 409),
        (tuning, Some(&key), "application/json; charset=utf-8", "{}", 200),
        (tuning, Some(&key), json_kind, good, 200),
        (&actions["first-boot"], Some(&key), json_kind, "{\"status\": \"success\"}", 200),
        (tuning, Some(&key), json_kind, "{\"status\": \"Success\", \"details\": []}", 200),
        (tuning, Some(&key), json_kind, "{}", 409),
        (tuning, Some(&key), json_kind, good, 409),
        (tuning, Some(&key), json_kind, "{", 400),
        (tuning, Some(&other), json_kind, good, 403),
    ] {
        let answer = post(action, given, kind, body).await;
        assert_eq!(answer.status, status, "{action} {given:?} {kind} {body}: {}", answer.text());
        if status != 200 {
            assert!(answer.json()["title"].as_str().unwrap().starts_with(&status.to_string()), "{}", answer.text());
        }
    }

    let task = api.ended(&id, PATIENCE).await;
    assert_eq!(task["result"]["status"], "partial_success", "{task:#}");
    assert_eq!(task["result"]["successes"], json!(["cmp-02", "ctl-01", "sto-01"]));
    assert_eq!(task["result"]["failures"], json!(["cmp-01"]));
    // Details of reports are on the node's own part.
    let tree = api.get(&format!("/tasks/{id}?layers=-1&subtaskerrors=true&builddata=true")).await.json();
    let part = tree.as_object().unwrap().values().find(|task| {
        task["action"] == "deploy_node" && task["node_filter"]["filter_set"][0]["node_names"] == json!(["cmp-02"])
    });
    let said: Vec<Value> = part.unwrap()["result"]["details"]["messageList"].as_array().unwrap().clone();
    let reported: Vec<&Value> = said.iter().filter(|message| message["context_type"] == "bootaction").collect();
    assert_eq!(reported.len(), 1, "{said:#?}");
    assert_eq!((&reported[0]["context"], &reported[0]["extra"]), (&json!(tuning), &json!({"more": 1})));
    assert!(tree["subtask_errors"].as_object().unwrap().len() >= 2, "{tree:#}");

    // A new deployment replaces the node's key; the old one opens nothing but its old reports.
    let again = api.start("deploy_nodes", SITE, Some(&["cmp-02"])).await;
    wait_until("there is another key", || async { (boot_context(&bed, "cmp-02").await.0 != key).then_some(()) }).await;
    let sent = Sent::new("GET", "/api/v1.0/bootactions/nodes/cmp-02/files").header("x-bootaction-key", &key);
    assert_eq!(bed.send(sent).await.status, 403);
    assert_eq!(post(tuning, Some(&key), json_kind, "{}").await.status, 409);
    super::call(&bed, "POST", &format!("/tasks/{again}/terminate")).await;
    let ended = api.ended(&again, PATIENCE).await;
    assert_eq!((&ended["status"], &ended["terminated_by"]), (&json!("terminated"), &json!("operator")));

    let task = api.run("destroy_nodes", SITE, Some(&nodes)).await;
    assert_eq!(task["result"]["status"], "success", "{task:#}");
    assert_eq!(api.get("/nodes").await.json(), json!([]));
}
