//! Servers started by a task, and ended with it: by id, never by name.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::{Context, Failure, Outcome};
use crate::http;
use crate::workspace::Workspace;

/// How long a server may take to answer, or to end, before the task gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
}

/// The host with this configuration file.
pub fn host(workspace: &Workspace, config: &Path) -> Command {
    let mut host = Command::new(workspace.host());
    host.arg("--config").arg(config);
    host
}

impl Server {
    /// Start a server. It gets no `RUST_BACKTRACE`, which would have it collect one for each error.
    pub fn start(name: &str, command: &mut Command) -> Outcome<Self> {
        command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context(name)?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Wait until a path is answered with 200. The time it took.
    pub fn answers(&mut self, address: SocketAddr, path: &str) -> Outcome<Duration> {
        let start = Instant::now();
        loop {
            if http::get(address, path).is_ok_and(|answer| answer.status == 200) {
                return Ok(start.elapsed());
            }
            if let Some(status) = self.child.try_wait().context(&self.name)? {
                return Err(Failure(format!("{} ended before it served ({status})", self.name)));
            }
            if start.elapsed() > PATIENCE {
                return Err(Failure(format!("{} did not answer http://{address}{path} with 200 in time", self.name)));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> Outcome<u64> {
        self.memory("VmRSS:")
    }

    /// The most it ever was.
    pub fn most_resident(&self) -> Outcome<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> Outcome<u64> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&file).context(&file)?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| Failure(format!("{file} has no {name}")))
    }

    /// Ask it to end, and wait until it has.
    pub fn stop(mut self) -> Outcome {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().context("kill")?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.child.try_wait().context(&self.name)?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(Failure(format!("{} did not end in time", self.name)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address on this machine that was free a moment ago.
pub fn free_address() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    listener.local_addr().context("a free port")
}
