//! The process of a load balancer: start, reload, stop, delete.
//!
//! What to do is decided by a table over what was asked and whether the process runs; what came of it is judged by the process,
//! never by a pid file. A 202 means that haproxy answers on its socket with the new configuration.

use super::store::{self, PROGRAM, Unfit, path};
use super::{config, rendering, stat};
use crate::agent_conf::{self, SINGLE};
use crate::context::Context;
use crate::files;
use crate::machine::{Fault, State};
use crate::names::Id;
use crate::plug::announce;
use crate::recovery;
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

/// What an action comes to. A reload of what does not run is a start: the controller relies on it. A stop of what does not
/// run is one too: it might be about to be started again.
pub fn decide(action: Action, running: bool) -> Deed {
    match (action, running) {
        (Action::Start | Action::Reload, false) => Deed::Launch,
        (Action::Start, true) => Deed::Nothing,
        (Action::Reload, true) => Deed::Replace,
        (Action::Stop, _) => Deed::End,
    }
}

/// Time for a new worker to answer. With the check before it, an action ends before the controller's 60 seconds.
const SETTLE_MS: u64 = 15_000;
/// Time of one question while settling, and of those before a reload.
const ANSWER_MS: u32 = 2_000;
/// Between two looks: soon at first, then less often.
const PAUSES_MS: (u32, u32) = (20, 200);

/// Time for connections to end when stopped.
const GRACE_MS: u32 = 5_000;

/// Starts of one reload while the process keeps dying.
const TRIES: u32 = 3;

/// `SIGUSR2`: the master reads its configuration again.
const RELOAD_SIGNAL: i32 = 12;

/// How the names of haproxy's processes begin.
pub const PROCESS: &str = "haproxy-";

/// The name under which the process of a load balancer is started.
pub fn process(lb: &Id) -> String {
    format!("{PROCESS}{lb}")
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
    let running = runs(context, &process(lb))?;
    let deed = decide(action, running);
    let verb = match (deed, action) {
        (Deed::Launch, _) | (_, Action::Start) => "starting",
        (_, Action::Reload) => "reloading",
        (_, Action::Stop) => "stoping",
    };
    let name = process(lb);
    let result = match deed {
        Deed::Launch => recovery::held(context, &name, || launch(context, lb, text, action)),
        Deed::Replace => recovery::held(context, &name, || replace(context, lb, text)),
        Deed::End => end(context, lb).map_err(said),
        Deed::Nothing => Ok(()),
    };
    result.map_err(|unfit| match unfit {
        Unfit::Invalid(output) => Refusal::detailed(500, format!("Error {verb} haproxy"), output),
        Unfit::Refused(refusal) => refusal,
    })?;
    let single = || agent_conf::in_force(context).is_ok_and(|agent| agent.loadbalancer_topology == SINGLE);
    if matches!(deed, Deed::Launch | Deed::Replace) && single() {
        announce::later(&config::addresses(text));
    }
    Ok(match (action, deed) {
        (Action::Stop, _) => format!("Listener {lb} stoped"),
        (Action::Reload, Deed::Replace) => format!("Listener {lb} reloaded"),
        _ => format!("Configuration file is valid\nhaproxy daemon for {lb} started"),
    })
}

/// Check the stored configuration again and make its copy the one that is run.
fn adopt(context: Context<'_>, lb: &Id, text: &str) -> Result<(), Unfit> {
    let candidate = store::prepare(context, lb, text, &peer(context, lb)?)?;
    Ok(context.files.rename(&candidate, &running_copy(lb))?)
}

fn peer(context: Context<'_>, lb: &Id) -> Result<String, files::Error> {
    Ok(context.files.text(&path(lb, "peer"))?.unwrap_or_default())
}

fn running_copy(lb: &Id) -> String {
    path(lb, "haproxy.run.cfg")
}

fn pid_file(lb: &Id) -> String {
    path(lb, &format!("{lb}.pid"))
}

