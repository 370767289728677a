//! Running a plugin's jobs on its newest version.
//!
//! One runner a plugin. It starts jobs that are due while fewer than the plugin's number run, the
//! periodic ones of the version's descriptor, and `start` once for each version published. While no
//! version is published (none is loaded, or an upgrade is under way) nothing starts. A periodic job goes
//! on over a swap in its rhythm, and never beside itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::record::{Record, State};
use super::{backoff, now_ms};
use crate::plugin::bindings::job_runner::{Job, Outcome, Trigger};
use crate::plugin::{Call, CallError, Plugin, Version};
use crate::program::{self, Ended, Programs};

/// The version that serves now, if any.
pub type Newest = watch::Receiver<Option<Arc<Version>>>;

/// Longest the runner sleeps without looking: jobs that are due far ahead are no timers.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// A job that found no instance comes back after this.
const BUSY: Duration = Duration::from_secs(1);

/// Run the jobs of `plugin` until `stop`; then wait for those that run, as long as the caller does.
pub async fn run(plugin: Arc<Plugin>, mut newest: Newest, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(plugin.config.limits.job_concurrency as usize));
    let mut ends = plugin.programs.as_ref().map(Programs::watch);
    let mut runner =
        Runner { running: JoinSet::new(), version: None, periodic: BTreeMap::new(), ended: Vec::new(), places, plugin };
    loop {
        let version = newest.borrow_and_update().clone();
        runner.adopt(version);
        runner.start_due();
        let wake = runner.wake();
        let queue = runner.plugin.jobs.clone();
        tokio::select! {
            () = stop.cancelled() => break,
            changed = newest.changed() => if changed.is_err() { break },
            () = queue.shared.changed.notified() => {}
            () = tokio::time::sleep_until(wake) => {}
            end = next_end(&mut ends) => runner.ended.push(end),
            Some(_) = runner.running.join_next() => {}
        }
    }
    while runner.running.join_next().await.is_some() {}
}

/// A periodic job of the version that serves.
struct Periodic {
    every: Duration,
    next: Instant,
    /// Held by the run under way: a job that takes longer than its period is not run beside itself.
    running: Arc<tokio::sync::Mutex<()>>,
}

struct Runner {
    plugin: Arc<Plugin>,
    version: Option<Arc<Version>>,
    periodic: BTreeMap<String, Periodic>,
    /// Programs that ended and whose end no version was told yet.
    ended: Vec<Ended>,
    /// One for each job that may run at once; a parked job gives its place up.
    places: Arc<Semaphore>,
    running: JoinSet<()>,
}

impl Runner {
    fn adopt(&mut self, version: Option<Arc<Version>>) {
        let same = match (&self.version, &version) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        self.version = version.filter(|version| version.runs_jobs());
        let Some(version) = &self.version else { return };
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.periodic);
        for (name, every) in &version.surfaces.periodic {
            // A job that both versions have keeps its rhythm, and waits for the run that the old one has begun.
            let periodic = match before.remove(name) {
                Some(old) => Periodic { every: *every, next: old.next.min(now + *every), ..old },
                None => Periodic { every: *every, next: now + *every, running: Arc::default() },
            };
            self.periodic.insert(name.clone(), periodic);
        }
        self.running.spawn(start(self.plugin.clone(), version.clone()));
    }

    fn start_due(&mut self) {
        let Some(version) = &self.version else { return };
        let now = Instant::now();
        for (name, periodic) in self.periodic.iter_mut().filter(|(_, periodic)| periodic.next <= now) {
            periodic.next = now + periodic.every;
            if let Ok(turn) = periodic.running.clone().try_lock_owned() {
                self.running.spawn(once(self.plugin.clone(), version.clone(), name.clone(), turn));
            }
        }
        for end in self.ended.drain(..) {
            self.running.spawn(program_exited(self.plugin.clone(), version.clone(), end));
        }
        while let Ok(place) = self.places.clone().try_acquire_owned() {
            let Some(id) = self.plugin.jobs.shared.schedule.lock().start(now_ms()) else { break };
            self.running.spawn(stored(self.plugin.clone(), version.clone(), id, place));
        }
    }

    fn wake(&self) -> Instant {
        let now = Instant::now();
        let longest = now + LONGEST_SLEEP;
        let full = self.places.available_permits() == 0;
        if self.version.is_none() {
            return longest;
        }
        let due = self.plugin.jobs.shared.schedule.lock().next_due().filter(|_| !full);
        let due = due.map(|due| now + Duration::from_millis(u64::try_from(due - now_ms()).unwrap_or(0)));
        let periodic = self.periodic.values().map(|periodic| periodic.next).min();
        [due, periodic].into_iter().flatten().fold(longest, Instant::min)
    }
}

