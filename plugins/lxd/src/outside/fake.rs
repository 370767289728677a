//! Servers of the tests: they answer as LXD 5.0 does, and fail as they are told.
//!
//! Servers that share a `trust` are members of one cluster. Everything that reaches a server is in its log; what was
//! stopped by the pin is not.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Clock, Fault, Fetch, Inbound, Outbound, Outside, Secrets};
use crate::certificate::Certificate;
use crate::pem;

/// 2026-11-21T22:26:40Z.
pub const START: i64 = 1_795_300_000_000;

/// How a server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Up,
    /// Refuses connections.
    Down,
    /// Accepts, and says nothing.
    Silent,
    /// Does what it is asked, and then says nothing.
    Deaf,
    /// Answers everything with this status and text.
    Errors(u16, &'static str),
    /// Answers POST and DELETE with this status and text.
    RefusesChanges(u16, &'static str),
    /// The plugin's host is killed before a POST reaches it.
    KilledBefore,
    /// The plugin's host is killed after a POST had its effect.
    KilledAfter,
}

/// An entry of a trust store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub name: String,
    pub kind: String,
    pub restricted: bool,
    pub projects: Vec<String>,
    pub der: Vec<u8>,
}

impl Held {
    /// Whether its holder is trusted: of the right type, and within its dates, seconds since 1970.
    fn lets_in(&self, now: i64) -> bool {
        let certificate = Certificate::from_der(&self.der).unwrap();
        self.kind != "metrics" && (certificate.not_before..=certificate.not_after).contains(&now)
    }
}

pub type Trust = Rc<RefCell<BTreeMap<String, Held>>>;

/// One server.
#[derive(Debug)]
pub struct Server {
    pub name: String,
    pub version: String,
    pub clustered: bool,
    /// SHA-256 of the certificate it really shows.
    pub shows: [u8; 32],
    pub trust: Trust,
    /// What it goes by, of a member of a cluster that was silent while the trust store was changed.
    pub missed: Option<BTreeSet<String>>,
    pub mode: Mode,
    /// `POST /1.0/certificates` and the like.
    pub log: Vec<String>,
}

/// The world of a test.
#[derive(Debug, Default)]
pub struct World {
    pub servers: RefCell<BTreeMap<String, Server>>,
    /// Certificate and key, by the secret's name.
    pub secrets: RefCell<BTreeMap<String, (String, String)>>,
    now: Cell<i64>,
}

impl World {
    pub fn new() -> Rc<World> {
        let world = World::default();
        world.now.set(START);
        Rc::new(world)
    }

    pub fn outside(self: &Rc<World>) -> Outside {
        Outside { fetch: self.clone(), secrets: self.clone(), clock: self.clone() }
    }

    /// Let time pass.
    pub fn pass(&self, seconds: i64) {
        self.now.set(self.now.get() + seconds * 1000);
    }

    /// A server that trusts our credential `own` (DER) already.
    pub fn add(&self, endpoint: &str, name: &str, shows: [u8; 32], own: &[u8]) -> Trust {
        let fingerprint = Certificate::from_der(own).unwrap().fingerprint;
        let held =
            Held { name: "us".into(), kind: "client".into(), restricted: false, projects: vec![], der: own.to_vec() };
        let trust: Trust = Rc::new(RefCell::new(BTreeMap::from([(fingerprint, held)])));
        self.join(endpoint, name, shows, &trust, false);
        trust
    }

    /// A server with this trust store.
    pub fn join(&self, endpoint: &str, name: &str, shows: [u8; 32], trust: &Trust, clustered: bool) {
        let server = Server {
            name: name.to_owned(),
            version: "5.0.2".to_owned(),
            clustered,
            shows,
            trust: trust.clone(),
            missed: None,
            mode: Mode::Up,
            log: Vec::new(),
        };
        self.servers.borrow_mut().insert(endpoint.to_owned(), server);
    }

    pub fn with<T>(&self, endpoint: &str, edit: impl FnOnce(&mut Server) -> T) -> T {
        edit(self.servers.borrow_mut().get_mut(endpoint).unwrap())
    }

    pub fn mode(&self, endpoint: &str, mode: Mode) {
        self.with(endpoint, |server| server.mode = mode);
    }

