//! What is measured, and the servers behind it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::build::place;
use crate::command::{Context, Failure, Outcome};
use crate::http;
use crate::server::{self, Server, free_address};
use crate::workspace::Workspace;

/// Connections of the load generator, except where a case says otherwise.
const CONNECTIONS: u32 = 32;

/// One thing measured. In the order of the report and of each round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// axum and nothing else.
    Native,
    /// axum with request id, metrics, deadline and limits.
    Layered,
    /// A plugin's greeting from a reused instance.
    Reused,
    /// The same from a fresh instance for each request.
    Fresh,
    /// A plugin that reads one key of 256 bytes.
    OneKey,
    /// `wasmtime serve` with reuse.
    ServeReused,
    /// `wasmtime serve` as it is.
    ServeFresh,
    /// Durable commits by one caller.
    OneCommitter,
    /// Durable commits by 32 callers.
    ManyCommitters,
}

impl Case {
    /// For the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native axum",
            Self::Layered => "native axum, layered",
            Self::Reused => "plugin, reused instance",
            Self::Fresh => "plugin, fresh instance",
            Self::OneKey => "plugin, one key read",
            Self::ServeReused => "wasmtime serve, reuse 128",
            Self::ServeFresh => "wasmtime serve, fresh",
            Self::OneCommitter => "durable commits, 1 caller",
            Self::ManyCommitters => "durable commits, 32 callers",
        }
    }
}

/// Everything that is measured, running.
pub struct Servers {
    running: Vec<Server>,
    cases: Vec<(Case, String, u32)>,
}

impl Servers {
    /// Start all servers and wait until each answers.
    pub fn start(workspace: &Workspace, directory: &Path, wasmtime: Option<&Path>) -> Outcome<Self> {
        let mut servers = Self { running: Vec::new(), cases: Vec::new() };
        for (case, kind) in [(Case::Native, "plain"), (Case::Layered, "layered")] {
            let address = free_address()?;
            let mut command = Command::new(workspace.program("baseline"));
            servers.one(case, address, command.args([kind, &address.to_string()]))?;
        }
        servers.plugins(workspace, directory)?;
        if let Some(wasmtime) = wasmtime {
            let component = workspace.guests().join("serve-hello.wasm");
            for (case, reuse) in
                [(Case::ServeReused, &["--max-instance-reuse-count", "128"][..]), (Case::ServeFresh, &[])]
            {
                let address = free_address()?;
                let mut command = Command::new(wasmtime);
                command.args(["serve", "-Scli", "--addr", &address.to_string()]).args(reuse).arg(&component);
                servers.one(case, address, &mut command)?;
            }
        }
        servers.cases.sort();
        Ok(servers)
    }

    /// Case, URL, connections; in the order in which a round goes through them.
    pub fn cases(&self) -> Vec<(Case, String, u32)> {
        self.cases.clone()
    }

    fn one(&mut self, case: Case, address: SocketAddr, command: &mut Command) -> Outcome {
        let mut server = Server::start(case.name(), command)?;
        server.answers(address, "/hello")?;
        self.running.push(server);
        self.add(case, address, "/hello", CONNECTIONS);
        Ok(())
    }

    /// One host with all plugins, each on a listener of its own, so that every greeting has one path.
    fn plugins(&mut self, workspace: &Workspace, directory: &Path) -> Outcome {
        let folder = directory.join("plugins.d");
        fs::create_dir_all(&folder).context(folder.display())?;
        place(&workspace.plugins().join("hello.wasm"), &folder.join("hello.wasm"))?;
        place(&workspace.guests().join("bench-kv.wasm"), &folder.join("bench-kv.wasm"))?;
        let [reused, fresh, kv, admin] = [free_address()?, free_address()?, free_address()?, free_address()?];
        let config = directory.join("plugbay.toml");
        fs::write(&config, configuration(reused, fresh, kv, admin)).context(config.display())?;
        let mut host = Server::start("plugbay", &mut server::host(workspace, &config))?;
        host.answers(admin, "/readyz")?;
        self.running.push(host);

        let put = http::request(kv, "PUT", "/value", &[b'v'; 256]).context("PUT /value")?;
        if put.status != 204 {
            return Err(Failure(format!("PUT /value was answered {}: {}", put.status, put.body)));
        }
        self.add(Case::Reused, reused, "/hello", CONNECTIONS);
        self.add(Case::Fresh, fresh, "/hello", CONNECTIONS);
        self.add(Case::OneKey, kv, "/value", CONNECTIONS);
        self.add(Case::OneCommitter, kv, "/commit", 1);
        self.add(Case::ManyCommitters, kv, "/commit", 32);
        Ok(())
    }

    fn add(&mut self, case: Case, address: SocketAddr, path: &str, connections: u32) {
        self.cases.push((case, format!("http://{address}{path}"), connections));
    }
}

fn configuration(reused: SocketAddr, fresh: SocketAddr, kv: SocketAddr, admin: SocketAddr) -> String {
    format!(
        r#"admin.bind = "{admin}"
log.filter = "warn"
listener = [{{ name = "reused", bind = "{reused}" }}, {{ name = "fresh", bind = "{fresh}" }}, {{ name = "kv", bind = "{kv}" }}]

[plugin.hello]
mounts = [{{ listener = "reused" }}]

[plugin.hello-fresh]
file = "hello.wasm"
isolation = "request"
mounts = [{{ listener = "fresh" }}]

[plugin.bench-kv]
mounts = [{{ listener = "kv" }}]
"#
    )
}
