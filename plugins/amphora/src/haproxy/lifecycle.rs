//! The process of a load balancer: start, reload, stop, delete.
//!
//! What to do is decided by a table over what was asked and whether the process runs; what came of it is judged by the process,
//! never by a pid file. A 202 means that haproxy answers on its socket with the new configuration.

use super::stat;
use super::store::{self, PROGRAM, Unfit, path};
use crate::context::Context;
use crate::machine::{Fault, State};
use crate::names::Id;
use crate::refusal::{Refusal, failed};

/// What the controller may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Have it run.
    Start,
    /// Have it run with the stored configuration.
    Reload,
    /// Have it not run.
    Stop,
}

impl Action {
    /// The action of this name in any case.
    ///
    /// # Errors
    /// 400 with the name in lower case.
    pub fn parse(name: &str) -> Result<Action, Refusal> {
        let name = name.to_lowercase();
        match name.as_str() {
            "start" => Ok(Action::Start),
            "reload" => Ok(Action::Reload),
            "stop" => Ok(Action::Stop),
            _ => Err(Refusal::detailed(400, "Invalid Request", format!("Unknown action: {name}"))),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Reload => "reload",
            Action::Stop => "stop",
        }
    }
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Start the process.
    Launch,
    /// Have the running process take the stored configuration.
    Replace,
    /// End the process.
    End,
    /// It is so already.
    Nothing,
}

/// What an action comes to. A reload of what does not run is a start: the controller relies on it.
pub fn decide(action: Action, running: bool) -> Deed {
    match (action, running) {
        (Action::Start | Action::Reload, false) => Deed::Launch,
        (Action::Start, true) | (Action::Stop, false) => Deed::Nothing,
        (Action::Reload, true) => Deed::Replace,
        (Action::Stop, true) => Deed::End,
    }
}

/// Looks at a process that is starting or reloading, a pause between each two.
const LOOKS: u32 = 100;
const PAUSE_MS: u32 = 100;
const ANSWER_MS: u32 = 5_000;

/// Time for connections to end when stopped.
const GRACE_MS: u32 = 5_000;

/// Tries of one reload while the process keeps dying.
const TRIES: u32 = 3;

/// `SIGUSR2`: the master reads its configuration again.
const RELOAD_SIGNAL: i32 = 12;

/// The name under which the process of a load balancer is started.
pub fn process(lb: &Id) -> String {
    format!("haproxy-{lb}")
}

/// Whether something started under this name runs.
///
/// # Errors
/// If the machine cannot tell.
pub fn runs(context: Context<'_>, name: &str) -> Result<bool, Fault> {
    Ok(matches!(context.machine.status(name)?, Some(State::Running(_))))
}

/// Do what was asked with a load balancer that is known. What is told on success.
///
/// # Errors
/// 500 with what haproxy said.
pub fn act(context: Context<'_>, lb: &Id, text: &str, action: Action) -> Result<String, Refusal> {
    let name = process(lb);
    let running = runs(context, &name)?;
    let deed = decide(action, running);
    let verb = match (deed, action) {
        (Deed::Launch, _) | (_, Action::Start) => "starting",
        (_, Action::Reload) => "reloading",
        (_, Action::Stop) => "stoping",
    };
    let message = format!("Error {verb} haproxy");
    let result = match deed {
        Deed::Launch => launch(context, lb, text),
        Deed::Replace => replace(context, lb, text),
        Deed::End => context.machine.stop(&name, GRACE_MS).map_err(Unfit::from),
        Deed::Nothing => Ok(()),
    };
    result.map_err(|unfit| match unfit {
        Unfit::Invalid(output) => Refusal::detailed(500, &message, output),
        Unfit::Refused(refusal) => refusal,
    })?;
    Ok(match (action, deed) {
        (Action::Stop, _) => format!("Listener {lb} stoped"),
        (Action::Reload, Deed::Replace) => format!("Listener {lb} reloaded"),
        _ => format!("Configuration file is valid\nhaproxy daemon for {lb} started"),
    })
}

/// Check the stored configuration again and make its copy the one that is run.
fn adopt(context: Context<'_>, lb: &Id, text: &str) -> Result<String, Unfit> {
    let peer = context.files.text(&path(lb, "peer"))?.unwrap_or_default();
    store::prepare(context, lb, text, &peer)?;
    context.files.rename(&path(lb, "haproxy.run.cfg.new"), &path(lb, "haproxy.run.cfg"))?;
    Ok(peer)
}

