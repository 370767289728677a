//! A stand-in for Keystone: it does what a test says, and counts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::config::Auth;
use crate::keystone::Keystone;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Status(u16),
    Body(&'static str, u16),
    /// More than any answer has.
    Huge,
    /// Nothing ever comes.
    Silent,
    /// The answer breaks off.
    Closed,
}

/// A server, and what a client needs for it.
pub(crate) struct StandIn {
    address: SocketAddr,
    folder: tempfile::TempDir,
    script: Arc<Script>,
}

struct Script {
    facts: Mutex<Facts>,
    /// Validations are answered as long as there are permits.
    gate: Semaphore,
}

#[derive(Default)]
struct Facts {
    tokens: HashMap<String, Value>,
    service: Option<String>,
    life: i64,
    logins: usize,
    last_login: Value,
    validations: usize,
    fault: Option<Fault>,
    login_fault: Option<Fault>,
}

/// A token as Keystone describes it, which lives for so many seconds yet.
pub(crate) fn token(user: &str, roles: &[&str], seconds: i64) -> Value {
    let now = Timestamp::now();
    let roles: Vec<Value> = roles.iter().map(|role| json!({"id": format!("r-{role}"), "name": role})).collect();
    let domain = json!({"id": "default", "name": "Default"});
    json!({
        "user": {"id": format!("u-{user}"), "name": user, "domain": domain, "password_expires_at": null},
        "project": {"id": "p-dev", "name": "dev", "domain": domain},
        "roles": roles,
        "methods": ["password"],
        "audit_ids": ["x"],
        "issued_at": now.to_string(),
        "expires_at": (now + SignedDuration::from_secs(seconds)).to_string(),
    })
}

impl StandIn {
    /// It knows `ann`, an administrator whose token is `ann`.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self::at(listener.local_addr().unwrap());
        this.add("ann", token("ann", &["admin"], 3600));
        let router = Router::new().route("/v3/auth/tokens", get(validation).post(login));
        let router = router.with_state(Arc::clone(&this.script));
        tokio::spawn(async move { axum::serve(listener, router).await });
        this
    }

    /// Nobody listens there.
    pub(crate) fn nowhere() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self::at(listener.local_addr().unwrap())
    }

    fn at(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter22\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let facts = Mutex::new(Facts { life: 3600, ..Facts::default() });
        Self { address, folder, script: Arc::new(Script { facts, gate: Semaphore::new(Semaphore::MAX_PERMITS) }) }
    }

    pub(crate) fn settings(&self) -> Auth {
        Auth {
            provider: crate::config::Provider::Keystone,
            url: format!("http://{}/v3", self.address),
            user: "plugbay".into(),
            project: "service".into(),
            password_file: self.folder.path().join("password"),
            ..Auth::default()
        }
    }

    pub(crate) fn client(&self) -> Keystone {
        Keystone::open("cloud", &self.settings()).unwrap()
    }

    pub(crate) fn add(&self, name: &str, described: Value) {
        self.script.facts.lock().tokens.insert(name.into(), described);
    }

    pub(crate) fn revoke(&self, name: &str) {
        self.script.facts.lock().tokens.remove(name);
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.script.facts.lock().fault = fault;
    }

    pub(crate) fn fail_logins(&self, fault: Option<Fault>) {
        self.script.facts.lock().login_fault = fault;
    }

    pub(crate) fn revoke_service_tokens(&self) {
        self.script.facts.lock().service = None;
    }

    pub(crate) fn service_tokens_live(&self, seconds: i64) {
        self.script.facts.lock().life = seconds;
    }

    /// Keep validations waiting from now on.
    pub(crate) fn hold(&self) {
        self.script.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Let them go on.
    pub(crate) fn release(&self) {
        self.script.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn logins(&self) -> usize {
        self.script.facts.lock().logins
    }

    pub(crate) fn last_login(&self) -> Value {
        self.script.facts.lock().last_login.clone()
    }

    pub(crate) fn validations(&self) -> usize {
        self.script.facts.lock().validations
    }
}

async fn login(State(script): State<Arc<Script>>, request: Request<Body>) -> Response {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let (fault, described, value) = {
        let mut facts = script.facts.lock();
        facts.logins += 1;
        facts.last_login = serde_json::from_slice(&body).unwrap();
        let value = format!("service-{}", facts.logins);
        facts.service = Some(value.clone());
        (facts.login_fault, token("plugbay", &["service"], facts.life), value)
    };
    match fault {
        Some(fault) => failing(fault).await,
        None => Response::builder()
            .status(201)
            .header("x-subject-token", value)
            .body(Body::from(json!({"token": described}).to_string()))
            .unwrap(),
    }
}

async fn validation(State(script): State<Arc<Script>>, headers: HeaderMap) -> Response {
    script.facts.lock().validations += 1;
    let _passed = script.gate.acquire().await.unwrap();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (fault, known, described) = {
        let facts = script.facts.lock();
        let described = text("x-subject-token").and_then(|token| facts.tokens.get(&token).cloned());
        (facts.fault, text("x-auth-token") == facts.service, described)
    };
    let answer =
        |status: u16, body: Value| Response::builder().status(status).body(Body::from(body.to_string())).unwrap();
    match (fault, known, described) {
        (Some(fault), ..) => failing(fault).await,
        (None, false, _) => answer(401, json!({"error": {"code": 401}})),
        (None, true, None) => answer(404, json!({"error": {"code": 404}})),
        (None, true, Some(described)) => answer(200, json!({"token": described})),
    }
}

async fn failing(fault: Fault) -> Response {
    let (status, body) = match fault {
        Fault::Status(status) => (status, Body::from("{\"error\": {}}")),
        Fault::Body(body, status) => (status, Body::from(body)),
        Fault::Huge => (200, Body::from(vec![b' '; 300 * 1024])),
        Fault::Silent => std::future::pending().await,
        Fault::Closed => {
            let parts = [Ok("{\"token\": "), Err(std::io::Error::other("cut"))];
            (200, Body::from_stream(futures_util::stream::iter(parts)))
        }
    };
    Response::builder().status(status).body(body).unwrap()
}
