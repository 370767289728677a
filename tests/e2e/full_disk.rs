//! A disk that is full: what does not fit is refused, what was acknowledged stays, the host goes on.

use std::path::Path;
use std::process::Stdio;

use plugbay_tests::{Bed, Process, Sent, binary, component, marked, wait_until};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A mount namespace with a small disk of its own, held open by a process.
struct Disk(Child);

impl Disk {
    /// A disk of so many MiB at `place`; none where namespaces are not allowed.
    async fn new(place: &Path, size: u32) -> Option<Self> {
        let script = format!("mount -t tmpfs -o size={size}m none \"$1\" && echo mounted && exec sleep 1000000");
        let mut child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"])
            .arg(place)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(child.stdout.take()?).lines();
        lines.next_line().await.ok()??;
        Some(Self(child))
    }

    /// A command that sees the disk.
    fn command(&self, program: &Path) -> Command {
        let id = self.0.id().unwrap().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "--user", "--mount", "--target", &id, "--"]).arg(program);
        command
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    let bed = Bed::new("");
    bed.install("trouble", &marked(1, 1));
    let data = bed.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let Some(disk) = Disk::new(&data, 64).await else {
        println!("skipped: this system allows no mount namespace");
        return;
    };
    let start = async || {
        let mut command = disk.command(&binary());
        command.arg("--config").arg(bed.config_file()).env_remove("RUST_BACKTRACE");
        Process::of(command, "default").await.unwrap_or_else(|log| panic!("the host did not start:\n{log}"))
    };
    let process = start().await;
    let address = process.address;
    let put = async |address, key: u32| {
        let body = vec![b'a' + (key % 26) as u8; 200 * 1024];
        Sent::new("PUT", &format!("/trouble/kv/{key}")).body(body).to(address).await.status.as_u16()
    };
    let mut kept = 0;
    let refused = loop {
        match put(address, kept).await {
            204 => kept += 1,
            other => break other,
        }
        assert!(kept < 1000, "64 MiB were never full");
    };
    assert!((500..600).contains(&refused), "{refused}");
    let all_there = async |address| {
        for key in 0..kept {
            let got = Sent::new("GET", &format!("/trouble/kv/{key}")).to(address).await;
            assert_eq!((got.status.as_u16(), got.body.len()), (200, 200 * 1024), "{key} of {kept}");
        }
    };
    all_there(address).await;
    assert_eq!(Sent::new("GET", "/trouble/label").to(address).await.status, 200);

    // Room again: the same host, or at the latest the next one, writes on.
    let larger = ["mount", "-o", "remount,size=160m"];
    let mut remount = disk.command(Path::new(larger[0]));
    assert!(remount.args(&larger[1..]).arg(&data).status().await.unwrap().success());
    process.kill().await;
    let process = start().await;
    all_there(process.address).await;
    wait_until("writes go on", async || (put(process.address, kept).await == 204).then_some(())).await;
    process.terminate().await;
}

#[tokio::test]
async fn a_file_that_does_not_fit_leaves_nothing_and_what_was_there_stays() {
    let bed = Bed::new("[plugin.machine]\ngrants = [\"filesystem\"]\ndeny = [\"process\", \"system\", \"udp\"]\n");
    bed.install("machine", &component("machine"));
    let data = bed.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let Some(disk) = Disk::new(&data, 160).await else {
        println!("skipped: this system allows no mount namespace");
        return;
    };
    let mut command = disk.command(&binary());
    command.arg("--config").arg(bed.config_file()).env_remove("RUST_BACKTRACE");
    let process = Process::of(command, "default").await.unwrap_or_else(|log| panic!("the host did not start:\n{log}"));
    let post = async |path: &str, body: serde_json::Value| {
        let sent = Sent::new("POST", &format!("/machine/{path}")).header("content-type", "application/json");
        sent.body(body.to_string()).to(process.address).await
    };
    let write = async |kibibytes: u32, zeros: u64| {
        let body = serde_json::json!({"path": "a", "text": "x", "times": kibibytes, "zeros": zeros});
        let answer = post("file", body).await;
        (answer.status.as_u16(), answer.text().to_owned())
    };
    assert_eq!(write(1024, 0).await, (200, (1 << 20).to_string()));
    for _ in 0..3 {
        // 100 MiB beside what has to stay free do not fit, however often it is tried.
        let answer = write(4000, 0).await;
        assert_eq!(answer.0, 200, "4 MiB fit each time: {}", answer.1);
        let body = serde_json::json!({"path": "b", "text": "x".repeat(60), "times": 1700});
        let answer = post("file", body).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (409, "Error::NoSpace"));
    }
    assert_eq!(write(1, 1 << 40).await, (200, ((1u64 << 40) + 1024).to_string()), "holes take no room");
    let read = post("piece", serde_json::json!({"path": "b"})).await;
    assert_eq!(read.text(), "Error::NotFound");
    process.terminate().await;
}
