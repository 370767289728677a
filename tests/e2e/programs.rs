//! Programs, numbers and datagrams: granted by an operator, confined, known again (rules 2 and 5).

use std::path::Path;

use plugbay::plugin::State;
use plugbay_tests::{Answer, Bed, Process, Sent, component, wait_until, with_section};
use serde_json::{Value, json};

const GRANTS: &str = r#"
[plugin.machine]
grants = ["process", "system", "udp", "filesystem"]
[plugin.machine.programs]
sh = { path = "/bin/sh", execute = ["/bin/sleep", "/bin/cat"] }
cat = { path = "/bin/cat" }
sleep = { path = "/bin/sleep" }
"#;

async fn bed() -> Bed {
    Bed::serving("machine", &component("machine"), GRANTS).await
}

fn post(path: &str, body: &Value) -> Sent {
    Sent::new("POST", &format!("/machine/{path}")).header("content-type", "application/json").body(body.to_string())
}

fn value(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(answer.text()).unwrap()
}

async fn asked(bed: &Bed, path: &str) -> Value {
    value(&bed.get(&format!("/machine/{path}")).await)
}

async fn done(bed: &Bed, path: &str, body: Value) -> Value {
    value(&bed.send(post(path, &body)).await)
}

/// The words of a refusal by the capability.
async fn refused(bed: &Bed, path: &str, body: Value) -> String {
    let answer = bed.send(post(path, &body)).await;
    assert_eq!(answer.status, 409, "{path}: {}", answer.text());
    answer.text().to_owned()
}

fn alive(pid: &Value) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn a_plugin_that_was_granted_nothing_is_not_loaded_and_one_that_was_denied_is_told_so() {
    let mut bed = Bed::new("[plugin.other]\ndeny = [\"process\", \"system\", \"udp\"]\n");
    bed.install("machine", &component("machine"));
    bed.install("other", &component("machine"));
    bed.start().await;
    let reason = bed.until("it is refused", "machine", |status| status.last_error.is_some()).await.last_error.unwrap();
    for interface in ["process", "system", "udp"] {
        assert!(reason.contains(&format!("add \"{interface}\" to `grants`")), "{reason}");
    }
    bed.until("the other serves", "other", |status| status.state == State::Serving).await;
    for path in ["run/cat", "start/a/sleep", "datagram/127.0.0.1:9"] {
        let answer = bed.send(Sent::new("POST", &format!("/other/{path}")).body("[]")).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (409, "Error::Denied"));
    }
    assert_eq!(bed.get("/other/system").await.text(), "Error::Denied");
}

#[tokio::test]
async fn a_program_that_is_not_listed_or_not_there_is_refused() {
    let bed = bed().await;
    assert!(refused(&bed, "run/ls", json!([])).await.contains("\"ls\\\" is not listed"));
    assert!(refused(&bed, "start/.a/sleep", json!([])).await.contains("name"));
    assert!(refused(&bed, "run/cat", json!(["a\0b"])).await.contains("NUL"));

    let mut wrong =
        Bed::new("[plugin.machine]\ngrants = [\"process\"]\nprograms.gone = { path = \"/no/such/program\" }\n");
    wrong.install("machine", &component("machine"));
    wrong.start().await;
    let unready = wrong.host().registry().unready();
    assert!(unready.iter().any(|line| line.starts_with("machine")), "{unready:?}");
}

