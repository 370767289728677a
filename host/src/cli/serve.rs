//! `plugbay run`: the process around a host. Log, descriptors, threads, signals.

use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::error::CliError;
use super::output;
use crate::config::{Bind, Config, Listener, Log, LogFormat};
use crate::plugin::OPERATOR_LISTENER;
use crate::run::Host;

/// More descriptors than this are not asked for, even if the hard limit is higher.
const DESCRIPTORS: u64 = 1 << 20;
/// Descriptors that are not connections: files, the store, admin, headroom.
const OWN: u64 = 512;
/// How long threads that still compute may hold up the end.
const LAST: Duration = Duration::from_secs(1);

/// Serve until a signal says stop.
pub(super) fn run(config: Config) -> Result<ExitCode, CliError> {
    without_backtraces();
    log(&config.log)?;
    raise_descriptors(&config);
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.enable_all().thread_name("plugbay");
    if config.server.worker_threads > 0 {
        threads.worker_threads(config.server.worker_threads as usize);
    }
    let runtime = threads.build().map_err(|error| CliError::file("the runtime", error))?;
    let lived = runtime.block_on(live(config));
    runtime.shutdown_timeout(LAST);
    lived.map(|()| ExitCode::SUCCESS)
}

async fn live(config: Config) -> Result<(), CliError> {
    let mut stop = Stop::new()?;
    let listeners = config.listeners.clone();
    let folder = config.plugins_dir.clone();
    let host = tokio::select! {
        started = Host::start(config) => started?,
        name = stop.asked() => {
            tracing::info!(signal = name, "stopped before it served");
            return Ok(());
        }
    };
    announce(&host, &listeners, &folder);
    let name = stop.asked().await;
    tracing::info!(signal = name, "stopping: requests under way may end; a second signal stops at once");
    tokio::select! {
        aborted = host.stop() => tracing::info!(aborted, "stopped"),
        name = stop.asked() => {
            tracing::warn!(signal = name, "stopped at once; what was acknowledged is on disk");
            std::process::exit(1);
        }
    }
    Ok(())
}

struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> Result<Self, CliError> {
        let signals = |kind| signal(kind).map_err(|error| CliError::file("signals", error));
        Ok(Self { terminate: signals(SignalKind::terminate())?, interrupt: signals(SignalKind::interrupt())? })
    }

    /// The name of the next signal to stop.
    async fn asked(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Where a listener can be reached: a URL without a path, or a socket.
fn place(host: &Host, listener: &Listener) -> String {
    let scheme = if listener.tls.is_some() { "https" } else { "http" };
    match (&listener.bind, host.address(&listener.name)) {
        (_, Some(address)) => format!("{scheme}://{address}"),
        (Bind::Unix(path), None) => format!("unix:{}", path.display()),
        (Bind::Tcp(address), None) => format!("{scheme}://{address}"),
    }
}

fn announce(host: &Host, listeners: &[Listener], folder: &std::path::Path) {
    for listener in listeners {
        tracing::info!(listener = listener.name, at = place(host, listener), "listening");
    }
    if let Some(address) = host.admin_address() {
        tracing::info!(at = %format_args!("http://{address}"), "read-only admin pages");
    }
    let table = host.registry().table();
    for mount in table.mounts().filter(|mount| mount.listener != OPERATOR_LISTENER) {
        let listener = listeners.iter().find(|listener| listener.name == mount.listener);
        let at = listener.map_or_else(String::new, |listener| place(host, listener));
        let surfaces = &mount.target.version.surfaces;
        let surface = surfaces.all.get(mount.target.surface).map(|served| served.table.surface().name.as_str());
        tracing::info!(
            plugin = mount.owner,
            surface,
            host = mount.host,
            at = format!("{at}{}/", mount.prefix),
            "mounted"
        );
    }
    if host.registry().statuses().is_empty() {
        tracing::info!(folder = %folder.display(), "no plugin yet: put NAME.wasm into the folder");
    }
}

fn log(log: &Log) -> Result<(), CliError> {
    let environment = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let (from, text) = match &environment {
        Some(text) => ("RUST_LOG", text),
        None => ("log.filter", &log.filter),
    };
    let filter = EnvFilter::try_new(text);
    let filter = filter.map_err(|error| {
        CliError::Words(format!("{from}: {text:?} is no log filter: {error}; write a level, or levels by target"))
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match log.format {
        LogFormat::Pretty => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| CliError::Words(format!("the log: {error}")))
}

/// Each connection takes a descriptor, parked requests included, and the usual soft limit of 1,024
/// would be reached long before any limit of the configuration.
fn raise_descriptors(config: &Config) {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    let mut granted = limit.current.unwrap_or(DESCRIPTORS);
    if granted < most {
        match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }) {
            Ok(()) => granted = most,
            Err(error) => tracing::warn!(%error, "the limit on open files could not be raised"),
        }
    }
    let connections: u64 = config.listeners.iter().map(|listener| u64::from(listener.limits.max_connections)).sum();
    if granted < connections.saturating_add(OWN) {
        tracing::warn!(
            descriptors = granted,
            connections,
            "fewer file descriptors than the listeners' max_connections: raise the hard limit (ulimit -Hn) or lower max_connections"
        );
    }
}

/// `RUST_BACKTRACE` asks for backtraces of panics, but errors take one too, and the engine makes an
/// error value for ordinary things, which then cost a third of a fresh instance. The variable that
/// tells the two apart has to be there when the process starts, so it starts again, as the same
/// process.
fn without_backtraces() {
    const PANICS: &str = "RUST_BACKTRACE";
    const ERRORS: &str = "RUST_LIB_BACKTRACE";
    if std::env::var_os(PANICS).is_none() || std::env::var_os(ERRORS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(ERRORS, "0").exec();
    output::say(&format!(
        "warning: {PANICS} slows plugins down and could not be limited to panics ({error}); set {ERRORS}=0"
    ));
}
