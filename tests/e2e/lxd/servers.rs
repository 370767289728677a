//! LXD and Incus of Debian on loopback: independent servers or a cluster, with a credential that they trust, and a look at
//! what they really trust.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use plugbay_tests::{target, wait_until};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What an administrator calls an entry.
pub const BY_HAND: &str = "by hand";

/// A client certificate and its key.
pub struct Credential {
    pub certificate: String,
    pub key: String,
    pub fingerprint: String,
}

impl Credential {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let fingerprint = hex::encode(Sha256::digest(certificate.der()));
        Self { certificate: certificate.pem(), key: key.serialize_pem(), fingerprint }
    }

    /// Somebody else's, whose key is not known here.
    pub fn of(certificate: &str) -> Self {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let fingerprint = hex::encode(Sha256::digest(&der));
        Self { certificate: certificate.to_owned(), key: String::new(), fingerprint }
    }

    /// As much of the fingerprint as `lxc` shows.
    pub fn short(&self) -> &str {
        &self.fingerprint[..12]
    }
}

/// One server.
#[derive(Debug, Clone)]
pub struct Server {
    pub name: String,
    pub endpoint: String,
    /// Its unix socket, whose callers are trusted; the directory is the server's.
    pub socket: PathBuf,
    certificate: String,
}

/// Servers that run until this is dropped.
pub struct Servers {
    pub all: Vec<Server>,
    operator: Credential,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
    _directory: TempDir,
}

impl Servers {
    /// None, with a reason printed, where LXD or pylxd is not installed; under CI they are. None, too, where the system
    /// allows no namespaces.
    pub async fn start(count: usize, options: &[&str]) -> Option<Self> {
        Self::at(&vec!["127.0.0.1:0"; count], options).await
    }

    /// An LXD and an Incus. None, with a reason printed, where there is none: only some releases of Debian have it.
    pub async fn lxd_and_incus() -> Option<Self> {
        let incus = target().join("incus");
        if !incus.exists() {
            println!("skipped: {} is not there: no package of Incus could be had", incus.display());
            return None;
        }
        Self::at(&["127.0.0.1:0", "incus=127.0.0.1:0"], &["--incus", &incus.display().to_string()]).await
    }