#[tokio::test]
async fn what_runs_sees_its_directory_and_nothing_else() {
    let bed = bed().await;
    let directory = asked(&bed, "directory").await;
    assert_eq!(
        directory.as_str().unwrap(),
        bed.path().join("data/plugins/machine").canonicalize().unwrap().to_str().unwrap()
    );
    let put = Sent::new("PUT", "/machine/file/note").body("kept");
    assert_eq!(bed.send(put).await.status, 200);
    let own = done(&bed, "run/cat", json!(["note"])).await;
    assert_eq!(own, json!({"status": 0, "signal": null, "stdout": "kept", "stderr": ""}));
    let input = done(&bed, "run/cat", json!(["-"])).await;
    assert_eq!(input["stdout"], "input");

    // The host's own files, whoever it runs as, and what is not listed.
    let configuration = bed.config_file();
    let other = done(&bed, "run/cat", json!([configuration])).await;
    assert!(other["status"] == 1 && other["stderr"].as_str().unwrap().contains("Permission denied"), "{other}");
    let listed = done(&bed, "run/sh", json!(["-c", "/bin/ls; /bin/cat note; env"])).await;
    assert!(listed["stderr"].as_str().unwrap().contains("Permission denied"), "{listed}");
    assert!(listed["stdout"].as_str().unwrap().starts_with("kept"), "{listed}");

    let outside = refused(&bed, "dialogue/..%2F..%2Fadmin.sock", json!("")).await;
    assert!(outside.starts_with("Error::Invalid") || outside.starts_with("Error::NotFound"), "{outside}");
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_told_once_and_leaves_no_zombie() {
    let bed = bed().await;
    assert_eq!(asked(&bed, "status/a").await, Value::Null);
    let pid = done(&bed, "start/a/sh", json!(["-c", "echo here; exit 7"])).await;
    let told = wait_until("the end is told", async || {
        let told = asked(&bed, "exits/a").await;
        (!told.is_null()).then_some(told)
    })
    .await;
    assert_eq!(told, json!({"times": 1, "status": 7}));
    assert_eq!(asked(&bed, "status/a").await, json!({"status": 7, "signal": null}));
    assert_eq!(asked(&bed, "printed/a").await, "here\n");
    assert!(!alive(&pid), "a zombie");

    let pid = done(&bed, "start/b/sleep", json!(["1000"])).await;
    assert_eq!(asked(&bed, "status/b").await, json!({"running": pid}));
    assert!(refused(&bed, "start/b/sleep", json!(["1000"])).await.contains("running already"));
    done(&bed, "stop/b", json!([])).await;
    assert!(!alive(&pid));
    assert_eq!(asked(&bed, "status/b").await, Value::Null);
    done(&bed, "stop/b", json!([])).await;
    assert!(refused(&bed, "signal/b/15", json!([])).await.starts_with("Error::NotFound"));

    let pid = done(&bed, "start/c/sleep", json!(["1000"])).await;
    done(&bed, "signal/c/9", json!([])).await;
    wait_until("the kill is told", async || (!asked(&bed, "exits/c").await.is_null()).then_some(())).await;
    assert_eq!(asked(&bed, "status/c").await, json!({"status": null, "signal": 9}));
    assert!(!alive(&pid));
    // What was stopped on purpose is nothing to tell, what was told is not told again.
    assert_eq!(asked(&bed, "exits/b").await, Value::Null);
    assert_eq!(asked(&bed, "exits/a").await["times"], 1);
}

#[tokio::test]
async fn a_program_runs_on_while_the_plugin_is_replaced() {
    let bed = bed().await;
    let pid = done(&bed, "start/a/sleep", json!(["1000"])).await;
    let first = bed.status("machine").digest;
    bed.install("machine", &with_section(&component("machine"), b"2"));
    bed.until("the new version serves", "machine", |status| status.digest != first).await;
    assert_eq!(asked(&bed, "status/a").await, json!({"running": pid}));
    done(&bed, "stop/a", json!([])).await;
}

#[tokio::test]
async fn programs_outlive_a_killed_host_and_the_next_one_knows_them() {
    let bed = Bed::new(GRANTS);
    bed.install("machine", &component("machine"));
    let host = Process::start(&bed).await;
    let at = host.address;
    let start = async |name: &str, seconds: &str| {
        value(&post(&format!("start/{name}/sh"), &json!(["-c", format!("sleep {seconds}; exit 3")])).to(at).await)
    };
    let (stays, goes) = (start("stays", "1000").await, start("goes", "1001").await);
    host.kill().await;
    assert!(alive(&stays) && alive(&goes), "they went with the host");
    let pid = rustix::process::Pid::from_raw(i32::try_from(goes.as_i64().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();

    let host = Process::start(&bed).await;
    let get = async |path: &str| value(&Sent::new("GET", &format!("/machine/{path}")).to(host.address).await);
    assert_eq!(get("status/stays").await, json!({"running": stays}));
    // Nobody saw how it ended.
    let told = wait_until("the end is told", async || {
        let told = get("exits/goes").await;
        (!told.is_null()).then_some(told)
    })
    .await;
    assert_eq!(told, json!({"times": 1, "status": null}));
    assert_eq!(get("status/goes").await, json!({"status": null, "signal": null}));
    value(&post("stop/stays", &json!([])).to(host.address).await);
    // It is not a child of this host: init reaps it.
    assert!(
        !alive(&stays) || std::fs::read_to_string(format!("/proc/{stays}/stat")).unwrap_or_default().contains(") Z ")
    );
    host.terminate().await;
}

#[tokio::test]
async fn numbers_are_those_of_the_machine_within_the_programs_limits() {
    let small = GRANTS.replace("}\n", ", limits = { memory = \"64MiB\" } }\n");
    let bed = Bed::serving("machine", &component("machine"), &small).await;
    let numbers = asked(&bed, "system").await;
    assert!(numbers["cpus"].as_u64().unwrap() >= 1 && numbers["ticks"].as_u64().unwrap() > 0, "{numbers}");
    assert!(numbers["disk"].as_u64().unwrap() > 0 && !numbers["hostname"].as_str().unwrap().is_empty());
    let networks = numbers["networks"].as_array().unwrap();
    assert!(networks.iter().any(|one| one["name"] == "lo"), "{numbers}");
    let budget = 64 << 20;
    assert!(numbers["memory"].as_u64().unwrap() <= budget && numbers["room"].as_u64().unwrap() <= budget, "{numbers}");
    assert!(asked(&bed, "networks/cat").await.as_u64().unwrap() >= 1);
    assert_eq!(bed.get("/machine/networks/ls").await.status, 409);
    let revision = asked(&bed, "revision/cat").await;
    assert_eq!(asked(&bed, "revision/cat").await, revision);
    assert_ne!(asked(&bed, "revision/sleep").await, revision);
}

#[tokio::test]
async fn datagrams_go_where_the_operator_says() {
    let receiver = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = receiver.local_addr().unwrap();
    let listed = GRANTS.replace("[plugin.machine]\n", &format!("[plugin.machine]\nudp = [\"{to}\"]\n"));
    let bed = Bed::serving("machine", &component("machine"), &listed).await;
    done(&bed, &format!("datagram/{to}"), json!("hello")).await;
    let mut datagram = [0; 16];
    let length = receiver.recv(&mut datagram).await.unwrap();
    assert_eq!(&datagram[..length], b"\"hello\"");
    let other = format!("127.0.0.1:{}", if to.port() == 53 { 54 } else { 53 });
    assert!(refused(&bed, &format!("datagram/{other}"), json!("")).await.starts_with("Error::Unlisted"));
    assert!(refused(&bed, "datagram/localhost:53", json!("")).await.starts_with("Error::Invalid"));
}
