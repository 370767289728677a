//! What ended without being told to is started again, as an init system would do it.
//!
//! At once the first time, then after waits that grow, and after [`MOST`] ends within [`WINDOW_MS`] no more: then the
//! controller has to say start or reload. Whether that is so is kept in a file for each process, which a start by the controller
//! removes. A process whose configuration is gone, or that runs again, is left alone, and so is one while the controller starts or
//! stops it: if that fails the controller is told, and nothing else tries.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::files;
use crate::haproxy::lifecycle::{self, Begun};
use crate::haproxy::store::{self, Unfit};
use crate::keepalived::{lvs, vrrp};
use crate::machine::State;
use crate::names::Id;

/// Ends that count together.
const WINDOW_MS: u64 = 600_000;

/// Ends within the window after which there are no more starts.
const MOST: usize = 8;

/// Longest that a call of the controller keeps this from acting; it ends before.
const HELD_MS: u64 = 60_000;

/// Between two looks while it does.
const HELD_LOOK_MS: u64 = 1_000;

/// A process that this plugin starts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Service {
    Balancer(Id),
    Vrrp,
    Lvs(Id),
}

/// What is to come after a look at an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Done,
    /// Another look after so many milliseconds.
    LookAgain(u64),
}

/// The ends of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct History {
    /// Those that count, in milliseconds since 1970.
    ends: Vec<u64>,
    /// When it is to be started again; none if no end is being dealt with.
    due: Option<u64>,
    /// Until when it is left alone.
    #[serde(default)]
    held: Option<u64>,
}

impl History {
    /// Count an end. How long to wait before the next start; none if there is to be none.
    fn count(&mut self, now: u64) -> Option<u64> {
        self.ends.retain(|&end| end <= now && now - end < WINDOW_MS);
        self.ends.push(now);
        let count = self.ends.len();
        if count > MOST {
            return None;
        }
        let wait = if count == 1 { 0 } else { 1000 << (count - 2) };
        self.due = Some(now + wait);
        Some(wait)
    }
}

impl Service {
    fn of(name: &str) -> Option<Service> {
        if name == vrrp::PROCESS {
            return Some(Service::Vrrp);
        }
        let listener = name.strip_prefix(lvs::PROCESS).and_then(Id::parse).map(Service::Lvs);
        listener.or_else(|| name.strip_prefix(lifecycle::PROCESS).and_then(Id::parse).map(Service::Balancer))
    }

    fn is_configured(&self, context: Context<'_>) -> Result<bool, files::Error> {
        match self {
            Service::Balancer(lb) => Ok(store::stored(context.files, lb)?.is_some()),
            Service::Vrrp => vrrp::is_configured(context),
            Service::Lvs(id) => Ok(lvs::stored(context.files, id)?.is_some()),
        }
    }

    fn begin(&self, context: Context<'_>) -> Result<Begun, String> {
        match self {
            Service::Balancer(lb) => lifecycle::begin(context, lb).map_err(|unfit| match unfit {
                Unfit::Invalid(words) => words,
                Unfit::Refused(refusal) => refusal.document().to_string(),
            }),
            Service::Vrrp => vrrp::begin(context).map_err(|fault| fault.to_string()),
            Service::Lvs(id) => lvs::begin(context, id).map_err(|fault| fault.to_string()),
        }
    }
}

fn path(name: &str) -> String {
    format!("run/ended/{name}.json")
}

/// Start, replace or stop a process because the controller wants it: its ends until then are forgotten, and one meanwhile is
/// that call's to deal with.
///
/// # Errors
/// Those of the call, and of the directory.
pub fn held<T, E: From<files::Error>>(
    context: Context<'_>,
    name: &str,
    act: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let held = History { held: Some(context.machine.now() + HELD_MS), ..History::default() };
    // Numbers and lists of them are always JSON.
    context.files.write(&path(name), &serde_json::to_vec(&held).unwrap_or_default())?;
    let done = act();
    forget(context, name)?;
    done
}

