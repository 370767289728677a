//! Plugged networks, interfaces and rules.

use super::*;
use crate::context::Context;
use crate::machine::Network;
use crate::settings::Settings;

const MAC: &str = "fa:16:3e:00:00:01";

fn with_port(addresses: &[&str]) -> Amphora {
    let amphora = amphora();
    let addresses = addresses.iter().map(|&text| text.to_owned()).collect();
    let port = Network { name: "eth1".into(), mac: Some(MAC.to_uppercase()), addresses, rx: 0, tx: 0 };
    amphora.machine.networks.borrow_mut().push(port);
    amphora
}

fn vip() -> Value {
    json!({"subnet_cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "mac_address": MAC, "vrrp_ip": "10.0.0.7"})
}

impl Amphora {
    fn post(&self, target: &str, body: &Value) -> TestAnswer {
        self.app.post(target).json(body).send()
    }
}

#[test]
fn a_vip_without_its_port_is_a_404_with_details_alone() {
    let missing = json!({"details": "No suitable network interface found"});
    is(&amphora().post("/1.0/plug/vip/10.0.0.5", &vip()), 404, missing);
}

#[test]
fn where_interfaces_are_the_operators_a_vip_is_there_or_cannot_be_added() {
    let there = json!({"message": "Interface already exists"});
    is(&with_port(&["10.0.0.5"]).post("/1.0/plug/vip/10.0.0.5", &vip()), 409, there.clone());
    is(&with_port(&["10.0.0.7"]).post("/1.0/plug/vip/10.0.0.5", &vip()), 409, there);
    let document: Value = with_port(&[]).post("/1.0/plug/vip/10.0.0.5", &vip()).expect(500).json();
    assert_eq!(document["message"], "Error plugging VIP");
    assert!(document["details"].as_str().unwrap().contains("eth1"));
}

/// With a namespace, and a port outside of it.
fn with_namespace() -> Amphora {
    let fake = Rc::new(Fake::default());
    let config = json!({"require_client_certificate": false, "network_namespace": "amphora-haproxy"});
    let amphora = on(fake.clone(), fake, &config);
    let port = Network { name: "ens7".into(), mac: Some(MAC.into()), ..Network::default() };
    amphora.machine.outside.borrow_mut().push(port);
    amphora
}

#[test]
fn a_vip_is_moved_into_the_namespace_and_set_up_there() {
    let amphora = with_namespace();
    let answer = amphora.post("/1.0/plug/vip/10.0.0.5", &vip());
    is(&answer, 202, json!({"message": "OK", "details": "VIPs plugged on interface eth1: 10.0.0.5"}));
    let done = amphora.machine.take_done();
    let expected = [
        "run ip link set dev ens7 down netns amphora-haproxy name eth1",
        "run ip-inside -force -batch -",
        "  rule delete from 10.0.0.5/32 table 1",
        "run ip-inside -batch -",
        "  link set dev eth1 up",
    ];
    assert_eq!(done[..5], expected);
    assert_eq!(amphora.files.text("plugged_interfaces").unwrap().unwrap(), format!("{MAC} eth1\n"));
    amphora.machine.networks.borrow_mut().push(Network {
        name: "eth1".into(),
        mac: Some(MAC.into()),
        ..Network::default()
    });
    is(&amphora.post("/1.0/plug/vip/10.0.0.5", &vip()), 409, json!({"message": "Interface already exists"}));
}

#[test]
fn a_port_whose_setting_up_failed_is_set_up_again_and_not_taken_for_done() {
    let amphora = with_namespace();
    let failed = crate::machine::Output { status: Some(2), text: "RTNETLINK answers: Invalid argument".into() };
    amphora.machine.outputs.borrow_mut().insert("ip-inside".into(), failed);
    let why = json!({"message": "Error plugging VIP", "details": "RTNETLINK answers: Invalid argument"});
    is(&amphora.post("/1.0/plug/vip/10.0.0.5", &vip()), 500, why);
    amphora.machine.outside.borrow_mut().clear();
    amphora.machine.networks.borrow_mut().push(Network {
        name: "eth1".into(),
        mac: Some(MAC.into()),
        ..Network::default()
    });
    amphora.machine.outputs.borrow_mut().clear();
    amphora.post("/1.0/plug/vip/10.0.0.5", &vip()).expect(202);
}

#[test]
fn a_network_gets_the_first_free_name_and_is_updated_later() {
    let amphora = with_namespace();
    amphora.machine.networks.borrow_mut().push(Network { name: "eth2".into(), ..Network::default() });
    let port = json!({"mac_address": MAC, "fixed_ips": [{"ip_address": "10.1.0.9", "subnet_cidr": "10.1.0.0/24"}]});
    is(
        &amphora.post("/1.0/plug/network", &port),
        202,
        json!({"message": "OK", "details": "Plugged on interface eth3"}),
    );
    let done = amphora.machine.take_done();
    assert!(done.contains(&"  address replace 10.1.0.9/24 dev eth3".to_owned()), "{done:?}");
    amphora.machine.networks.borrow_mut().push(Network {
        name: "eth3".into(),
        mac: Some(MAC.into()),
        ..Network::default()
    });
    let moved = json!({"mac_address": MAC, "fixed_ips": [{"ip_address": "10.1.0.8", "subnet_cidr": "10.1.0.0/24"}]});
    let updated = json!({"message": "OK", "details": "Updated existing interface eth3"});
    is(&amphora.post("/1.0/plug/network", &moved), 202, updated);
    assert!(amphora.machine.take_done().contains(&"  address delete 10.1.0.9/24 dev eth3".to_owned()));
}

#[test]
fn a_port_that_came_out_of_the_namespace_is_plugged_again_at_start() {
    let amphora = with_namespace();
    amphora.post("/1.0/plug/vip/10.0.0.5", &vip()).expect(202);
    amphora.machine.take_done();
    let settings = Settings { network_namespace: Some("amphora-haproxy".into()), ..Settings::default() };
    let context = Context { files: &*amphora.files, machine: &*amphora.machine, settings: &settings };
    crate::plug::ports::restore(context).unwrap();
    assert_eq!(amphora.machine.take_done()[0], "run ip link set dev ens7 down netns amphora-haproxy name eth1");
    amphora.machine.networks.borrow_mut().push(Network {
        name: "eth1".into(),
        mac: Some(MAC.into()),
        ..Network::default()
    });
    crate::plug::ports::restore(context).unwrap();
    assert!(amphora.machine.take_done().is_empty());
}

#[test]
fn bad_bodies_are_refused_before_anything_is_asked_of_the_machine() {
    let amphora = without_machine();
    let incomplete = json!({"error": "400 Bad Request: Invalid subnet information", "http_code": 400});
    is(&amphora.post("/1.0/plug/vip/10.0.0.5", &json!({})), 400, incomplete);
    let incomplete = json!({"error": "400 Bad Request: Invalid port information", "http_code": 400});
    is(&amphora.post("/1.0/plug/network", &json!([])), 400, incomplete);
    is(&amphora.get("/1.0/interface/x"), 400, json!({"message": "Invalid IP address"}));
}

#[test]
fn a_network_whose_addresses_are_there_is_updated() {
    let port = json!({"mac_address": MAC, "fixed_ips": [{"ip_address": "10.1.0.9", "subnet_cidr": "10.1.0.0/24"}]});
    let updated = json!({"message": "OK", "details": "Updated existing interface eth1"});
    is(&with_port(&["10.1.0.9"]).post("/1.0/plug/network", &port), 202, updated);
    let document: Value = with_port(&[]).post("/1.0/plug/network", &port).expect(500).json();
    assert_eq!(document["message"], "Error plugging network");
}

#[test]
fn interfaces_are_found_by_addresses_in_any_spelling() {
    let amphora = with_port(&["2001:db8::1"]);
    is(&amphora.get("/1.0/interface/2001:DB8:0::1"), 200, json!({"message": "OK", "interface": "eth1"}));
    let missing = json!({"message": "Error interface not found for IP address"});
    is(&amphora.get("/1.0/interface/10.0.0.1"), 404, missing.clone());
    is(&amphora.put("/1.0/interface/10.0.0.1/rules", "?"), 404, missing);
    let invalid = json!({"error": "400 Bad Request: Invalid rules information", "http_code": 400});
    is(&amphora.put("/1.0/interface/2001:db8::1/rules", "?"), 400, invalid);
    amphora.put("/1.0/interface/2001:db8::1/rules", "[]").expect(200);
    assert_eq!(amphora.machine.take_done()[0], "run nft -o -f -");
    assert!(amphora.files.text("run/nftables-vip.rules").unwrap().is_some());
    let failed = crate::machine::Output { status: Some(1), text: "Operation not permitted".into() };
    amphora.machine.outputs.borrow_mut().insert("nft".into(), failed);
    let document: Value = amphora.put("/1.0/interface/2001:db8::1/rules", "[]").expect(500).json();
    assert_eq!(document["error"], "500 Internal Server Error: Operation not permitted");
}