fn launch(context: Context<'_>, lb: &Id, text: &str, action: Action) -> Result<(), Unfit> {
    adopt(context, lb, text)?;
    match begin(context, lb)? {
        Begun::Serves => Ok(()),
        // Another call was first, perhaps with an older configuration.
        Begun::RunsAlready if action == Action::Reload => replace(context, lb, text),
        Begun::RunsAlready => Ok(()),
        Begun::Died(words) => {
            // A start that failed is over: nothing starts it again but the controller.
            context.machine.stop(&process(lb), 0)?;
            Err(Unfit::Invalid(words))
        }
        Begun::Silent(words) => Err(Unfit::Invalid(words)),
    }
}

/// What came of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It answers.
    Serves,
    /// Something else started it meanwhile.
    RunsAlready,
    /// It has ended; its last words.
    Died(String),
    /// It runs and does not answer; its last words.
    Silent(String),
}

/// Start haproxy with the copy that is run.
///
/// # Errors
/// If it cannot be started.
pub fn begin(context: Context<'_>, lb: &Id) -> Result<Begun, Unfit> {
    let directory = context.machine.directory()?;
    let name = process(lb);
    let config = store::config_args(context, &format!("{directory}/{}", running_copy(lb)), &directory);
    let args = args(config, format!("{directory}/{}", pid_file(lb)), peer(context, lb)?);
    if let Err(fault) = context.machine.start(&name, PROGRAM, &args) {
        return if runs(context, &name)? { Ok(Begun::RunsAlready) } else { Err(said(fault)) };
    }
    Ok(match settle(context, lb, &Before::default())? {
        Outcome::Serves => Begun::Serves,
        Outcome::Died => Begun::Died(last_words(context, &name)),
        Outcome::Unchanged => Begun::Silent(last_words(context, &name)),
    })
}

/// haproxy as a master with workers, in the foreground.
fn args(config: Vec<String>, pid_file: String, peer: String) -> Vec<String> {
    let mut args = vec!["-Ws".to_owned()];
    args.extend(config);
    args.extend(["-p".to_owned(), pid_file, "-L".to_owned(), peer]);
    args
}

fn replace(context: Context<'_>, lb: &Id, text: &str) -> Result<(), Unfit> {
    // Without the states, servers begin as healthy: worth trying, not worth failing for.
    if let Ok(states) = context.machine.dialogue(&socket(lb), "show servers state", ANSWER_MS) {
        context.files.write(&path(lb, "servers-state"), states.as_bytes())?;
    }
    let old = context.files.read(&running_copy(lb))?;
    adopt(context, lb, text)?;
    let name = process(lb);
    let before = Before { worker: worker(context, lb), printed: context.machine.printed(&name).unwrap_or_default() };
    context.machine.signal(&name, RELOAD_SIGNAL).map_err(said)?;
    match settle(context, lb, &before)? {
        Outcome::Serves => Ok(()),
        Outcome::Unchanged => {
            // The old worker serves on; what it would be started with again is what it runs.
            if let Some(old) = old {
                context.files.write(&running_copy(lb), &old)?;
            }
            Err(Unfit::Invalid(words_since(context, &name, &before.printed)))
        }
        Outcome::Died => relaunch(context, lb),
    }
}

/// Start again what died of a reload; the last failure if none of the tries helps.
fn relaunch(context: Context<'_>, lb: &Id) -> Result<(), Unfit> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match begin(context, lb)? {
            Begun::Serves | Begun::RunsAlready => return Ok(()),
            Begun::Died(words) => last = words,
            Begun::Silent(words) => return Err(Unfit::Invalid(words)),
        }
    }
    Err(Unfit::Invalid(last))
}

enum Outcome {
    /// A worker that was not there before answers.
    Serves,
    /// The process has ended.
    Died,
    /// It runs, but as before, or without an answer.
    Unchanged,
}

/// How a process was before it was told to do something.
#[derive(Default)]
struct Before {
    /// Process id of the worker that answered.
    worker: Option<String>,
    /// The end of what was printed.
    printed: String,
}

