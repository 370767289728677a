//! Amphora on the real host, as its example configures it: octavia's driver, Debian's haproxy, traffic.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugbay_tests::{Bed, Process, component, free_port, with_section};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::process::Command;
use tokio::sync::Notify;

use crate::octavia::{AMPHORA, Controller, SCENARIOS, Step, differences};

/// What the driver takes the amphora's base directory for; the plugin rewrites it.
const BASE: &str = "/var/lib/octavia";

/// The example's configuration, with the certificates of this controller, and where heartbeats may go.
pub fn bed(controller: &Controller) -> (Bed, u16) {
    let bed = Bed::example("amphora");
    let heartbeats = free_port();
    bed.change_config("127.0.0.1:5555", &format!("127.0.0.1:{heartbeats}"));
    // Every start of haproxy touches a TLS cache that is two fifths of this.
    bed.change_config("memory = \"1GiB\"", "memory = \"512MiB\"");
    for (from, to) in [("server.pem", "data/plugins/amphora/server.pem"), ("client_ca.pem", "data/pki/client-ca.crt")] {
        let to = bed.path().join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(controller.file(from), to).unwrap();
    }
    bed.install("amphora", &component("amphora"));
    (bed, heartbeats)
}

async fn serving(controller: &Controller) -> (Bed, u16) {
    let (mut bed, heartbeats) = bed(controller);
    bed.start().await;
    assert_eq!(bed.status("amphora").last_error, None);
    (bed, heartbeats)
}

/// What curl says to a request of the controller's: the status, the type and the body.
pub async fn curl(controller: &Controller, port: u16, arguments: &[&str], path: &str) -> (String, String, String) {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--http1.1", "--path-as-is", "-w", "\n%{http_code}\n%{content_type}", "--cacert"])
        .arg(controller.file("server_ca.pem"));
    curl.arg("--cert").arg(controller.file("client.pem")).args(["--resolve", &format!("{AMPHORA}:{port}:127.0.0.1")]);
    let output = curl.args(arguments).arg(format!("https://{AMPHORA}:{port}{path}")).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = text.rsplitn(3, '\n');
    let (kind, status) = (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
    (status, kind, parts.next().unwrap_or_default().to_owned() + &String::from_utf8_lossy(&output.stderr))
}

fn result<'a>(steps: &'a [Step], scenario: &str) -> &'a Value {
    &steps.iter().find(|step| step.scenario == scenario).unwrap().result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octavias_driver_finds_no_difference_to_octavias_agent() {
    let Some(controller) = Controller::new().await else { return };
    let (bed, heartbeats) = serving(&controller).await;
    let heartbeats = heartbeats.to_string();
    let more = ["--reloads", "200", "--heartbeat-port", &heartbeats];
    let steps = controller.drive(bed.address().port(), &SCENARIOS, Path::new(BASE), &more).await;
    assert_eq!(differences(&steps), "");
    assert!(steps.iter().all(|step| step.retries == 0), "{steps:?}");
    assert_eq!(result(&steps, "reloads")["failed"], 0, "requests failed while haproxy was reloaded");
    println!("reloads: {}", result(&steps, "reloads"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_serves_on_while_the_host_is_killed_and_the_next_host_knows_it() {
    let Some(controller) = Controller::new().await else { return };
    let (bed, _) = bed(&controller);
    let store = bed.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let ports = [free_port(), free_port()].map(|port| port.to_string());
    let member = free_port();
    let members = tokio::net::TcpListener::bind(("127.0.0.1", member)).await.unwrap();
    let rest = Arc::new(Notify::new());
    let gate = rest.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = members.accept().await {
            tokio::spawn(answer(stream, gate.clone()));
        }
    });
    let (member, store) = (format!("127.0.0.1:{member}"), store.to_str().unwrap().to_owned());
    let more = ["--http-port", &ports[0], "--tls-port", &ports[1], "--member", &member, "--store", &store];

    let host = Process::start(&bed).await;
    controller.drive(host.address.port(), &["create"], Path::new(BASE), &more).await;
    let ask = async || {
        let output =
            Command::new("curl").args(["-sS", &format!("http://127.0.0.1:{}/", ports[0])]).output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(ask().await, "here");
    let pid = haproxy(&bed);
    host.kill().await;
    assert_eq!(ask().await, "here", "haproxy went with the host");

    let host = Process::start(&bed).await;
    assert_eq!(haproxy(&bed), pid);
    let (_, _, details) = curl(&controller, host.address.port(), &[], "/1.0/details").await;
    let details: Value = serde_json::from_str(&details).unwrap();
    assert_eq!(details["haproxy_count"], 1, "{details}");
    // The controller goes on as if nothing had been: a reload of the same process, no start. What began before it ends well.
    let mut slow = TcpStream::connect(format!("127.0.0.1:{}", ports[0])).await.unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut begun = Vec::new();
    while !begun.ends_with(b"he") {
        assert_ne!(slow.read_buf(&mut begun).await.unwrap(), 0, "{begun:?}");
    }
    controller.drive(host.address.port(), &["create"], Path::new(BASE), &more).await;
    assert_eq!((ask().await.as_str(), haproxy(&bed)), ("here", pid));
    rest.notify_one();
    slow.read_to_end(&mut begun).await.unwrap();
    assert!(begun.ends_with(b"here"), "{}", String::from_utf8_lossy(&begun));
    controller.drive(host.address.port(), &["create", "delete-last"], Path::new(BASE), &more).await;
    assert!(!Path::new(&format!("/proc/{pid}/exe")).exists(), "it runs on");
    host.terminate().await;
}

/// Heartbeats on their way to this socket, by versions that follow each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_go_on_over_swaps_of_the_plugin_and_none_is_sent_twice() {
    const SWAPS: u8 = 12;
    let Some(controller) = Controller::new().await else { return };
    let (mut bed, heartbeats) = bed(&controller);
    let socket = UdpSocket::bind(("127.0.0.1", heartbeats)).await.unwrap();
    let agent = format!(
        "agent = {{ amphora_id = \"{AMPHORA}\", heartbeat_key = \"k\", heartbeat_interval = 1, \
         controller_ip_port_list = [\"127.0.0.1:{heartbeats}\"] }}\nkeepalived_shell ="
    );
    bed.change_config("keepalived_shell =", &agent);
    bed.start().await;
    let (plugin, mut digest) = (component("amphora"), bed.status("amphora").digest);

    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move { while tell.send(heartbeat(&socket).await).is_ok() {} });
    let mut all = vec![told.recv().await.unwrap()];
    for swap in 0..SWAPS {
        bed.install("amphora", &with_section(&plugin, &[swap]));
        let next = bed.until("the next version serves", "amphora", |status| status.digest != digest).await;
        assert_eq!(next.last_error, None);
        digest = next.digest;
        all.push(told.recv().await.unwrap());
    }
    while let Ok(more) = told.try_recv() {
        all.push(more);
    }
    all.push(told.recv().await.unwrap());
    let waits: Vec<Duration> = all.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    println!("{SWAPS} swaps, {} heartbeats, between them {waits:.2?}", all.len());
    assert!(all.iter().all(|(_, message)| message["id"] == AMPHORA && message["ver"] == 3));
    // The interval is a second, of which half counts as over.
    assert!(waits.iter().all(|wait| *wait > Duration::from_millis(450)), "sent twice");
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(5)), "a controller would take it for dead");
}

