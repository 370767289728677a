//! `GET details` of Amphora beside octavia's own agent, each with one load balancer, over TLS with client certificates.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::build::place;
use crate::command::{Context, Failure, Outcome, output, run};
use crate::server::{self, Server, free_address};
use crate::workspace::Workspace;

const AMPHORA: &str = "6b2f9e1c-5a3d-4c8e-9f10-2d7c4b8a1e55";

/// Answers a second, one number a round.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// On connections that are kept as long as the server keeps them, as octavia's driver asks: the plugin's.
    pub kept: Vec<f64>,
    /// A connection for each request: the plugin's.
    pub new: Vec<f64>,
    /// The agent closes after each answer: kept.
    pub agent_kept: Vec<f64>,
    /// And new.
    pub agent_new: Vec<f64>,
}

/// The clients of octavia, and the certificates for them.
struct Octavia {
    python: PathBuf,
    scripts: PathBuf,
    directory: PathBuf,
}

/// Removed when dropped.
struct Data(PathBuf);

impl Drop for Data {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ended with all that it started.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measure, or say why not: octavia is no dependency of the workspace.
pub fn measure(workspace: &Workspace, directory: &Path, rounds: usize, length: Duration) -> Outcome<Option<Details>> {
    let python = workspace.target.join("octavia/bin/python");
    if !python.exists() {
        eprintln!("no octavia in {}: its agent is not measured", python.display());
        return Ok(None);
    }
    fs::create_dir_all(directory).context(directory.display())?;
    // haproxy's sockets are below it, and their paths may not be long.
    let data = Data(std::env::temp_dir().join(format!("plugbay-bench-{}", std::process::id())));
    let of_agent = data.0.join("agent");
    let octavia = Octavia { python, scripts: workspace.root.join("tests/clients"), directory: directory.to_owned() };
    run(octavia.script("octavia_pki.py").arg(directory).arg(AMPHORA))?;
    let agent = free_address()?;
    let _agent = octavia.agent(agent, &of_agent)?;
    let (_host, plugin) = octavia.host(workspace, &data.0.join("host"))?;
    octavia.drive(agent, &of_agent.join("octavia"), &["create"])?;
    octavia.drive(plugin, Path::new("/var/lib/octavia"), &["create"])?;
    let mut details = Details::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        octavia.rates(agent, plugin, length, &mut details)?;
    }
    // Programs outlive the host.
    octavia.drive(plugin, Path::new("/var/lib/octavia"), &["create", "delete-last"])?;
    Ok(Some(details))
}

impl Octavia {
    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(self.scripts.join(name)).env("PYTHONWARNINGS", "ignore");
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn agent(&self, at: SocketAddr, directory: &Path) -> Outcome<Agent> {
        let mut command = self.script("octavia_agent.py");
        command.arg(directory).args([AMPHORA, &at.port().to_string()]);
        command
            .args([self.file("server.pem"), self.file("client_ca.pem")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut agent = Agent(command.spawn().context("octavia's agent")?);
        let mut said = String::new();
        if let Some(out) = agent.0.stdout.take() {
            BufReader::new(out).read_line(&mut said).context("octavia's agent")?;
        }
        if said.trim() == "serving" { Ok(agent) } else { Err("octavia's agent does not start; it needs root".into()) }
    }

    fn host(&self, workspace: &Workspace, data: &Path) -> Outcome<(Server, SocketAddr)> {
        let folder = self.file("plugins.d");
        fs::create_dir_all(&folder).context(folder.display())?;
        place(&workspace.plugins().join("amphora.wasm"), &folder.join("amphora.wasm"))?;
        let (address, admin) = (free_address()?, free_address()?);
        let config = self.file("plugbay.toml");
        let text = format!(
            "data_dir = {data:?}\nadmin.bind = \"{admin}\"\nlog.filter = \"error\"\n[[listener]]\nname = \"default\"\nbind = \"{address}\"\n\
             tls = {{ cert = \"server.pem\", client_auth = \"required\", client_ca = \"client_ca.pem\" }}\n\
             [plugin.amphora]\nmounts = [{{ auth = \"none\" }}]\n\
             grants = [\"filesystem\", \"process\", \"system\", \"udp\"]\n\
             programs.haproxy = {{ path = \"/usr/sbin/haproxy\", limits = {{ memory = \"512MiB\" }} }}\n\
             programs.keepalived = {{ path = \"/usr/sbin/keepalived\" }}\n"
        );
        fs::write(&config, text).context(config.display())?;
        let mut host = Server::start("plugbay", &mut server::host(workspace, &config))?;
        host.answers(admin, "/readyz")?;
        Ok((host, address))
    }

    fn drive(&self, at: SocketAddr, base: &Path, scenarios: &[&str]) -> Outcome {
        let mut driver = self.script("octavia_driver.py");
        driver.args([AMPHORA, &at.port().to_string()]).args([self.file("client.pem"), self.file("server_ca.pem")]);
        driver.args(scenarios).arg("--base-path").arg(base).arg("--patient");
        driver.args(["--http-port", &free_address()?.port().to_string()]);
        output(driver.stderr(Stdio::null())).map(drop)
    }

    fn rates(&self, agent: SocketAddr, plugin: SocketAddr, length: Duration, details: &mut Details) -> Outcome {
        let mut rate = self.script("octavia_rate.py");
        rate.arg(AMPHORA).args([self.file("client.pem"), self.file("server_ca.pem")]);
        rate.arg(length.as_secs().to_string());
        rate.args([format!("agent={}", agent.port()), format!("plugin={}", plugin.port())]);
        for line in output(&mut rate)?.lines() {
            let number = |name: &str| number(line, name).ok_or_else(|| Failure(format!("not a rate: {line}")));
            let (new, kept) = (number("\"new\": ")?, number("\"kept\": ")?);
            let of_agent = line.contains("\"agent\"");
            if of_agent { &mut details.agent_new } else { &mut details.new }.push(new);
            if of_agent { &mut details.agent_kept } else { &mut details.kept }.push(kept);
        }
        Ok(())
    }
}

fn number(line: &str, name: &str) -> Option<f64> {
    let (_, rest) = line.split_once(name)?;
    rest.split([',', '}']).next()?.trim().parse().ok()
}
