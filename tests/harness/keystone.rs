//! A real Keystone, and accounts in it.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::{Answer, Sent, free_port, python};

/// The password of every account.
const PASSWORD: &str = "correct horse";

/// A Keystone on a port of its own. Ended when dropped.
pub struct Keystone {
    port: u16,
    directory: TempDir,
    /// Its standard input: it ends with that.
    child: Option<Child>,
    admin: String,
    made: AtomicUsize,
}

impl Keystone {
    /// One with the service account `plugbay`. None, with a reason printed, where Keystone is not installed; under CI it is.
    pub async fn start() -> Option<Self> {
        let python = python("keystone")?;
        let directory = tempfile::tempdir().unwrap();
        let mut this =
            Self { port: free_port(), directory, child: None, admin: String::new(), made: AtomicUsize::new(0) };
        this.run(&python).await;
        this.admin = this.log_in("admin", "admin", "admin").await;
        this.account("plugbay", "service", &["service"]).await;
        std::fs::write(this.password_file(), PASSWORD).unwrap();
        std::fs::set_permissions(this.password_file(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Some(this)
    }

    async fn run(&mut self, python: &std::path::Path) {
        let mut child = Command::new(python)
            .arg(format!("{}/clients/keystone_server.py", env!("CARGO_MANIFEST_DIR")))
            .arg(self.directory.path())
            .arg(self.port.to_string())
            .arg(crate::target().join("keystone/templates"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.next_line().await.unwrap();
        assert_eq!(said.as_deref(), Some("serving"), "Keystone does not start");
        self.child = Some(child);
    }

    /// Take it away; nobody listens at its place from then on.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    /// Bring it back with the data it had.
    pub async fn start_again(&mut self) {
        let python = python("keystone").unwrap();
        self.run(&python).await;
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v3", self.port)
    }

    pub fn password_file(&self) -> PathBuf {
        self.directory.path().join("plugbay.password")
    }

    /// The table `[auth.cloud]`, with these lines at its end.
    pub fn table(&self, more: &str) -> String {
        format!(
            "[auth.cloud]\nprovider = \"keystone\"\nurl = \"{}\"\nuser = \"plugbay\"\nproject = \"service\"\npassword_file = {:?}\n{more}\n",
            self.url(),
            self.password_file()
        )
    }

    /// A new user with these roles in this project, which is made if it is not there.
    pub async fn account(&self, name: &str, project: &str, roles: &[&str]) -> String {
        let project = self.ensure("project", project).await;
        let user = json!({"user": {"name": name, "password": PASSWORD, "domain_id": "default"}});
        let user = self.call("POST", "users", Some(user)).await.json()["user"]["id"].as_str().unwrap().to_owned();
        for role in roles {
            let role = self.ensure("role", role).await;
            let granted = self.call("PUT", &format!("projects/{project}/users/{user}/roles/{role}"), None).await;
            assert_eq!(granted.status, 204, "{}", granted.text());
        }
        user
    }

    /// A new user with these roles in the project `dev`, and a token of theirs.
    pub async fn user(&self, roles: &[&str]) -> String {
        let name = format!("user-{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.account(&name, "dev", roles).await;
        self.token(&name, "dev").await
    }

    /// A token of an account.
    pub async fn token(&self, name: &str, project: &str) -> String {
        self.log_in(name, PASSWORD, project).await
    }

    async fn log_in(&self, name: &str, password: &str, project: &str) -> String {
        let domain = json!({"id": "default"});
        let user = json!({"name": name, "password": password, "domain": domain});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let wanted = json!({"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": domain}}}});
        let answer = self.call("POST", "auth/tokens", Some(wanted)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.header("x-subject-token").to_owned()
    }

    /// Make a token worthless.
    pub async fn revoke(&self, token: &str) {
        let sent = Sent::new("DELETE", "/v3/auth/tokens").header("x-subject-token", token);
        let answer = sent.header("x-auth-token", &self.admin).to(([127, 0, 0, 1], self.port).into()).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// Who a token belongs to, if it is good.
    pub async fn whose(&self, token: &str) -> Option<String> {
        let sent = Sent::new("GET", "/v3/auth/tokens").header("x-subject-token", token);
        let answer = sent.header("x-auth-token", &self.admin).to(([127, 0, 0, 1], self.port).into()).await;
        (answer.status == 200).then(|| answer.json()["token"]["user"]["name"].as_str().unwrap().to_owned())
    }

    /// Let nobody in with the tokens that a user has.
    pub async fn disable(&self, user: &str) {
        let changed = self.call("PATCH", &format!("users/{user}"), Some(json!({"user": {"enabled": false}}))).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
    }

    async fn ensure(&self, kind: &str, name: &str) -> String {
        let list = format!("{kind}s");
        let found = self.call("GET", &format!("{list}?name={name}"), None).await.json();
        if let Some(id) = found[&list][0]["id"].as_str() {
            return id.to_owned();
        }
        let made = self.call("POST", &list, Some(json!({kind: {"name": name}}))).await;
        made.json()[kind]["id"].as_str().unwrap().to_owned()
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut sent = Sent::new(method, &format!("/v3/{path}")).header("x-auth-token", &self.admin);
        if let Some(body) = body {
            sent = sent.header("content-type", "application/json").body(body.to_string());
        }
        sent.to(([127, 0, 0, 1], self.port).into()).await
    }
}
