//! Amphora's ports, rules and keepalived for real: a network namespace with veth pairs, as root.

use std::process::Output;

use plugbay_tests::{Bed, component, free_port, wait_until};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::amphora::{bed, curl};
use crate::octavia::{AMPHORA, Controller};

/// A namespace for load balancers, and spare interfaces outside; gone when dropped.
struct Namespace(String);

impl Namespace {
    async fn new() -> Option<Self> {
        let this = Self(format!("plugbay-{}", free_port()));
        let made = ip(&["netns", "add", &this.0]).await;
        if !made.status.success() {
            println!("skipped: no network namespace can be made here: {}", String::from_utf8_lossy(&made.stderr));
            return None;
        }
        assert!(ip(&["-n", &this.0, "link", "set", "lo", "up"]).await.status.success());
        Some(this)
    }

    /// A new interface outside, with this hardware address; its other end is up.
    async fn interface(&self, name: &str, mac: &str) {
        let (ours, theirs) = (format!("{name}-{}", &self.0[8..]), format!("p{name}-{}", &self.0[8..]));
        let made = ip(&["link", "add", &ours, "address", mac, "type", "veth", "peer", "name", &theirs]).await;
        assert!(made.status.success(), "{made:?}");
        assert!(ip(&["link", "set", &theirs, "up"]).await.status.success());
    }