    /// What reached a server since the last look.
    pub fn log(&self, endpoint: &str) -> Vec<String> {
        self.with(endpoint, |server| std::mem::take(&mut server.log))
    }
}

impl Clock for World {
    fn now_ms(&self) -> i64 {
        self.now.get()
    }
}

impl Secrets for World {
    fn put_identity(&self, name: &str, certificate: &str, key: &str) -> Result<(), Fault> {
        self.secrets.borrow_mut().insert(name.to_owned(), (certificate.to_owned(), key.to_owned()));
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), Fault> {
        self.secrets.borrow_mut().remove(name);
        Ok(())
    }
}

impl Fetch for World {
    fn send(&self, request: &Outbound) -> Result<Inbound, Fault> {
        let rest = request.url.strip_prefix("https://").unwrap();
        let at = rest.find('/').unwrap();
        let (endpoint, path) = (format!("https://{}", &rest[..at]), &rest[at..]);
        let own = self.secrets.borrow().get(&request.identity).cloned();
        let (own, _) = own.ok_or_else(|| Fault::Invalid("no such secret".to_owned()))?;
        let own = Certificate::from_der(&pem::first_certificate(&own).unwrap().der).unwrap().fingerprint;
        let mut servers = self.servers.borrow_mut();
        let server = servers.get_mut(&endpoint).ok_or_else(|| Fault::Unreachable("no route".to_owned()))?;
        if server.mode == Mode::Down {
            return Err(Fault::Unreachable("connection refused".to_owned()));
        }
        if server.mode == Mode::Silent {
            self.now.set(self.now.get() + i64::from(request.timeout_ms));
            return Err(Fault::Timeout);
        }
        if server.shows != request.pin {
            return Err(Fault::PinMismatch);
        }
        let mode = server.mode.clone();
        let changes = request.method != "GET";
        if mode == Mode::KilledBefore && request.method == "POST" {
            drop(servers);
            panic!("killed");
        }
        server.log.push(format!("{} {path}", request.method));
        let before: BTreeSet<String> = server.trust.borrow().keys().cloned().collect();
        let answer = match &mode {
            Mode::Errors(status, text) => Answer::error(*status, text),
            Mode::RefusesChanges(status, text) if changes => Answer::error(*status, text),
            _ => server.answer(request.method, path, &request.body, &own, self.now.get() / 1000),
        };
        if changes && answer.0 < 300 {
            let trust = server.trust.clone();
            notify(&mut servers, &trust, &before);
        }
        if mode == Mode::KilledAfter && request.method == "POST" {
            drop(servers);
            panic!("killed");
        }
        if mode == Mode::Deaf && changes {
            self.now.set(self.now.get() + i64::from(request.timeout_ms));
            return Err(Fault::Timeout);
        }
        Ok(Inbound { status: answer.0, body: answer.1.to_string().into_bytes() })
    }
}

/// Members that answer read the trust store anew after a change; one that starts does so, too.
fn notify(servers: &mut BTreeMap<String, Server>, trust: &Trust, before: &BTreeSet<String>) {
    for member in servers.values_mut().filter(|server| Rc::ptr_eq(&server.trust, trust)) {
        if member.mode == Mode::Silent {
            member.missed.get_or_insert_with(|| before.clone());
        } else {
            member.missed = None;
        }
    }
}

struct Answer(u16, Value);

impl Answer {
    fn sync(status: u16, metadata: Value) -> Answer {
        Answer(
            status,
            json!({"type": "sync", "status": "Success", "status_code": 200, "operation": "", "error_code": 0, "error": "", "metadata": metadata}),
        )
    }

    fn error(status: u16, text: &str) -> Answer {
        Answer(
            status,
            json!({"type": "error", "status": "", "status_code": 0, "operation": "", "error_code": status, "error": text, "metadata": null}),
        )
    }
}

