//! What the plugin does by itself: heartbeats, the look at load balancers for keepalived, announcements of addresses, and
//! starting again what has ended.
//!
//! Owns when; what is done is in [`crate::heartbeat`], [`crate::keepalived::check`], [`crate::plug`] and [`crate::recovery`].

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use plugbay_sdk::{Job, JobScope, Outcome, Plugin, Trigger, config};

use crate::context::Context;
use crate::files::Files;
use crate::heartbeat::pulse;
use crate::keepalived::check;
use crate::machine::{Fault, Machine};
use crate::plug::announce::{self, announce};
use crate::plug::ports;
use crate::recovery::{self, Next};
use crate::settings::Settings;

/// Age from which a file that is not whole has no writer any more.
const ABANDONED: Duration = Duration::from_secs(600);

/// Have the plugin run its jobs over this directory and machine.
pub fn attach(plugin: Plugin, files: &Rc<dyn Files>, machine: &Rc<dyn Machine>) -> Plugin {
    // The interval may change at any time, so whether one is due is looked at every second.
    plugin
        .every(
            "heartbeat",
            1,
            JobScope::Host,
            with(files, machine, |context, _| pulse::beat(context).map(|_| Outcome::Done)),
        )
        .every(
            "vrrp-check",
            2,
            JobScope::Host,
            with(files, machine, |context, _| check::look(context).map(|()| Outcome::Done)),
        )
        .job(
            announce::JOB,
            with(files, machine, |context, job| {
                announce(context, &job.json::<Vec<IpAddr>>().map_err(|error| error.to_string())?);
                Ok(Outcome::Done)
            }),
        )
        .on_start(with(files, machine, |context, _| begun(context)))
        .other_jobs(with(files, machine, |context, job| match &job.trigger {
            Trigger::ProgramExited((name, _)) => after(context, name),
            _ => Err(format!("this version has no job named {}", job.name)),
        }))
}

/// A job's function over the context.
fn with(
    files: &Rc<dyn Files>,
    machine: &Rc<dyn Machine>,
    run: fn(Context<'_>, &Job) -> Result<Outcome, String>,
) -> impl Fn(&Job) -> Result<Outcome, String> + 'static {
    let (files, machine) = (Rc::clone(files), Rc::clone(machine));
    move |job| {
        let settings: Settings = config::load().map_err(|error| error.to_string())?;
        run(Context { files: &*files, machine: &*machine, settings: &settings }, job)
    }
}

/// This version has begun to serve.
fn begun(context: Context<'_>) -> Result<Outcome, String> {
    context.files.sweep(ABANDONED).map_err(|error| error.to_string())?;
    pulse::restarted().map_err(|error| error.to_string())?;
    // Where there are no programs there were no ports.
    match ports::restore(context) {
        Ok(()) | Err(Fault::Missing(_)) => {}
        Err(fault) => return Err(fault.to_string()),
    }
    Ok(Outcome::Done)
}

fn after(context: Context<'_>, name: &str) -> Result<Outcome, String> {
    Ok(match recovery::look(context, name)? {
        Next::Done => Outcome::Done,
        Next::LookAgain(wait) => Outcome::retry_in(Duration::from_millis(wait)),
    })
}
