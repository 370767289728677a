//! LVS listeners (UDP and SCTP): a keepalived configuration and process each.

use plugbay_sdk::Answer;

use super::{scripts, vrrp};
use crate::context::Context;
use crate::digest::md5_hex;
use crate::files::{self, Files};
use crate::haproxy::lifecycle::{Action, Begun, Deed, decide, runs};
use crate::haproxy::store::bad_id;
use crate::machine::Fault;
use crate::names::Id;
use crate::refusal::{Refusal, failed, ok, ok_with, tagged};

/// Name of the program that tells LVS's counters, among those that the operator lists.
pub const IPVSADM: &str = "ipvsadm";

const PREFIX: &str = "octavia-keepalivedlvs-";
const SUFFIX: &str = ".conf";
const GRACE_MS: u32 = 5_000;

fn path(id: &Id, suffix: &str) -> String {
    format!("lvs/{PREFIX}{id}{suffix}")
}

/// How the names of the processes of listeners begin.
pub const PROCESS: &str = "keepalived-lvs-";

/// The name under which the process of a listener is started.
pub fn process(id: &Id) -> String {
    format!("{PROCESS}{id}")
}

/// The stored configuration; none if the listener is not known.
///
/// # Errors
/// If the directory cannot be read.
pub fn stored(files: &dyn Files, id: &Id) -> Result<Option<String>, files::Error> {
    files.text(&path(id, SUFFIX))
}

/// The listeners that are known, in order.
///
/// # Errors
/// If the directory cannot be read.
pub fn listeners(files: &dyn Files) -> Result<Vec<Id>, files::Error> {
    let id = |name: &String| Id::parse(name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?);
    Ok(files.names("lvs")?.iter().filter_map(id).collect())
}

/// Whether a configuration forwards anything.
pub fn has_virtual_server(text: &str) -> bool {
    text.lines().any(|line| line.split_whitespace().next() == Some("virtual_server"))
}

/// `PUT /1.0/listeners/{amphora}/{listener}/udp_listener`. Its syntax is not checked; commands in it are.
///
/// # Errors
/// 400 for a command that may not be run.
pub fn upload(context: Context<'_>, id: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let listener = Id::parse(id).ok_or_else(|| bad_id(id))?;
    if let Some(why) = scripts::refusal(&String::from_utf8_lossy(body), context.settings) {
        return Err(Refusal::detailed(400, "Invalid request", why));
    }
    context.files.write(&path(&listener, SUFFIX), body)?;
    Ok(tagged(ok(200), &md5_hex(body)))
}

/// `GET /1.0/listeners/{listener}/udp_listener`.
///
/// # Errors
/// 404 if it is not known.
pub fn download(context: Context<'_>, id: &str) -> Result<Answer, Refusal> {
    let bytes = match Id::parse(id) {
        Some(listener) => context.files.read(&path(&listener, SUFFIX))?,
        None => None,
    };
    let missing = || Refusal::detailed(404, "UDP Listener Not Found", format!("No UDP listener with UUID: {id}"));
    Ok(Answer::bytes(200, "text/plain; charset=UTF-8", bytes.ok_or_else(missing)?))
}

/// Start, restart or stop the process of a listener that is known. LVS has no reload.
///
/// # Errors
/// 500 if it fails.
pub fn act(context: Context<'_>, id: &Id, action: Action) -> Result<Answer, Refusal> {
    let name = process(id);
    let verb = if action == Action::Reload { "restart" } else { action.name() };
    let stop = || context.machine.stop(&name, GRACE_MS);
    let outcome = runs(context, &name).and_then(|running| match decide(action, running) {
        Deed::Launch => launch(context, id),
        Deed::Replace => stop().and_then(|()| launch(context, id)),
        Deed::End => stop(),
        Deed::Nothing => Ok(()),
    });
    outcome.map_err(failed(&format!("Failed to {verb} keepalivedlvs listener {id}")))?;
    let done = match action {
        Action::Start => "started",
        Action::Stop => "stoped",
        Action::Reload => "restarted",
    };
    Ok(ok_with(202, format!("keepalivedlvs listener {id} {done}")))
}

fn launch(context: Context<'_>, id: &Id) -> Result<(), Fault> {
    vrrp::launched(context, &process(id), begin(context, id)?)
}

/// Start the process of a listener.
///
/// # Errors
/// If it cannot be started.
pub fn begin(context: Context<'_>, id: &Id) -> Result<Begun, Fault> {
    let directory = context.machine.directory()?;
    let file = |suffix: &str| format!("{directory}/{}", path(id, suffix));
    let files = [("-p", file(".pid")), ("-r", file(".vrrp.pid")), ("-c", file(".check.pid"))];
    vrrp::start(context, &process(id), &vrrp::args(&file(SUFFIX), &files))
}

/// End a listener and forget it.
///
/// # Errors
/// 500 if it does not end.
pub fn delete(context: Context<'_>, id: &Id) -> Result<(), Refusal> {
    let name = process(id);
    let stopping = match runs(context, &name) {
        Ok(true) => context.machine.stop(&name, GRACE_MS),
        // Without processes none of them runs.
        Ok(false) | Err(Fault::Missing(_)) => Ok(()),
        Err(fault) => Err(fault),
    };
    stopping.map_err(failed("Error stopping keepalivedlvs"))?;
    for suffix in [".pid", ".vrrp.pid", ".check.pid", SUFFIX] {
        context.files.remove(&path(id, suffix))?;
    }
    Ok(())
}
