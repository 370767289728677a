//! Plugged networks, interfaces and rules.

use super::*;
use crate::machine::Network;

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
fn a_vip_that_is_there_is_a_409_and_one_that_is_not_cannot_be_added() {
    let there = json!({"message": "Interface already exists"});
    is(&with_port(&["10.0.0.5"]).post("/1.0/plug/vip/10.0.0.5", &vip()), 409, there.clone());
    is(&with_port(&["10.0.0.7"]).post("/1.0/plug/vip/10.0.0.5", &vip()), 409, there);
    let document: Value = with_port(&[]).post("/1.0/plug/vip/10.0.0.5", &vip()).expect(500).json();
    assert_eq!(document["message"], "Error plugging VIP");
    assert!(document["details"].as_str().unwrap().contains("eth1"));
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
    amphora.put("/1.0/interface/2001:db8::1/rules", "[]").expect(500);
}