/// Forget the ends of a process.
///
/// # Errors
/// If the file cannot be removed.
pub fn forget(context: Context<'_>, name: &str) -> Result<(), files::Error> {
    context.files.remove(&path(name))
}

/// A process has ended, or it is time for another look at one that has.
///
/// # Errors
/// In words for the log, if nothing can be found out.
pub fn look(context: Context<'_>, name: &str) -> Result<Next, String> {
    let Some(service) = Service::of(name) else { return Ok(Next::Done) };
    let state = context.machine.status(name).map_err(|fault| fault.to_string())?;
    let Some(State::Exited(status)) = state else { return Ok(Next::Done) };
    if !service.is_configured(context).map_err(|error| error.to_string())? {
        forget(context, name).map_err(|error| error.to_string())?;
        return Ok(Next::Done);
    }
    let now = context.machine.now();
    let mut history = read(context, name)?;
    if history.held.take().is_some_and(|until| until > now && until - now <= HELD_MS) {
        return Ok(Next::LookAgain(HELD_LOOK_MS));
    }
    match history.due {
        // A clock that was set back is no reason to wait longer than the longest wait.
        Some(due) if due > now => return Ok(Next::LookAgain((due - now).min(1000 << MOST))),
        Some(_) => {}
        None => {
            let status = status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
            let words = context.machine.printed(name).unwrap_or_default();
            plugbay_sdk::error!("{name} has ended, status {status}: {}", words.trim());
            if let Some(next) = after_end(context, name, &mut history, now)? {
                return Ok(next);
            }
        }
    }
    history.due = None;
    keep(context, name, &history)?;
    match service.begin(context) {
        Ok(Begun::Serves | Begun::RunsAlready) => plugbay_sdk::info!("{name} was started again"),
        Ok(Begun::Silent(words)) => plugbay_sdk::warn!("{name} was started again and does not answer: {words}"),
        // Of this end the host tells as well.
        Ok(Begun::Died(_)) => {}
        Err(why) => {
            plugbay_sdk::error!("{name} cannot be started again: {why}");
            return Ok(after_end(context, name, &mut history, now)?.unwrap_or(Next::LookAgain(1000)));
        }
    }
    Ok(Next::Done)
}

/// Count an end. What is next; none if that is a start, at once.
fn after_end(context: Context<'_>, name: &str, history: &mut History, now: u64) -> Result<Option<Next>, String> {
    let wait = history.count(now);
    keep(context, name, history)?;
    Ok(match wait {
        Some(0) => None,
        Some(wait) => Some(Next::LookAgain(wait)),
        None => {
            plugbay_sdk::error!("{name} has ended {MOST} times in a short time and is not started again");
            Some(Next::Done)
        }
    })
}

fn read(context: Context<'_>, name: &str) -> Result<History, String> {
    let bytes = context.files.read(&path(name)).map_err(|error| error.to_string())?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

fn keep(context: Context<'_>, name: &str, history: &History) -> Result<(), String> {
    let bytes = serde_json::to_vec(history).map_err(|error| error.to_string())?;
    context.files.write(&path(name), &bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_come_to_an_end() {
        let mut history = History::default();
        let waits: Vec<_> = (0..9).map(|second| history.count(second * 1000)).collect();
        let expected = [0, 1, 2, 4, 8, 16, 32, 64].map(|seconds| Some(seconds * 1000));
        assert_eq!(waits[..8], expected);
        assert_eq!(waits[8], None);
    }

    #[test]
    fn ends_long_ago_do_not_count() {
        let mut history = History { ends: vec![0, 1, 2], ..History::default() };
        assert_eq!(history.count(WINDOW_MS + 2), Some(0));
    }

    #[test]
    fn names_of_processes_say_what_they_are() {
        let id = Id::parse("a").unwrap();
        assert_eq!(Service::of(&lifecycle::process(&id)), Some(Service::Balancer(id.clone())));
        assert_eq!(Service::of(&lvs::process(&id)), Some(Service::Lvs(id)));
        assert_eq!(Service::of(vrrp::PROCESS), Some(Service::Vrrp));
        assert_eq!(Service::of("sh"), None);
    }
}