/// What haproxy's master prints when it goes on with the old worker.
const FAILURES: [&str; 2] = ["Loading failure", "Failed to load worker"];

/// Wait until the process answers by another worker than before, has ended, or says that it goes on as before.
fn settle(context: Context<'_>, lb: &Id, before: &Before) -> Result<Outcome, Unfit> {
    let name = process(lb);
    let until = context.machine.now() + SETTLE_MS;
    let (mut pause, longest) = PAUSES_MS;
    loop {
        if !runs(context, &name)? {
            return Ok(Outcome::Died);
        }
        let now = worker(context, lb);
        if now.is_some() && now != before.worker {
            return Ok(Outcome::Serves);
        }
        let failed = before.worker.is_some() && {
            let printed = context.machine.printed(&name).unwrap_or_default();
            FAILURES.iter().any(|failure| since(&before.printed, &printed).contains(failure))
        };
        if failed || context.machine.now() >= until {
            return Ok(Outcome::Unchanged);
        }
        context.machine.pause(pause);
        pause = longest.min(pause * 2);
    }
}

/// What was printed after the end of `before`, of which only the end of either is known; nothing if they do not meet.
fn since<'a>(before: &str, now: &'a str) -> &'a str {
    let end: Vec<char> = before.chars().rev().take(MEETING).collect();
    let end: String = end.into_iter().rev().collect();
    now.rfind(&end).and_then(|at| now.get(at + end.len()..)).unwrap_or_default()
}

/// Characters by which printed text is found again.
const MEETING: usize = 400;

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
    Unfit::Invalid(fault.to_string())
}

/// The last that haproxy printed, with the controller's paths.
fn last_words(context: Context<'_>, name: &str) -> String {
    as_known(context, &context.machine.printed(name).unwrap_or_default())
}

/// What it printed since then; all that is known, if that cannot be told apart.
fn words_since(context: Context<'_>, name: &str, before: &str) -> String {
    let printed = context.machine.printed(name).unwrap_or_default();
    let new = since(before, &printed);
    as_known(context, if new.is_empty() { &printed } else { new })
}

fn as_known(context: Context<'_>, words: &str) -> String {
    let directory = context.machine.directory().unwrap_or_default();
    rendering::told(words, context.settings, &directory).replace("/haproxy.run.cfg", "/haproxy.cfg")
}

/// Have it not run. Its files of the time when it ran are removed: others would take them for signs of life.
fn end(context: Context<'_>, lb: &Id) -> Result<(), Fault> {
    let name = process(lb);
    recovery::held(context, &name, || context.machine.stop(&name, GRACE_MS))?;
    context.files.remove(&pid_file(lb))?;
    Ok(context.files.remove(&socket(lb))?)
}

/// End a load balancer and forget all of it: process, socket, certificates, configuration.
///
/// # Errors
/// 500 if it does not end; then all of it is still there.
pub fn delete(context: Context<'_>, lb: &Id) -> Result<(), Refusal> {
    end(context, lb).map_err(failed("Error stopping haproxy"))?;
    context.files.remove(&format!("certs/{lb}"))?;
    Ok(context.files.remove(lb.text())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_printed_since_is_found_where_the_texts_meet() {
        assert_eq!(since("abc", "abcdef"), "def");
        assert_eq!(since("", "def"), "");
        assert_eq!(since("abc", "xyz"), "");
        let long = "line 1\n".repeat(100) + "line 2\n";
        let kept = format!("{}new", &long[300..]);
        assert_eq!(since(&long, &kept), "new");
    }

    proptest! {
        #[test]
        fn what_follows_is_never_more_than_what_is_new(before in "\\PC{0,500}", new in "\\PC{0,50}", cut in 0usize..50) {
            let now = format!("{before}{new}");
            let kept: String = now.chars().skip(cut.min(now.chars().count())).collect();
            prop_assert!(new.ends_with(since(&before, &kept)) || before.is_empty());
        }
    }
}