fn unstored<'a>(name: &'a str, trigger: Trigger<'a>, attempt: u32) -> Job<'a> {
    Job { id: name, name, attempt, trigger, payload: &[] }
}

/// One run. The pieces made in it end with it.
async fn attempt(plugin: &Plugin, version: &Version, job: Job<'_>) -> Result<Outcome, CallError> {
    let _tracked = version.track();
    let call = Call::job(job.id, job.name);
    let result = version.run_job(&call, job).await;
    plugin.metrics.job(match &result {
        Ok(Outcome::Done) => "done",
        Ok(Outcome::Failed(_)) => "failed",
        Ok(Outcome::RetryIn(_)) => "retried",
        Ok(Outcome::Park(_)) => "parked",
        Err(_) => "error",
    });
    result
}

/// Run a job that is kept nowhere until it is done, or say why it failed.
async fn until_done(plugin: &Plugin, version: &Version, job: Job<'_>) -> Result<(), String> {
    loop {
        match attempt(plugin, version, job.clone()).await {
            Ok(Outcome::Done) | Err(CallError::Gone) => return Ok(()),
            Ok(Outcome::Failed(why)) => return Err(why),
            Ok(Outcome::RetryIn(ms)) => wait(plugin, version, &[], Duration::from_millis(u64::from(ms))).await,
            Ok(Outcome::Park((watches, ms))) => {
                wait(plugin, version, &watches, Duration::from_millis(u64::from(ms))).await;
            }
            Err(error) => return Err(error.to_string()),
        }
        if version.cancelled.is_cancelled() || version.retired.load(Ordering::Acquire) {
            return Ok(());
        }
    }
}

async fn once(plugin: Arc<Plugin>, version: Arc<Version>, name: String, _turn: tokio::sync::OwnedMutexGuard<()>) {
    if let Err(why) = until_done(&plugin, &version, unstored(&name, Trigger::Periodic, 1)).await {
        tracing::warn!(plugin = %plugin.name, job = name, why, "a periodic job failed");
    }
}

async fn start(plugin: Arc<Plugin>, version: Arc<Version>) {
    for number in 1..=plugin.config.limits.job_attempts {
        let Err(why) = until_done(&plugin, &version, unstored("start", Trigger::Start, number)).await else { return };
        tracing::warn!(plugin = %plugin.name, why, "the start job failed");
        let gone = version.cancelled.cancelled();
        if tokio::time::timeout(backoff(number), gone).await.is_ok() {
            return;
        }
    }
}