impl Server {
    fn answer(&mut self, method: &str, path: &str, body: &[u8], own: &str, now: i64) -> Answer {
        let caller = self.trust.borrow().get(own).cloned().filter(|held| held.lets_in(now) && self.lets_in(own));
        let trusted = caller.is_some();
        if path == "/1.0" {
            return Answer::sync(200, self.root(trusted));
        }
        if !trusted {
            return Answer::error(403, "not authorized");
        }
        if method != "GET" && caller.is_some_and(|held| held.restricted) {
            return Answer::error(403, "not authorized");
        }
        match (method, path) {
            ("GET", "/1.0/certificates") => {
                let trust = self.trust.borrow();
                let known = self.missed.clone().unwrap_or_else(|| trust.keys().cloned().collect());
                let urls: Vec<String> = known.iter().map(|key| format!("/1.0/certificates/{key}")).collect();
                Answer::sync(200, urls.into())
            }
            ("GET", "/1.0/certificates?recursion=1") => {
                let trust = self.trust.borrow();
                let all: Vec<Value> = trust.iter().map(|(fingerprint, held)| entry(fingerprint, held)).collect();
                Answer::sync(200, all.into())
            }
            ("POST", "/1.0/certificates") => self.add(body, now),
            _ => self.one(method, path.strip_prefix("/1.0/certificates/").unwrap(), body),
        }
    }

    fn root(&self, trusted: bool) -> Value {
        let mut root = json!({
            "api_extensions": ["projects"], "api_status": "stable", "api_version": "1.0",
            "auth": if trusted { "trusted" } else { "untrusted" }, "auth_methods": ["tls"], "public": false,
        });
        if trusted {
            root["environment"] = json!({
                "server": "lxd", "server_name": self.name, "server_version": self.version,
                "server_clustered": self.clustered, "certificate_fingerprint": hex::encode(self.shows),
            });
        }
        root
    }

    fn add(&mut self, body: &[u8], now: i64) -> Answer {
        let body: Value = serde_json::from_slice(body).unwrap();
        assert!(body.get("password").is_none(), "a password is never sent");
        if body["type"] != "client" {
            return Answer::error(400, "Invalid certificate type");
        }
        let Ok(der) = STANDARD.decode(body["certificate"].as_str().unwrap()) else {
            return Answer::error(400, "illegal base64 data at input byte 0");
        };
        let Ok(certificate) = Certificate::from_der(&der) else {
            return Answer::error(400, "Invalid certificate material: x509: malformed certificate");
        };
        if let Some(unfit) = certificate.unfit(now) {
            return Answer::error(400, unfit.message());
        }
        if self.trust.borrow().contains_key(&certificate.fingerprint) {
            return Answer::error(409, "Certificate already in trust store");
        }
        let projects: Vec<String> = serde_json::from_value(body["projects"].clone()).unwrap_or_default();
        if projects.iter().any(|project| project == "missing") {
            return Answer::error(404, "Project not found");
        }
        if projects.iter().collect::<BTreeSet<_>>().len() < projects.len() {
            return Answer::error(500, "Failed to create \"certificates_projects\" entry: UNIQUE constraint failed");
        }
        let held = Held {
            name: body["name"].as_str().unwrap_or_default().to_owned(),
            kind: "client".to_owned(),
            restricted: body["restricted"] == true,
            projects,
            der,
        };
        self.trust.borrow_mut().insert(certificate.fingerprint, held);
        Answer::sync(201, Value::Null)
    }

    /// Whether this member goes by that certificate.
    fn lets_in(&self, fingerprint: &str) -> bool {
        self.missed.as_ref().is_none_or(|known| known.contains(fingerprint))
    }

    fn one(&mut self, method: &str, fingerprint: &str, body: &[u8]) -> Answer {
        assert_eq!(fingerprint.len(), 64, "a short fingerprint is a pattern");
        let Some(held) = self.trust.borrow().get(fingerprint).cloned() else {
            return Answer::error(404, "Certificate not found");
        };
        if method == "DELETE" {
            self.trust.borrow_mut().remove(fingerprint);
            return Answer::sync(200, json!({}));
        }
        if method == "PATCH" {
            let body: Value = serde_json::from_slice(body).unwrap();
            let name = body["name"].as_str().unwrap().to_owned();
            self.trust.borrow_mut().insert(fingerprint.to_owned(), Held { name, ..held });
            return Answer::sync(200, json!({}));
        }
        Answer::sync(200, entry(fingerprint, &held))
    }
}

fn entry(fingerprint: &str, held: &Held) -> Value {
    json!({
        "name": held.name, "type": held.kind, "restricted": held.restricted, "projects": held.projects,
        "certificate": pem::encode(&held.der), "fingerprint": fingerprint,
    })
}
