//! OCCI on the real host, as its example configures it: machines of QEMU, with guests of one sector.

use std::path::{Path, PathBuf};

use plugbay_tests::{Bed, Process, component, with_section};
use serde_json::Value;
use tokio::process::Command;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");
const PROGRAMS: [&str; 2] = ["/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img"];

/// The example, in which guests have three seconds to leave; none where there is no QEMU. Under CI there is.
pub fn bed() -> Option<Bed> {
    let missing: Vec<&&str> = PROGRAMS.iter().filter(|program| !Path::new(program).exists()).collect();
    if !missing.is_empty() {
        assert!(
            !std::env::var("CI").is_ok_and(|ci| ci == "true"),
            "installable, and has to be there under CI: {missing:?}"
        );
        println!("skipped: not installed: {missing:?}");
        return None;
    }
    let bed = Bed::example("occi");
    bed.change_config("patience = 60 ", "patience = 3 ");
    bed.install("occi", &component("occi"));
    Some(bed)
}

fn private(bed: &Bed) -> PathBuf {
    bed.path().join("data/plugins/occi")
}

/// What a script says: a line for each scenario. Machines are left to the operator if it fails.
pub async fn script(bed: &Bed, name: &str, port: u16, token: &str, arguments: &[&str]) -> Vec<Value> {
    let mut script = Command::new("python3");
    script
        .arg(format!("{SCRIPTS}/{name}.py"))
        .args(arguments)
        .arg("--url")
        .arg(format!("http://127.0.0.1:{port}"))
        .arg("--data")
        .arg(private(bed));
    let output = script.args(["--token", token]).kill_on_drop(true).output().await.unwrap();
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} {arguments:?}: {said}{why}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn drive(bed: &Bed, port: u16, token: &str, scenario: &str, facts: Option<&Value>) -> Vec<Value> {
    let facts = facts.map(ToString::to_string);
    let facts = facts.iter().flat_map(|facts| ["--facts", facts.as_str()]);
    script(bed, "occi_machine", port, token, &[scenario].into_iter().chain(facts).collect::<Vec<_>>()).await
}

/// What outlives a host would outlive the test, too: ended when dropped.
pub struct Machines(PathBuf);

impl Machines {
    pub fn of(bed: &Bed) -> Self {
        Self(bed.path().join("data/programs/occi"))
    }

    /// Process numbers of those that run.
    pub fn running(&self) -> Vec<rustix::process::Pid> {
        let records = std::fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path());
        let records = records.filter(|path| path.extension().is_some_and(|end| end == "json"));
        let records =
            records.map(|path| serde_json::from_slice(&std::fs::read(path).unwrap_or_default()).unwrap_or_default());
        let pids =
            records.filter(|record: &Value| record["ended"].is_null()).filter_map(|record| record["pid"].as_i64());
        pids.filter_map(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)).collect()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for pid in self.running() {
            println!("still ran: {pid:?}");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// The slowest of what was measured as this, in milliseconds.
fn slowest(scenario: &Value, what: &str) -> f64 {
    let measured = &scenario["milliseconds"][what];
    let values = measured.as_array().cloned().unwrap_or_else(|| vec![measured.clone()]);
    values.iter().map(|value| value.as_f64().unwrap()).fold(0.0, f64::max)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_go_through_their_whole_life_and_the_api_says_what_qmp_says() {
    let Some(mut bed) = bed() else { return };
    let machines = Machines::of(&bed);
    let token = bed.token("ann", &[]);
    bed.start().await;
    assert_eq!(bed.status("occi").last_error, None);
    let said = drive(&bed, bed.address().port(), &token, "all", None).await;
    for scenario in &said {
        println!("{scenario}");
    }
    // The bar is 200 ms from an action of QMP to the state; where a process is started or ended, that is its own time.
    for what in ["suspend-suspend", "restart-warm"] {
        assert!(slowest(&said[0], what) < 200.0, "{what}: {}", said[0]);
    }
    for what in ["paused", "resumed", "killed", "powered off"] {
        assert!(slowest(&said[2], what) < 200.0, "{what}: {}", said[2]);
    }
    assert_eq!(machines.running(), [], "the script deleted what it started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_of_cdmi_is_a_disk_of_machines_and_what_they_write_is_read_through_cdmi() {
    let Some(mut bed) = bed() else { return };
    let machines = Machines::of(&bed);
    let token = bed.token("ann", &[]);
    bed.start().await;
    let said = script(&bed, "occi_disks", bed.address().port(), &token, &[]).await;
    println!("{said:?}");
    assert_eq!(machines.running(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_survive_a_host_that_is_killed_and_a_swap_of_the_plugin() {
    let Some(bed) = bed() else { return };
    let machines = Machines::of(&bed);
    let token = bed.token("ann", &[]);
    let host = Process::start(&bed).await;
    let facts = drive(&bed, host.address.port(), &token, "before", None).await.remove(0);
    host.kill().await;
    drive(&bed, 0, &token, "between", Some(&facts)).await;
    // The next host has another build of the plugin, too.
    bed.install("occi", &with_section(&component("occi"), b"other"));
    let host = Process::start(&bed).await;
    let said = drive(&bed, host.address.port(), &token, "after", Some(&facts)).await;
    println!("{said:?}");
    assert_eq!(machines.running(), []);
    host.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_run_on_while_the_plugin_is_swapped() {
    let Some(mut bed) = bed() else { return };
    let machines = Machines::of(&bed);
    let token = bed.token("ann", &[]);
    bed.start().await;
    let port = bed.address().port();
    let facts = drive(&bed, port, &token, "before", None).await.remove(0);
    let old = bed.status("occi").digest;
    bed.install("occi", &with_section(&component("occi"), b"other"));
    bed.until("the other build serves", "occi", |status| status.digest != old).await;
    drive(&bed, port, &token, "between", Some(&facts)).await;
    drive(&bed, port, &token, "after", Some(&facts)).await;
    assert_eq!(machines.running(), []);
}

#[tokio::test]
async fn a_qemu_that_does_not_start_is_an_error_and_nothing_else_is_used_instead() {
    let Some(mut bed) = bed() else { return };
    bed.change_config("path = \"/usr/bin/qemu-system-x86_64\"", "path = \"/usr/bin/false\"");
    let _machines = Machines::of(&bed);
    let token = bed.token("ann", &[]);
    bed.start().await;
    let sent = |method: &str, path: &str| plugbay_tests::Sent::new(method, path).header("x-auth-token", &token);
    let categories = bed.send(sent("GET", "/-/")).await.text().to_owned();
    assert!(categories.contains("Category: qemu;") && !categories.contains("Embedded"), "{categories}");
    let compute = "compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"";
    let made =
        bed.send(sent("POST", "/compute/").header("content-type", "text/occi").header("category", compute)).await;
    let path = made.header("location").rsplit_once("/compute/").map(|(_, id)| format!("/compute/{id}")).unwrap();
    let started = bed.send(sent("POST", &format!("{path}?action=start"))).await;
    assert!(started.text().contains("occi.compute.state=\"error\""), "{}", started.text());
}
