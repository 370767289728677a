//! OCCI's machines from images of a Glance service: Plankton on the same host, a service that is gone, and one that is silent.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use plugbay_tests::{Bed, Sent, component, wait_until};
use serde_json::Value;

use super::occi::{Machines, bed, script};

/// The bed with a service of images at this port: Plankton, if `served`.
fn with_service(port: u16, served: bool) -> Option<Bed> {
    let bed = bed()?;
    bed.change_config("allow = []", &format!("allow = [\"http://127.0.0.1:{port}\"]"));
    bed.change_config("\"process\", \"http-client\"]\n", "\"process\", \"http-client\", \"secrets\"]\n");
    let mut more = format!(
        r#"
[plugin.occi.secrets.images]
kind = "header"
header = "X-Auth-Token"
file = "images.token"
destinations = ["http://127.0.0.1:{port}"]

[plugin.occi.config.glance]
url = "http://127.0.0.1:{port}/v1"
credential = "images"
"#
    );
    if served {
        more += &format!(
            r#"
[[listener]]
name = "images"
bind = "127.0.0.1:{port}"

[plugin.plankton]
mounts = [{{ listener = "images", surface = "glance", auth = "occi" }}]
"#
        );
        bed.install("plankton", &component("plankton"));
    }
    bed.change_config("[plugin.occi.limits]", &format!("{more}\n[plugin.occi.limits]"));
    Some(bed)
}

/// The operator's token for the service.
fn give_token(bed: &Bed) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let token = bed.token("images", &[]);
    let file = bed.path().join("images.token");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).unwrap();
    file.write_all(token.as_bytes()).unwrap();
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_start_from_images_of_plankton_over_http() {
    let port = free_port();
    let Some(mut bed) = with_service(port, true) else { return };
    give_token(&bed);
    let machines = Machines::of(&bed);
    let token = bed.token("ann", &[]);
    bed.start().await;
    for plugin in ["occi", "plankton"] {
        assert_eq!(bed.status(plugin).last_error, None);
    }
    let glance = format!("http://127.0.0.1:{port}");
    let at = bed.address().port();
    let said = script(&bed, "occi_images", at, &token, &["offered", "--glance", &glance]).await;
    println!("{said:?}");
    // Without the service.
    std::fs::remove_file(bed.plugin_file("plankton")).unwrap();
    wait_until("plankton is gone", async || {
        let answer = Sent::new("GET", "/v1/images").to(format!("127.0.0.1:{port}").parse().unwrap()).await;
        (answer.status == 404 || answer.status == 503).then_some(())
    })
    .await;
    let facts = said[0].to_string();
    let said = script(&bed, "occi_images", at, &token, &["silent", "--glance", &glance, "--facts", &facts]).await;
    println!("{said:?}");
    assert_eq!(machines.running(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_images_that_does_not_answer_delays_nobody() {
    // It takes connections, and never says anything.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let Some(mut bed) = with_service(silent.local_addr().unwrap().port(), false) else { return };
    give_token(&bed);
    let _machines = Machines::of(&bed);
    let token = bed.token("ann", &[]);
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            held.push(connection);
        }
    });
    bed.start().await;
    let sent = |method: &str, path: &str| {
        Sent::new(method, path).header("x-auth-token", &token).header("accept", "application/occi+json")
    };
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(bed.send(sent("GET", "/-/")).await.status, 200);
        slowest = slowest.max(begun.elapsed());
    }
    println!("the slowest look at the query interface took {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let compute = "http://schemas.ogf.org/occi/infrastructure#compute";
    let body = serde_json::json!({"resources": [{"kind": compute, "attributes": {"occi.compute.memory": 0.0625}}]});
    let json = |method: &str, path: &str, body: &Value| {
        sent(method, path).header("content-type", "application/occi+json").body(body.to_string())
    };
    let made = bed.send(json("POST", "/compute/", &body)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = made.header("location").rsplit_once("/compute/").map(|(_, id)| format!("/compute/{id}")).unwrap();
    let start = serde_json::json!({"action": "http://schemas.ogf.org/occi/infrastructure/compute/action#start"});
    let begun = Instant::now();
    let started = bed.send(json("POST", &format!("{path}?action=start"), &start)).await;
    assert_eq!(started.json()["attributes"]["occi.compute.state"], "active", "{}", started.text());
    println!("a machine started in {:?}", begun.elapsed());
    assert_eq!(bed.send(sent("DELETE", &path)).await.status, 200);
    held.abort();
}
