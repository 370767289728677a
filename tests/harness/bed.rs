//! A host to test: its directory, its plugin folder, its configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use plugbay::config::Config;
use plugbay::plugin::{State, Status};
use plugbay::run::Host;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::{Answer, PATIENCE, Sent, wait_until};

/// A directory with a plugin folder and a configuration, and a host that runs on it when started.
pub struct Bed {
    directory: TempDir,
    host: Option<Arc<Host>>,
    listener: String,
}

impl Bed {
    /// A directory whose configuration is one listener on any port, no admin listener, and `more`.
    pub fn new(more: &str) -> Self {
        let config = format!(
            "[admin]\nbind = \"off\"\n[plugins]\nquiet = \"50ms\"\n[[listener]]\nname = \"default\"\nbind = \"127.0.0.1:0\"\n{more}"
        );
        Self::with_config(&config)
    }

    /// A directory with exactly this configuration.
    pub fn with_config(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("plugins.d")).unwrap();
        std::fs::write(directory.path().join("plugbay.toml"), config).unwrap();
        Self { directory, host: None, listener: "default".into() }
    }

    /// The configuration of `examples/NAME`, whose listener has the example's name, on ports of the
    /// system's choosing and with its data in a directory of its own.
    pub fn example(name: &str) -> Self {
        let file = format!("{}/../examples/{name}/plugbay.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let data = format!("../../data/{name}");
        let text = text.replace(&format!("{data}/plugins.d"), "plugins.d").replace(&data, "data");
        let line = |line: &str| match line.strip_prefix("bind = \"127.0.0.1:") {
            Some(_) => "bind = \"127.0.0.1:0\"\n".to_owned(),
            None => format!("{line}\n"),
        };
        let text: String = text.lines().map(line).collect();
        Self { listener: name.into(), ..Self::with_config(&format!("{text}\n[plugins]\nquiet = \"50ms\"\n")) }
    }

    /// Replace a part of the configuration, before the start.
    pub fn change_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config_file()).unwrap();
        assert!(text.contains(from), "no {from:?} in {text}");
        std::fs::write(self.config_file(), text.replace(from, to)).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn config_file(&self) -> PathBuf {
        self.path().join("plugbay.toml")
    }

    /// Where a plugin's file is.
    pub fn plugin_file(&self, name: &str) -> PathBuf {
        self.path().join("plugins.d").join(format!("{name}.wasm"))
    }

    /// Put a plugin into the folder, at once.
    pub fn install(&self, name: &str, wasm: &[u8]) {
        let aside = self.path().join("plugins.d").join(format!("{name}.part"));
        std::fs::write(&aside, wasm).unwrap();
        std::fs::rename(aside, self.plugin_file(name)).unwrap();
    }

    /// Allow the caller with this token to be this user with these roles.
    pub fn token(&self, id: &str, roles: &[&str]) -> String {
        let new = plugbay::auth::NewToken {
            id: id.into(),
            name: None,
            project: None,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            expires: None,
            loopback_only: false,
        };
        let file = self.path().join("data/tokens.toml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        plugbay::auth::issue(&file, &new).unwrap().expose().to_owned()
    }

    /// Start the host in this process.
    pub async fn start(&mut self) {
        let config = Config::load(&self.config_file()).unwrap_or_else(|error| panic!("{error}"));
        self.host = Some(Arc::new(Host::start(config).await.unwrap_or_else(|error| panic!("{error}"))));
    }

    /// A started host with this component as the plugin `name`.
    pub async fn serving(name: &str, wasm: &[u8], more: &str) -> Self {
        let mut bed = Self::new(more);
        bed.install(name, wasm);
        bed.start().await;
        let status = bed.status(name);
        assert_eq!(status.state, State::Serving, "{:?}", status.last_error);
        bed
    }

    pub fn host(&self) -> &Host {
        self.host.as_deref().expect("the host was started")
    }

    /// Stop the host in order; returns how many connections were cut.
    pub async fn stop(&mut self) -> usize {
        let host = self.host.take().expect("the host was started");
        let host = Arc::into_inner(host).expect("nobody else holds the host");
        host.stop().await
    }

    pub fn address(&self) -> SocketAddr {
        self.host().address(&self.listener).expect("the listener is there")
    }

    pub fn status(&self, name: &str) -> Status {
        let all = self.host().registry().statuses();
        all.into_iter().find(|status| status.name == name).unwrap_or_else(|| panic!("no plugin {name}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        Sent::new("GET", path).to(self.address()).await
    }

    pub async fn send(&self, sent: Sent) -> Answer {
        sent.to(self.address()).await
    }

    /// Ask a plugin's operator surface, through the admin socket; of a host in another process, too.
    pub async fn operator(&self, plugin: &str, method: &str, path: &str) -> Answer {
        let sent = Sent::new(method, &format!("/call/{plugin}{path}"));
        sent.to_socket(&self.path().join("data/admin.sock")).await
    }

    /// Wait until a plugin's status is as wanted.
    pub async fn until(&self, what: &str, name: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        wait_until(what, || async {
            let all = self.host().registry().statuses();
            all.into_iter().find(|status| status.name == name && wanted(status))
        })
        .await
    }
}

/// The host in a process of its own, for tests that kill it. Ended when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// The other listeners that have said so since, by name.
    others: watch::Receiver<BTreeMap<String, SocketAddr>>,
}

impl Process {
    /// Start the binary on the bed's directory; returns when it serves.
    pub async fn start(bed: &Bed) -> Self {
        Self::try_start(bed).await.unwrap_or_else(|log| panic!("the host did not start:\n{log}"))
    }

    /// The same, or what it printed before it ended.
    pub async fn try_start(bed: &Bed) -> Result<Self, String> {
        Self::of(plugbay(bed), &bed.listener).await
    }

    /// Start this command of the binary, and wait until this listener is there.
    pub async fn of(mut command: Command, listener: &str) -> Result<Self, String> {
        let mut child = command
            .arg("run")
            .env("RUST_LOG", "plugbay=info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary is built");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut log = String::new();
        while let Some(line) = lines.next_line().await.expect("the log is text") {
            if let Some((_, address)) = listening(&line).filter(|(name, _)| *name == listener) {
                let (found, others) = watch::channel(BTreeMap::new());
                // Whoever does not read the log would block the host.
                tokio::spawn(async move {
                    while let Ok(Some(line)) = lines.next_line().await {
                        if let Some((name, address)) = listening(&line) {
                            found.send_modify(|all| _ = all.insert(name.to_owned(), address));
                        }
                    }
                });
                return Ok(Self { child, address, others });
            }
            log.push_str(&line);
            log.push('\n');
        }
        Err(log)
    }

    /// The address of a listener that comes after the bed's in the configuration.
    pub async fn address_of(&self, listener: &str) -> SocketAddr {
        let mut others = self.others.clone();
        let there = others.wait_for(|all| all.contains_key(listener));
        let all = timeout(PATIENCE, there).await.expect("in time").expect("the host runs");
        all[listener]
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Kill it as a power cut would: no signal it could handle.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it is ours");
    }

    /// Ask it to stop, and wait until it has.
    pub async fn terminate(mut self) -> std::process::ExitStatus {
        let id = i32::try_from(self.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is ours");
        self.child.wait().await.expect("it ends")
    }
}

/// The binary on the bed's configuration, still without a command.
pub fn plugbay(bed: &Bed) -> Command {
    let mut command = Command::new(binary());
    command.arg("--config").arg(bed.config_file()).env_remove("RUST_BACKTRACE");
    command
}

/// Name and address in the line by which the binary says that a listener serves.
fn listening(line: &str) -> Option<(&str, SocketAddr)> {
    let (_, rest) = line.split_once("listening listener=\"")?;
    let (name, rest) = rest.split_once("\" at=\"")?;
    let (_, address) = rest.split('"').next()?.split_once("://")?;
    Some((name, address.parse().ok()?))
}

/// Where the build leaves the binary.
pub fn binary() -> PathBuf {
    target().join("release/plugbay")
}

/// The directory of everything that is built.
pub fn target() -> PathBuf {
    std::env::var_os("PLUGBAY_TARGET")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from)
}
