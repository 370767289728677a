//! The whole plugin on a host in memory, with servers that answer as LXD does. One file a chapter of the contract.

mod bags;
mod cluster;
mod converging;
mod facade;
mod failing;
mod inventory;
mod model;
mod ownership;
mod scale;
mod watching;

use std::cell::Cell;
use std::rc::Rc;

use plugbay_sdk::testing::{Host, TestAnswer, TestApp, TestRequest};
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

use crate::certificate::Certificate;
use crate::outside::fake::{Trust, World};
use crate::pem;

pub const RSA1024: &str = include_str!("certificates/rsa1024.pem");
pub const RSA2048: &str = include_str!("certificates/rsa2048.pem");
pub const P521: &str = include_str!("certificates/p521.pem");
pub const V1: &str = include_str!("certificates/v1.pem");

/// The kinds of keys there are and a lifetime around the tests' time.
pub struct Maker {
    key: KeyPair,
    serial: Cell<u64>,
}

impl Maker {
    pub fn new() -> Maker {
        Maker { key: KeyPair::generate().unwrap(), serial: Cell::new(1) }
    }

    /// A certificate of this name, good from 2020 to 2100. Each one is another.
    pub fn pem(&self, name: &str) -> String {
        self.between(name, 2020, 2100)
    }

    /// One good from the beginning of one year to that of another.
    pub fn between(&self, name: &str, from: i32, to: i32) -> String {
        self.serial.set(self.serial.get() + 1);
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(self.serial.get().into());
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        params.self_signed(&self.key).unwrap().pem()
    }
}

pub fn der(text: &str) -> Vec<u8> {
    pem::first_certificate(text).unwrap().der
}

pub fn fingerprint(text: &str) -> String {
    Certificate::from_der(&der(text)).unwrap().fingerprint
}

/// A plugin, its world, and a credential that servers trust.
pub struct Lab {
    pub app: TestApp,
    pub world: Rc<World>,
    pub maker: Maker,
    pub own: String,
}

impl Lab {
    pub fn new() -> Lab {
        let world = World::new();
        let outside = world.outside();
        let maker = Maker::new();
        let own = maker.pem("plugbay");
        Lab { app: TestApp::new(move || crate::on(&outside)), world, maker, own }
    }

    /// With one server `a` and its node.
    pub fn with_node() -> (Lab, Trust) {
        let lab = Lab::new();
        let trust = lab.server("a", 1);
        lab.node("a", 1).expect(201);
        lab.run();
        (lab, trust)
    }

    /// Another start of the plugin on the same data.
    pub fn restart(&self) -> TestApp {
        let outside = self.world.outside();
        TestApp::on(self.app.host().clone(), move || crate::on(&outside))
    }

    pub fn host(&self) -> &Host {
        self.app.host()
    }

    pub fn as_operator<'a>(&'a self, method: &str, target: &str) -> TestRequest<'a> {
        self.app.request(method, target).user("ops", &["operator"])
    }

    pub fn get(&self, target: &str) -> Value {
        self.as_operator("GET", target).send().expect(200).json()
    }

    pub fn server(&self, name: &str, pin: u8) -> Trust {
        self.world.add(&endpoint(name), &format!("host-{name}"), [pin; 32], &der(&self.own))
    }

    pub fn node(&self, name: &str, pin: u8) -> TestAnswer {
        self.as_operator("PUT", &format!("/v1/nodes/{name}")).json(&self.node_body(name, pin)).send()
    }

    pub fn node_body(&self, name: &str, pin: u8) -> Value {
        json!({
            "endpoint": endpoint(name),
            "server_fingerprint": hex::encode([pin; 32]),
            "client_certificate": self.own,
            "client_key": key_pem(),
        })
    }

    /// A relation with its unit 0; the relation's id.
    pub fn relation(&self, app: &str) -> String {
        self.relation_with_token(app).0
    }

    pub fn relation_with_token(&self, app: &str) -> (String, String) {
        let body = json!({"interface": "lxd", "remote_app": app});
        let made: Value = self.as_operator("POST", "/v1/relations").json(&body).send().expect(201).json();
        let id = made["id"].as_str().unwrap().to_owned();
        self.as_operator("PUT", &format!("/v1/relations/{id}/units/0")).send().expect(201);
        (id, made["token"].as_str().unwrap().to_owned())
    }

    pub fn write(&self, relation: &str, unit: u32, certificates: &[&str]) -> TestAnswer {
        let list = serde_json::to_string(certificates).unwrap();
        self.as_operator("PUT", &format!("/v1/relations/{relation}/units/{unit}/data"))
            .json(&json!({"client_certificates": list}))
            .send()
    }

    /// A relation whose unit 0 wants a certificate, and the certificate, when the workers have done what they can.
    pub fn wanted(&self) -> (String, String) {
        let relation = self.relation("app");
        let certificate = self.maker.pem("c");
        self.write(&relation, 0, &[&certificate]).expect(200);
        self.run();
        (relation, certificate)
    }

    /// Let the workers do what there is to do now.
    pub fn run(&self) {
        for _ in 0..3 {
            self.app.run_jobs();
        }
    }

    /// Half a minute later.
    pub fn later(&self) {
        self.world.pass(61);
        self.run();
    }

    pub fn provider(&self, relation: &str) -> Value {
        self.get(&format!("/v1/relations/{relation}/provider/data"))
    }

    /// What each published node trusts of a relation, by the node's own name.
    pub fn trusted(&self, relation: &str) -> Vec<(String, Vec<String>)> {
        let bag = self.provider(relation);
        let nodes: Vec<Value> = serde_json::from_str(bag["nodes"].as_str().unwrap()).unwrap();
        nodes
            .iter()
            .map(|node| {
                let trusted = node["trusted_certs_fp"].as_array().unwrap();
                let trusted = trusted.iter().map(|text| text.as_str().unwrap().to_owned()).collect();
                (node["name"].as_str().unwrap().to_owned(), trusted)
            })
            .collect()
    }

    pub fn registered(&self, relation: &str) -> Vec<String> {
        serde_json::from_str(self.provider(relation)["registered_certificates"].as_str().unwrap()).unwrap()
    }

    /// State of a certificate on a node, as the operator sees it.
    pub fn state(&self, certificate: &str, node: &str) -> Value {
        let view = self.get(&format!("/v1/certificates/{}", fingerprint(certificate)));
        let nodes = view["nodes"].as_array().unwrap();
        nodes.iter().find(|state| state["node"] == node).cloned().unwrap_or_default()
    }
}

pub fn endpoint(name: &str) -> String {
    format!("https://{name}.example:8443")
}

/// Looks like a key; the host of the tests does not read it.
pub fn key_pem() -> String {
    let label = "PRIVATE KEY";
    format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n")
}
