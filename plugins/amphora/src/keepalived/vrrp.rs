//! The keepalived of an active-standby pair: `PUT /1.0/vrrp/upload` and `PUT /1.0/vrrp/{action}`.

use plugbay_sdk::Answer;

use super::rendering::{self, VRRP_CHECK};
use super::{check, scripts};
use crate::context::Context;
use crate::digest::md5_hex;
use crate::haproxy::lifecycle::{Action, Begun, Deed, decide, runs};
use crate::machine::Fault;
use crate::recovery;
use crate::refusal::{Refusal, ok, ok_with, tagged};

/// keepalived's name among the programs that the operator lists.
pub const PROGRAM: &str = "keepalived";

/// The name under which it is started.
pub const PROCESS: &str = "keepalived-vrrp";

/// Its configuration.
pub const FILE: &str = "vrrp/octavia-keepalived.conf";

/// The copy of it that keepalived is given.
const RUN_FILE: &str = "vrrp/octavia-keepalived.run.conf";

const GRACE_MS: u32 = 5_000;

/// A configuration that keepalived cannot work with ends it within this time.
const SETTLE_MS: u64 = 1_000;

/// What it prints when the process that does the work dies: it goes on by itself, doing nothing.
const RESPAWNING: &str = "Respawning";

/// `SIGHUP`: keepalived reads its configuration again.
const RELOAD_SIGNAL: i32 = 1;

/// Keep a configuration. Its syntax is not checked; commands in it are.
///
/// # Errors
/// 400 for a command that may not be run, 500 if it cannot be kept, or the check that it names cannot be run.
pub fn upload(context: Context<'_>, body: &[u8]) -> Result<Answer, Refusal> {
    let text = String::from_utf8_lossy(body);
    if let Some(why) = scripts::refusal(&text, context.settings) {
        return Err(Refusal::detailed(400, "Invalid request", why));
    }
    if context.settings.keepalived_shell.is_none() && rendering::uses(&text, VRRP_CHECK, context.settings) {
        let why = rendering::needs_shell(VRRP_CHECK);
        return Err(Refusal::detailed(500, "Error enabling octavia-keepalived service", why));
    }
    context.files.write(FILE, body)?;
    Ok(tagged(ok(200), &md5_hex(body)))
}

/// Start, reload or stop it.
///
/// # Errors
/// 400 for another action, 500 if it fails.
pub fn act(context: Context<'_>, action: &str) -> Result<Answer, Refusal> {
    let action = Action::parse(action)?;
    let running = runs(context, PROCESS)?;
    // Other than with haproxy, a start of what runs is a reload.
    let action = if action == Action::Start && running { Action::Reload } else { action };
    let (deed, done) = match decide(action, running) {
        Deed::Launch => (launch(context), "started"),
        Deed::Replace => (reload(context), "reloaded"),
        Deed::End => (stop(context, PROCESS), "stoped"),
        Deed::Nothing => (Ok(()), "started"),
    };
    deed.map_err(crate::refusal::failed(&format!("Failed to {} octavia-keepalived service", action.name())))?;
    Ok(ok_with(202, format!("keepalived {done}")))
}

fn launch(context: Context<'_>) -> Result<(), Fault> {
    launched(context, PROCESS, || begin(context))
}

/// Have something of keepalived's not run.
///
/// # Errors
/// If it does not end.
pub fn stop(context: Context<'_>, name: &str) -> Result<(), Fault> {
    recovery::held(context, name, || context.machine.stop(name, GRACE_MS))
}

/// Start it.
///
/// # Errors
/// If there is no configuration, or it cannot be started.
pub fn begin(context: Context<'_>) -> Result<Begun, Fault> {
    let directory = prepare(context, FILE, RUN_FILE)?;
    // So that its first check finds out how things are.
    check::look(context).map_err(Fault::Failed)?;
    let file = |name: &str| format!("{directory}/vrrp/octavia-keepalived.{name}");
    // Without names of their own, its children put their pid files outside of the private directory.
    let files = [("-p", file("pid")), ("-r", file("vrrp.pid")), ("-c", file("check.pid"))];
    let args = args(&format!("{directory}/{RUN_FILE}"), &files);
    start(context, PROCESS, &args)
}

fn reload(context: Context<'_>) -> Result<(), Fault> {
    prepare(context, FILE, RUN_FILE)?;
    context.machine.signal(PROCESS, RELOAD_SIGNAL)
}

/// Write the copy that keepalived is given, and the scripts that it may run. The private directory.
///
/// # Errors
/// If there is no configuration, or it cannot be run.
pub fn prepare(context: Context<'_>, stored: &str, copy: &str) -> Result<String, Fault> {
    let directory = context.machine.directory()?;
    let text = context.files.text(stored)?;
    let text = text.ok_or_else(|| Fault::Failed("there is no configuration".to_owned()))?;
    let rendered = rendering::render(&text, context.settings, &directory).map_err(Fault::Failed)?;
    check::install(context, &directory)?;
    context.files.write(copy, rendered.as_bytes())?;
    Ok(directory)
}

/// A start that the controller wants. One that failed is over: nothing else starts it again.
///
/// # Errors
/// The last words of what ended.
pub fn launched(context: Context<'_>, name: &str, begin: impl Fn() -> Result<Begun, Fault>) -> Result<(), Fault> {
    recovery::held(context, name, || match begin()? {
        Begun::Serves | Begun::RunsAlready => Ok(()),
        Begun::Died(words) | Begun::Silent(words) => context.machine.stop(name, 0).and(Err(Fault::Failed(words))),
    })
}

/// keepalived stays in the foreground, where the host keeps it.
pub fn args(config: &str, files: &[(&str, String)]) -> Vec<String> {
    let mut args: Vec<String> = ["--dont-fork", "--log-console", "-f", config].map(str::to_owned).into();
    args.extend(files.iter().flat_map(|(flag, path)| [(*flag).to_owned(), path.clone()]));
    args
}

/// Start keepalived under a name and see whether it stays.
///
/// # Errors
/// If it cannot be started.
pub fn start(context: Context<'_>, name: &str, args: &[String]) -> Result<Begun, Fault> {
    if let Err(fault) = context.machine.start(name, PROGRAM, args) {
        return if runs(context, name)? { Ok(Begun::RunsAlready) } else { Err(fault) };
    }
    let until = context.machine.now() + SETTLE_MS;
    while context.machine.now() < until {
        let printed = || context.machine.printed(name).unwrap_or_default();
        if !runs(context, name)? {
            return Ok(Begun::Died(printed()));
        }
        if printed().contains(RESPAWNING) {
            return Ok(Begun::Silent(printed()));
        }
        context.machine.pause(100);
    }
    Ok(Begun::Serves)
}

/// Whether there ought to be one: a configuration was uploaded.
///
/// # Errors
/// If the directory cannot be read.
pub fn is_configured(context: Context<'_>) -> Result<bool, crate::files::Error> {
    Ok(context.files.read(FILE)?.is_some())
}