/// The next end of a program; never, if there are none.
async fn next_end(ends: &mut Option<program::Watch>) -> Ended {
    match ends {
        Some(ends) => match ends.next().await {
            Some(end) => end,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Tell the plugin that a program ended. If the version goes away in the middle, the next one is told; if the host does,
/// the next host tells it.
async fn program_exited(plugin: Arc<Plugin>, version: Arc<Version>, end: Ended) {
    let Some(programs) = &plugin.programs else { return };
    for number in 1..=plugin.config.limits.job_attempts {
        let trigger = Trigger::ProgramExited((&end.name, end.exit.status));
        let told = until_done(&plugin, &version, unstored("program-exited", trigger, number)).await;
        if version.cancelled.is_cancelled() || version.retired.load(Ordering::Acquire) {
            return programs.tell_again(&end);
        }
        let Err(why) = told else { break };
        tracing::warn!(plugin = %plugin.name, program = end.name, why, "the job for the end of a program failed");
        let gone = version.cancelled.cancelled();
        if tokio::time::timeout(backoff(number), gone).await.is_ok() {
            return programs.tell_again(&end);
        }
    }
    if let Err(error) = programs.acknowledge(&end).await {
        tracing::error!(plugin = %plugin.name, program = end.name, %error, "the end of a program will be told again");
    }
}

async fn stored(plugin: Arc<Plugin>, version: Arc<Version>, id: String, place: OwnedSemaphorePermit) {
    let queue = plugin.jobs.clone();
    let next = match run_stored(&plugin, &version, &id, place).await {
        Ok(next) => next,
        Err(error) => {
            tracing::error!(plugin = %plugin.name, job = id, error, "a job's state could not be kept: it will run again");
            Next::At(now_ms() + i64::try_from(BUSY.as_millis()).unwrap_or(0))
        }
    };
    let mut schedule = queue.shared.schedule.lock();
    match next {
        Next::Never => schedule.finish(&id),
        Next::GivenUp => schedule.give_up(&id),
        Next::At(due) => schedule.again(&id, due),
    }
    drop(schedule);
    queue.shared.changed.notify_one();
}

enum Next {
    Never,
    GivenUp,
    At(i64),
}

async fn run_stored(plugin: &Plugin, version: &Version, id: &str, place: OwnedSemaphorePermit) -> Result<Next, String> {
    let queue = &plugin.jobs;
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let Some((seen, record)) = queue.record(id).await.map_err(|error| words(&error))? else {
        return Ok(Next::Never);
    };
    let payload = record.payload_bytes();
    let job = Job {
        id,
        name: &record.name,
        attempt: record.attempts.saturating_add(1),
        trigger: Trigger::Enqueued,
        payload: &payload,
    };
    let now = now_ms();
    let in_ms = |ms: u128| now_ms().saturating_add(i64::try_from(ms).unwrap_or(i64::MAX));
    let why = match attempt(plugin, version, job).await {
        Ok(Outcome::Done) => {
            queue.remove(id).await.map_err(|error| words(&error))?;
            return Ok(Next::Never);
        }
        Ok(Outcome::RetryIn(ms)) => {
            let due = now.saturating_add(i64::from(ms));
            let waiting = Record { due, state: State::Waiting, ..record };
            queue.replace(id, seen, &waiting).await.map_err(|error| words(&error))?;
            return Ok(Next::At(due));
        }
        Ok(Outcome::Park((watches, ms))) => {
            let due = now.saturating_add(i64::from(ms));
            let parked = Record { due, state: State::Parked, ..record };
            queue.replace(id, seen, &parked).await.map_err(|error| words(&error))?;
            drop(place);
            queue.shared.changed.notify_one();
            wait(plugin, version, &watches, Duration::from_millis(u64::from(ms))).await;
            return Ok(Next::At(0));
        }
        Ok(Outcome::Failed(why)) => why,
        // Nothing was wrong with the job: the plugin was busy, resting or replaced.
        Err(CallError::Busy(_) | CallError::Resting(_) | CallError::Exhausted | CallError::Gone) => {
            return Ok(Next::At(in_ms(BUSY.as_millis())));
        }
        Err(error) => error.to_string(),
    };
    let attempts = record.attempts.saturating_add(1);
    let given_up = attempts >= plugin.config.limits.job_attempts;
    tracing::warn!(plugin = %plugin.name, job = record.name, id, attempts, given_up, why, "a job failed");
    let due = in_ms(backoff(attempts).as_millis());
    let state = if given_up { State::Failed } else { State::Waiting };
    let failed = Record { due, attempts, state, last_error: Some(why), ..record };
    queue.replace(id, seen, &failed).await.map_err(|error| words(&error))?;
    Ok(if given_up { Next::GivenUp } else { Next::At(due) })
}

/// Until one of the watched keys changes, the time is up, or the version is replaced: its successor goes on then.
async fn wait(plugin: &Plugin, version: &Version, watches: &[crate::plugin::bindings::types::Watch], limit: Duration) {
    let watches: Result<Vec<_>, _> = watches.iter().map(|watch| plugin.keys.watch(watch)).collect();
    let Ok(watches) = watches else { return };
    let mut generation = plugin.generation.subscribe();
    if version.retired.load(Ordering::Acquire) {
        return;
    }
    tokio::select! {
        _ = plugin.keys.store().watch(watches) => {}
        () = tokio::time::sleep(limit) => {}
        _ = generation.changed() => {}
        () = version.cancelled.cancelled() => {}
    }
}