    async fn inside(&self, arguments: &[&str]) -> String {
        let output = ip(&[&["-n", &self.0], arguments].concat()).await;
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Interfaces inside go with it, and their other ends with them.
        let _ = std::process::Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

async fn ip(arguments: &[&str]) -> Output {
    Command::new("ip").args(arguments).output().await.unwrap()
}

async fn serving(controller: &Controller, namespace: &Namespace) -> Bed {
    let (mut bed, _) = bed(controller);
    let name = &namespace.0;
    bed.change_config("keepalived_shell =", &format!("network_namespace = \"{name}\"\nkeepalived_shell ="));
    for program in ["haproxy", "keepalived", "ipvsadm"] {
        let path = format!("path = \"/usr/sbin/{program}\"\n");
        bed.change_config(&path, &format!("{path}network_namespace = \"{name}\"\n"));
    }
    let more = [
        ("ip", "/usr/sbin/ip", "read = [\"/run/netns\"]".to_owned()),
        ("ip-inside", "/usr/sbin/ip", format!("network_namespace = \"{name}\"")),
        ("nft", "/usr/sbin/nft", format!("network_namespace = \"{name}\"")),
    ];
    let more =
        more.map(|(name, path, line)| format!("[plugin.amphora.programs.{name}]\npath = \"{path}\"\n{line}\n\n"));
    bed.change_config("[plugin.amphora.config]", &format!("{}[plugin.amphora.config]", more.concat()));
    bed.install("amphora", &component("amphora"));
    bed.start().await;
    assert_eq!(bed.status("amphora").last_error, None);
    bed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_plugged_rules_loaded_and_keepalived_holds_the_vip() {
    let Some(controller) = Controller::new().await else { return };
    let Some(namespace) = Namespace::new().await else { return };
    let bed = serving(&controller, &namespace).await;
    let port = bed.address().port();
    let send = async |method: &str, path: &str, body: &str| {
        let (status, _, answer) = curl(&controller, port, &["-X", method, "--data-binary", body], path).await;
        (status, answer)
    };
    let (vip_mac, port_mac) = ("02:77:00:00:00:01", "02:77:00:00:00:02");
    let plug = |mac: &str| {
        json!({"subnet_cidr": "10.77.0.0/24", "gateway": null, "mac_address": mac, "vrrp_ip": "10.77.0.4", "mtu": 1400})
            .to_string()
    };

    // No such port yet: the driver waits for exactly this.
    let (status, answer) = send("POST", "/1.0/plug/vip/10.77.0.5", &plug(vip_mac)).await;
    assert_eq!((status.as_str(), answer.contains("No suitable network interface found")), ("404", true), "{answer}");
    namespace.interface("v", vip_mac).await;
    let (status, answer) = send("POST", "/1.0/plug/vip/10.77.0.5", &plug(vip_mac)).await;
    assert_eq!(
        (status.as_str(), answer.contains("VIPs plugged on interface eth1: 10.77.0.5")),
        ("202", true),
        "{answer}"
    );
    let addresses = namespace.inside(&["address", "show", "eth1"]).await;
    for part in ["10.77.0.4/24", "10.77.0.5/32", "mtu 1400", vip_mac] {
        assert!(addresses.contains(part), "{part}: {addresses}");
    }
    assert_eq!(send("POST", "/1.0/plug/vip/10.77.0.5", &plug(vip_mac)).await.0, "409");

    namespace.interface("n", port_mac).await;
    let fixed =
        json!({"mac_address": port_mac, "fixed_ips": [{"ip_address": "10.78.0.4", "subnet_cidr": "10.78.0.0/24"}]});
    let (status, answer) = send("POST", "/1.0/plug/network", &fixed.to_string()).await;
    assert_eq!((status.as_str(), answer.contains("Plugged on interface eth2")), ("202", true), "{answer}");
    let (status, answer) = send("POST", "/1.0/plug/network", &fixed.to_string()).await;
    assert_eq!((status.as_str(), answer.contains("Updated existing interface eth2")), ("202", true), "{answer}");

    let (status, answer) = send("GET", "/1.0/interface/10.78.0.4", "").await;
    assert_eq!((status.as_str(), answer.contains("\"eth2\"")), ("200", true), "{answer}");
    assert_eq!(send("GET", "/1.0/interface/10.79.0.1", "").await.0, "404");
    assert_eq!(send("GET", "/1.0/interface/nonsense", "").await.0, "400");
    let (_, details) = send("GET", "/1.0/details", "").await;
    let details: Value = serde_json::from_str(&details).unwrap();
    assert!(details["networks"]["eth1"].is_object() && details["networks"]["eth2"].is_object(), "{details}");

    let rules = json!([{"protocol": "TCP", "cidr": "10.77.0.0/24", "port": 8123}, {"protocol": "VRRP", "cidr": null, "port": 112}]);
    let (status, answer) = send("PUT", "/1.0/interface/10.77.0.4/rules", &rules.to_string()).await;
    assert_eq!(status, "200", "{answer}");
    let list =
        Command::new("ip").args(["netns", "exec", &namespace.0, "nft", "list", "ruleset"]).output().await.unwrap();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("8123"), "{list}");
    assert_eq!(send("PUT", "/1.0/interface/10.77.0.4/rules", "[{\"protocol\": \"ICMP\"}]").await.0, "400");

    // keepalived takes the address, and gives it back.
    let vrrp = "global_defs {\n}\nvrrp_instance one {\n    state MASTER\n    interface eth1\n    virtual_router_id 1\n    \
                priority 100\n    advert_int 1\n    virtual_ipaddress {\n        10.77.0.9/32\n    }\n}\n";
    assert_eq!(send("PUT", "/1.0/vrrp/upload", vrrp).await.0, "200");
    let (status, answer) = send("PUT", "/1.0/vrrp/start", "").await;
    assert_eq!(status, "202", "{answer}");
    let held = async || namespace.inside(&["address", "show", "eth1"]).await.contains("10.77.0.9");
    wait_until("keepalived holds the address", async || held().await.then_some(())).await;
    assert_eq!(send("PUT", "/1.0/vrrp/reload", "").await.0, "202");
    assert_eq!(send("PUT", "/1.0/vrrp/stop", "").await.0, "202");
    wait_until("keepalived gave the address back", async || (!held().await).then_some(())).await;

    // A load balancer serves where the VIP is.
    let config = format!(
        "global\n    stats socket /var/lib/octavia/lb1.sock\ndefaults\n    timeout client 1s\n    timeout server 1s\n    \
         timeout connect 1s\nfrontend {AMPHORA}\n    mode http\n    bind 10.77.0.5:80\n    http-request return status 200 content-type text/plain string here\n"
    );
    let (status, answer) = send("PUT", &format!("/1.0/loadbalancer/{AMPHORA}/lb1/haproxy"), &config).await;
    assert_eq!(status, "202", "{answer}");
    let (status, answer) = send("PUT", "/1.0/loadbalancer/lb1/reload", "").await;
    assert_eq!(status, "202", "{answer}");
    let asked =
        Command::new("ip").args(["netns", "exec", &namespace.0, "curl", "-sS", "http://10.77.0.5/"]).output().await;
    assert_eq!(String::from_utf8_lossy(&asked.unwrap().stdout), "here");
    assert_eq!(send("DELETE", "/1.0/listeners/lb1", "").await.0, "200");
}