/// The next heartbeat, and when it came.
async fn heartbeat(socket: &UdpSocket) -> (Instant, Value) {
    let mut datagram = [0; 65_536];
    let length = tokio::time::timeout(plugbay_tests::PATIENCE, socket.recv(&mut datagram)).await;
    let packed = &datagram[..length.unwrap().unwrap() - 64];
    let (at, mut text) = (Instant::now(), String::new());
    flate2::read::ZlibDecoder::new(packed).read_to_string(&mut text).unwrap();
    (at, serde_json::from_str(&text).unwrap())
}

/// A web server whose answer is always the same; the second half of `/slow` waits.
async fn answer(mut stream: TcpStream, gate: Arc<Notify>) {
    let mut head = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut head).await {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhe").await;
        if head[..length].starts_with(b"GET /slow") {
            gate.notified().await;
        }
        if stream.write_all(b"re").await.is_err() {
            return;
        }
    }
}

/// The process number that the host has of the only load balancer.
fn haproxy(bed: &Bed) -> u64 {
    let folder = bed.path().join("data/programs/amphora");
    let mut records = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let record = records.find(|path| path.extension().is_some_and(|extension| extension == "json")).unwrap();
    let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    record["pid"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hostile_or_broken_is_refused_and_changes_nothing() {
    let Some(controller) = Controller::new().await else { return };
    let (bed, _) = serving(&controller).await;
    let port = bed.address().port();
    let good = format!(
        "global\n    stats socket {BASE}/lb1.sock mode 0666 level user\ndefaults\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\nfrontend 11111111-1111-4111-8111-111111111111\n    mode http\n    bind 127.0.0.1:{}\n",
        free_port()
    );
    let put = async |config: &str, id: &str| {
        let path = format!("/1.0/loadbalancer/{AMPHORA}/{id}/haproxy");
        curl(&controller, port, &["-X", "PUT", "-H", "content-type:", "--data-binary", config], &path).await
    };
    let (status, _, body) = put(&good, "lb1").await;
    assert_eq!(status, "202", "{body}");
    let (status, _, body) = curl(&controller, port, &["-X", "PUT"], "/1.0/loadbalancer/lb1/start").await;
    assert_eq!(status, "202", "{body}");
    let pid = haproxy(&bed);

    // What would run a program or load code, and what haproxy itself refuses.
    for (line, word) in [
        ("program evil\n    command /bin/touch /tmp/evil\n", "program"),
        ("global\n    lua-load /tmp/evil.lua\n", "lua-load"),
        ("backend b\n    option external-check\n    external-check command /bin/touch\n", "external-check"),
        (
            "frontend x\n    mode http\n    bind 127.0.0.1:1 ssl crt-list /var/lib/octavia/certs/lb1/none.pem\n",
            "none.pem",
        ),
        ("nonsense\n", "nonsense"),
    ] {
        let (status, kind, body) = put(&format!("{good}{line}"), "lb1").await;
        assert!(status == "400" && kind == "application/json" && body.contains(word), "{line}: {status} {kind} {body}");
    }
    let (_, _, kept) = curl(&controller, port, &[], "/1.0/loadbalancer/lb1/haproxy").await;
    assert_eq!(kept, good);
    assert_eq!(haproxy(&bed), pid);

    // Ways out of the directory.
    for id in ["..", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc", "..%5c..", "lb1%00", "."] {
        let (status, kind, body) = put(&good, id).await;
        assert!(
            ["400", "404", "405"].contains(&status.as_str()) && kind == "application/json",
            "{id}: {status} {kind} {body}"
        );
        for file in ["x.pem", "..%2f..%2fx.pem", "%2e%2e", "a%2fb.pem"] {
            let path = format!("/1.0/loadbalancer/{id}/certificates/{file}");
            let (status, kind, _) = curl(&controller, port, &["-X", "PUT", "--data-binary", "x"], &path).await;
            assert!(["400", "404", "405"].contains(&status.as_str()) && kind == "application/json", "{path}: {status}");
        }
    }
    assert!(!bed.path().join("data/plugins/haproxy.cfg").exists() && !bed.path().join("data/plugins/x.pem").exists());

    for (method, path, expected) in [
        ("PUT", "/1.0/loadbalancer/lb1/explode", "400"),
        ("PUT", "/1.0/loadbalancer/other/reload", "404"),
        ("GET", "/1.0/nothing", "404"),
        ("GET", "/0.5/info", "404"),
        ("DELETE", "/1.0/info", "405"),
        ("GET", "/1.0/loadbalancer/lb1/certificates/absent.pem", "404"),
        ("PUT", "/1.0/vrrp/explode", "400"),
    ] {
        let (status, kind, body) = curl(&controller, port, &["-X", method], path).await;
        assert_eq!((status.as_str(), kind.as_str()), (expected, "application/json"), "{method} {path}: {body}");
    }

    // keepalived with a script that nobody listed.
    let vrrp = "vrrp_script check {\n    script \"/bin/touch /tmp/evil\"\n}\n";
    let (status, _, body) = curl(&controller, port, &["-X", "PUT", "--data-binary", vrrp], "/1.0/vrrp/upload").await;
    assert!(status == "400" && body.contains("script"), "{status} {body}");

    // A certificate of another authority, and none: no answer at all.
    let other = Controller::new().await.unwrap();
    for arguments in [vec!["--cert".to_owned(), other.file("client.pem").display().to_string()], Vec::new()] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--resolve", &format!("{AMPHORA}:{port}:127.0.0.1"), "--cacert"])
            .arg(controller.file("server_ca.pem"));
        let output = curl.args(&arguments).arg(format!("https://{AMPHORA}:{port}/")).output().await.unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
    assert!(!Path::new("/tmp/evil").exists());
    let (status, _, body) = curl(&controller, port, &["-X", "DELETE"], "/1.0/listeners/lb1").await;
    assert_eq!(status, "200", "{body}");
    let (status, ..) = curl(&controller, port, &["-X", "DELETE"], "/1.0/listeners/lb1").await;
    assert_eq!(status, "200");
}
