//! LVS listeners (UDP and SCTP): a keepalived configuration and process each.

use plugbay_sdk::Answer;

use super::rendering::{self, UDP_CHECK};
use super::{ipvs, scripts, vrrp};
use crate::context::Context;
use crate::digest::md5_hex;
use crate::files::{self, Files};
use crate::haproxy::lifecycle::{Action, Begun, Deed, decide, runs};
use crate::haproxy::stat::Row;
use crate::haproxy::store::bad_id;
use crate::machine::Fault;
use crate::names::Id;
use crate::refusal::{Refusal, failed, ok, ok_with, tagged};

/// Name of the program that tells LVS's counters, among those that the operator lists.
pub const IPVSADM: &str = "ipvsadm";

const PREFIX: &str = "octavia-keepalivedlvs-";
const SUFFIX: &str = ".conf";
/// Of the copy that keepalived is given.
const RUN_SUFFIX: &str = ".run";
const TABLE_MS: u32 = 5_000;

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
/// 400 for a command that may not be run, 409 if the check that members are to be watched by cannot be.
pub fn upload(context: Context<'_>, id: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let listener = Id::parse(id).ok_or_else(|| bad_id(id))?;
    let text = String::from_utf8_lossy(body);
    if let Some(why) = scripts::refusal(&text, context.settings) {
        return Err(Refusal::detailed(400, "Invalid request", why));
    }
    if context.settings.keepalived_shell.is_none() && rendering::uses(&text, UDP_CHECK, context.settings) {
        return Err(Refusal::routing(409, rendering::needs_shell(UDP_CHECK)));
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
    let stop = || vrrp::stop(context, &name);
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
    vrrp::launched(context, &process(id), || begin(context, id))
}

/// Start the process of a listener.
///
/// # Errors
/// If it cannot be started.
pub fn begin(context: Context<'_>, id: &Id) -> Result<Begun, Fault> {
    let directory = vrrp::prepare(context, &path(id, SUFFIX), &path(id, RUN_SUFFIX))?;
    let file = |suffix: &str| format!("{directory}/{}", path(id, suffix));
    let files = [("-p", file(".pid")), ("-r", file(".vrrp.pid")), ("-c", file(".check.pid"))];
    vrrp::start(context, &process(id), &vrrp::args(&file(RUN_SUFFIX), &files))
}

/// Rows of a heartbeat for all listeners that run. Without `ipvsadm` nothing is known of them, and nothing told.
///
/// # Errors
/// In words for the log.
pub fn rows(context: Context<'_>) -> Result<Vec<Row>, String> {
    let mut running = listeners(context.files).map_err(|error| error.to_string())?;
    running.retain(|id| runs(context, &process(id)).unwrap_or(false));
    let table = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let output = context.machine.run(IPVSADM, &args, "", TABLE_MS).map_err(|fault| fault.to_string())?;
        if output.status == Some(0) { Ok(ipvs::table(&output.text)) } else { Err(output.text) }
    };
    if running.is_empty() {
        return Ok(Vec::new());
    }
    let (forwarding, traffic) = (table(&["-Ln"])?, table(&["-Ln", "--stats", "--exact"])?);
    let mut rows = Vec::new();
    for id in running {
        let text = stored(context.files, &id).map_err(|error| error.to_string())?.unwrap_or_default();
        let taken_up = is_taken_up(context, &id, &text)?;
        rows.extend(ipvs::rows(id.text(), &ipvs::listener(&text), &forwarding, &traffic, !taken_up));
    }
    Ok(rows)
}

/// Whether the process was started with the stored configuration.
fn is_taken_up(context: Context<'_>, id: &Id, text: &str) -> Result<bool, String> {
    let directory = context.machine.directory().map_err(|fault| fault.to_string())?;
    let runs = context.files.text(&path(id, RUN_SUFFIX)).map_err(|error| error.to_string())?;
    Ok(runs == Some(rendering::render(text, context.settings, &directory)?))
}

/// End a listener and forget it.
///
/// # Errors
/// 500 if it does not end.
pub fn delete(context: Context<'_>, id: &Id) -> Result<(), Refusal> {
    let name = process(id);
    let stopping = match vrrp::stop(context, &name) {
        // Without processes none of them runs.
        Err(Fault::Missing(_)) => Ok(()),
        other => other,
    };
    stopping.map_err(failed("Error stopping keepalivedlvs"))?;
    for suffix in [".pid", ".vrrp.pid", ".check.pid", RUN_SUFFIX, SUFFIX] {
        context.files.remove(&path(id, suffix))?;
    }
    Ok(())
}
