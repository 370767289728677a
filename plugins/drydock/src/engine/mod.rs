//! Tasks at work, as durable jobs.
//!
//! Every task has a job of its own. A *flow* takes its steps one after the other, a *stage* makes one part for each node and tries
//! failed ones again, a *leaf* calls a driver. Each keeps where it is under `w/TASK` and writes it in the same commit as the
//! parts it makes, so a host that stops at any moment goes on there. A task with parts parks until the first one
//! that is left has ended; the last commit of a part takes it off its parent's list.
//!
//! Invariant: whatever goes wrong with a machine, a design or another server ends in a result. A job fails only when the
//! store does, and is then tried again by the host; a part whose job was given up is counted as failed by its parent.

mod ending;
mod flow;
mod leaf;
mod loading;
mod parts;
mod reports;
mod stage;
pub mod sweep;
pub mod terminate;
mod work;

use std::time::Duration;

use plugbay_sdk::{Job, JobScope, Outcome, Plugin, kv};

use crate::fault::Broken;
use crate::settings::Settings;
use crate::store::queue::{self, Slots};
use crate::store::{keys, tasks};
use crate::task::{Role, Status, Task};
use crate::world::World;

/// Seconds between two looks at posted tasks whose job is gone.
const LOOK: u32 = 60;

/// Seconds of a day.
const DAY: u32 = 24 * 60 * 60;

/// What a task's job works with.
pub(crate) struct Engine<'a> {
    pub world: &'a World,
    pub settings: &'a Settings,
}

/// What the job is to do next.
pub(crate) type Next = Result<Outcome, Broken>;

/// Have the plugin run tasks.
pub fn attach(plugin: Plugin, world: &World) -> Plugin {
    let (of_task, of_queue, of_sweep) = (world.clone(), world.clone(), world.clone());
    plugin
        .job(tasks::JOB, move |job: &Job| run(&of_task, job))
        .job(queue::JOB, |_: &Job| -> Result<(), Broken> { queue::promote(Settings::load()?.tasks_at_once) })
        .job(sweep::JOB, move |job: &Job| sweep::run(&of_sweep, job))
        .every("sweep-daily", DAY, JobScope::Shared, |_: &Job| sweep::begin())
        .every("look-after-tasks", LOOK, JobScope::Shared, move |_: &Job| look(&of_queue))
}

fn run(world: &World, job: &Job) -> Next {
    let order: tasks::Order = job.json()?;
    let settings = Settings::load()?;
    let engine = Engine { world, settings: &settings };
    match kv::get_json::<Task>(&keys::task(&order.id))?.map(|stored| stored.value) {
        Some(task) if !task.status.has_ended() => engine.carry_on(&task),
        // Deleted, or ended by an attempt whose answer was lost.
        _ => Ok(Outcome::Done),
    }
}

impl Engine<'_> {
    fn carry_on(&self, task: &Task) -> Next {
        match task.role {
            Role::Flow => self.flow(task),
            Role::Stage => self.stage(task),
            Role::Leaf => self.leaf(task),
        }
    }

    /// Whether the posted task is to end.
    fn is_stopped(&self, task: &Task) -> Result<bool, Broken> {
        Ok(kv::get(&keys::stop(&task.root))?.is_some())
    }
}

/// Posted tasks whose job was given up end as failed, and places are given out again.
fn look(world: &World) -> Result<(), Broken> {
    let settings = Settings::load()?;
    let engine = Engine { world, settings: &settings };
    let slots = kv::get_json::<Slots>(keys::SLOTS)?.map(|slots| slots.value).unwrap_or_default();
    for id in slots.running {
        if let Some(task) = kv::get_json::<Task>(&keys::task(&id))?.map(|task| task.value)
            && !task.status.has_ended()
            && parts::is_lost(&task.job_key())?
        {
            engine.end_as_lost(&task)?;
        }
    }
    queue::promote(settings.tasks_at_once)
}

/// How long a task waits for its parts before it looks after them.
const PATIENCE: Duration = Duration::from_secs(60);

/// Status of a task that begins.
const BEGUN: Status = Status::Running;