    async fn at(addresses: &[&str], options: &[&str]) -> Option<Self> {
        if !installed(&["/usr/bin/lxd".into(), python()]) {
            return None;
        }
        let isolated = Command::new("unshare").args(["--mount", "--pid", "--fork", "--mount-proc", "true"]).output();
        if !isolated.await.is_ok_and(|output| output.status.success()) {
            println!("skipped: this system allows no namespaces");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let operator = Credential::new("plugbay");
        let trusted = directory.path().join("operator.crt");
        std::fs::write(&trusted, &operator.certificate).unwrap();
        let mut command = script("lxd_daemon.py");
        command.args(options).arg("--trust").arg(trusted).arg(directory.path());
        command.args(addresses).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = output.next_line().await.unwrap().unwrap_or_default();
        assert!(first.starts_with("serving "), "LXD does not start: {first}");
        let facts: Value = serde_json::from_str(first.trim_start_matches("serving ")).unwrap();
        let text = |server: &Value, key: &str| server[key].as_str().unwrap().to_owned();
        let all = facts["servers"].as_array().unwrap().iter().map(|server| Server {
            name: text(server, "name"),
            endpoint: text(server, "endpoint"),
            certificate: text(server, "certificate"),
            socket: text(server, "socket").into(),
        });
        let (all, input) = (all.collect(), child.stdin.take().unwrap());
        Some(Self { all, operator, input, output, _child: child, _directory: directory })
    }

    /// The operator's description of a server.
    pub fn node(&self, server: usize) -> Value {
        json!({
            "endpoint": self.all[server].endpoint,
            "server_certificate": self.all[server].certificate,
            "client_certificate": self.operator.certificate,
            "client_key": self.operator.key,
        })
    }

    /// What a script has to know of the servers to be their administrator, and with which credential they let a host in.
    pub fn facts(&self) -> Value {
        let server = |server: &Server| json!({"name": server.name, "endpoint": server.endpoint, "certificate": server.certificate, "socket": server.socket});
        json!({
            "servers": self.all.iter().map(server).collect::<Vec<_>>(),
            "certificate": self.operator.certificate,
            "key": self.operator.key,
        })
    }

    /// Certificate and key with which a server answers.
    pub fn identity(&self, server: usize) -> (String, String) {
        let read = |name| std::fs::read_to_string(self.all[server].socket.with_file_name(name)).unwrap();
        (read("server.crt"), read("server.key"))
    }

    /// `stop`, `kill`, `start`, `freeze` or `thaw` a server; returns when it is done.
    pub async fn tell(&mut self, what: &str, server: usize) -> String {
        self.input.write_all(format!("{what} {server}\n").as_bytes()).await.unwrap();
        let answer = self.output.next_line().await.unwrap().unwrap_or_default();
        assert!(answer.starts_with("done"), "{what} {server}: {answer}");
        answer.trim_start_matches("done").trim().to_owned()
    }

    /// By method, what our credential sent to a server since the last time; it was started with `--count`.
    pub async fn requests(&mut self, server: usize) -> BTreeMap<String, u64> {
        serde_json::from_str(&self.tell("requests", server).await).unwrap()
    }

    /// The client certificates in a server's trust store, without our own: whole entries by fingerprint.
    pub async fn entries(&self, server: usize) -> BTreeMap<String, Value> {
        let (_, body) = ask(&self.all[server].socket, "GET", "/1.0/certificates?recursion=1", Bytes::new()).await;
        let all: Value = serde_json::from_slice(&body).unwrap();
        let clients = all["metadata"].as_array().unwrap().iter().filter(|entry| entry["type"] == "client");
        let by_fingerprint = clients.map(|entry| (entry["fingerprint"].as_str().unwrap().to_owned(), entry.clone()));
        by_fingerprint.filter(|(fingerprint, _)| *fingerprint != self.operator.fingerprint).collect()
    }

    /// How many certificates a server goes by, our own included. Costs it next to nothing.
    pub async fn count(&self, server: usize) -> usize {
        let (_, body) = ask(&self.all[server].socket, "GET", "/1.0/certificates", Bytes::new()).await;
        serde_json::from_slice::<Value>(&body).unwrap()["metadata"].as_array().unwrap().len()
    }

    /// Their fingerprints.
    pub async fn trusted(&self, server: usize) -> BTreeSet<String> {
        self.entries(server).await.into_keys().collect()
    }

    /// Have an administrator add a certificate; false if it is there already.
    pub async fn add_by_hand(&self, server: usize, credential: &Credential) -> bool {
        let base64: String = credential.certificate.lines().filter(|line| !line.starts_with('-')).collect();
        let body = json!({"type": "client", "name": BY_HAND, "certificate": base64}).to_string();
        let (status, body) = ask(&self.all[server].socket, "POST", "/1.0/certificates", body.into()).await;
        assert!([StatusCode::CREATED, StatusCode::CONFLICT].contains(&status), "{}", String::from_utf8_lossy(&body));
        status == StatusCode::CREATED
    }

    /// Wait until a server trusts these and no others.
    pub async fn until_trusted(&self, server: usize, wanted: &[&Credential]) {
        let wanted: BTreeSet<String> = wanted.iter().map(|credential| credential.fingerprint.clone()).collect();
        let what = format!("{} trusts {wanted:?}", self.all[server].name);
        wait_until(&what, || async { (self.trusted(server).await == wanted).then_some(()) }).await;
    }
}

/// Ask a server through its unix socket, as root of its machine.
pub async fn ask(socket: &Path, method: &str, path: &str, body: Bytes) -> (StatusCode, Bytes) {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request =
        http::Request::builder().method(method).uri(path).header("host", "lxd").body(Full::new(body)).unwrap();
    let answer = send.send_request(request).await.unwrap();
    let status = answer.status();
    (status, answer.into_body().collect().await.unwrap().to_bytes())
}

/// Whether programs are there, with a reason printed if not. Under CI they have to be.
pub fn installed(programs: &[PathBuf]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|path| !path.exists()).collect();
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(missing.is_empty() || !ci, "installable, and has to be there under CI: {missing:?}");
    if !missing.is_empty() {
        println!("skipped: not installed: {missing:?}");
    }
    missing.is_empty()
}

fn python() -> PathBuf {
    target().join("lxd/bin/python")
}

/// A client of `tests/clients`, in the environment that has pylxd and ops.
pub fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(format!("{}/clients/{name}", env!("CARGO_MANIFEST_DIR"))).kill_on_drop(true);
    command
}