fn launch(context: Context<'_>, lb: &Id, text: &str) -> Result<(), Unfit> {
    let peer = adopt(context, lb, text)?;
    let directory = context.machine.directory()?;
    let name = process(lb);
    let mut args = vec!["-Ws".to_owned()];
    args.extend(store::config_args(context, &format!("{directory}/{}", path(lb, "haproxy.run.cfg")), &directory));
    args.extend(["-p".to_owned(), format!("{directory}/{lb}/{lb}.pid"), "-L".to_owned(), peer]);
    context.machine.start(&name, PROGRAM, &args).map_err(said)?;
    settle(context, lb, None).and_then(|outcome| match outcome {
        Outcome::Serves => Ok(()),
        Outcome::Died | Outcome::Unchanged => Err(Unfit::Invalid(last_words(context, &name))),
    })
}

fn replace(context: Context<'_>, lb: &Id, text: &str) -> Result<(), Unfit> {
    // Without the states, servers begin as healthy: worth trying, not worth failing for.
    if let Ok(states) = context.machine.dialogue(&socket(lb), "show servers state", ANSWER_MS) {
        context.files.write(&path(lb, "servers-state"), states.as_bytes())?;
    }
    let running = path(lb, "haproxy.run.cfg");
    let old = context.files.read(&running)?;
    adopt(context, lb, text)?;
    let name = process(lb);
    let before = worker(context, lb);
    context.machine.signal(&name, RELOAD_SIGNAL).map_err(said)?;
    match settle(context, lb, before)? {
        Outcome::Serves => Ok(()),
        Outcome::Unchanged => {
            // The old worker serves on; what it would be started with again is what it runs.
            if let Some(old) = old {
                context.files.write(&running, &old)?;
            }
            Err(Unfit::Invalid(last_words(context, &name)))
        }
        Outcome::Died => relaunch(context, lb, text),
    }
}

/// Start again what died of a reload; the last failure if none of the tries helps.
fn relaunch(context: Context<'_>, lb: &Id, text: &str) -> Result<(), Unfit> {
    for _ in 2..TRIES {
        match launch(context, lb, text) {
            Err(Unfit::Invalid(_)) => {}
            settled => return settled,
        }
    }
    launch(context, lb, text)
}

enum Outcome {
    /// A worker that was not there before answers.
    Serves,
    /// The process has ended.
    Died,
    /// It runs, but as before, or without an answer.
    Unchanged,
}

/// Wait until the process answers by another worker than `before`, or has ended.
fn settle(context: Context<'_>, lb: &Id, before: Option<String>) -> Result<Outcome, Unfit> {
    for _ in 0..LOOKS {
        if !runs(context, &process(lb))? {
            return Ok(Outcome::Died);
        }
        let now = worker(context, lb);
        if now.is_some() && now != before {
            return Ok(Outcome::Serves);
        }
        context.machine.pause(PAUSE_MS);
    }
    Ok(Outcome::Unchanged)
}

/// Process id of the worker that answers; none if nobody does.
fn worker(context: Context<'_>, lb: &Id) -> Option<String> {
    let text = context.machine.dialogue(&socket(lb), "show info", ANSWER_MS).ok()?;
    stat::info(&text, "Pid").map(str::to_owned)
}

/// The socket of a load balancer, below the private directory.
pub fn socket(lb: &Id) -> String {
    format!("{lb}.sock")
}

fn said(fault: Fault) -> Unfit {
    match fault {
        Fault::Failed(words) => Unfit::Invalid(words),
        Fault::Missing(_) => fault.into(),
    }
}

fn last_words(context: Context<'_>, name: &str) -> String {
    context.machine.output(name).unwrap_or_default()
}

/// End a load balancer and forget all of it: process, socket, certificates, configuration.
///
/// # Errors
/// 500 if it does not end; then all of it is still there.
pub fn delete(context: Context<'_>, lb: &Id) -> Result<(), Refusal> {
    let name = process(lb);
    if runs(context, &name)? {
        context.machine.stop(&name, GRACE_MS).map_err(failed("Error stopping haproxy"))?;
    }
    context.files.remove(&socket(lb))?;
    context.files.remove(&format!("certs/{lb}"))?;
    Ok(context.files.remove(lb.text())?)
}
