//! One version of a plugin: a checked component, its instances, and the way into them.
//!
//! A call passes the breaker, then the plugin's admission, then takes an idle instance or makes one.
//! Versions of one plugin share the admission and the budgets, so a swap does not double them. A
//! version that was replaced goes on serving what it began, until it is empty or the drain deadline
//! cancels the rest.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::admission::Refused;
use super::bindings::{job_runner, resumption, types};
use super::breaker::Breaker;
use super::instance::{Instance, Returned, Stopped, Template, Work, within};
use super::surfaces::Surfaces;
use super::{Call, Digest, Plugin};
use crate::config::Isolation;

/// Why a call into a plugin did not return.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CallError {
    /// Too many calls wait already, or this one waited too long.
    #[error("the plugin has more requests than it may work on: {0}")]
    Busy(&'static str),
    /// The plugin failed again and again and is given a rest.
    #[error("the plugin failed repeatedly and is resting")]
    Resting(Duration),
    /// The host has no instance left for it.
    #[error("the host has no instance left for the plugin")]
    Exhausted,
    /// It took longer than the operator allows.
    #[error("the plugin did not answer in time")]
    Deadline,
    /// The guest trapped; the log has the report.
    #[error("the plugin failed")]
    Failed(&'static str),
    /// The version is gone: replaced or removed, and its drain deadline is over.
    #[error("the plugin version was replaced")]
    Gone,
}

/// A version of a plugin, loaded.
pub struct Version {
    /// Whose version it is.
    pub plugin: Arc<Plugin>,
    /// Its component's content.
    pub digest: Digest,
    /// What the plugin calls it.
    pub label: String,
    /// Version of what it keeps in its key space.
    pub schema: u32,
    /// Its route tables.
    pub surfaces: Arc<Surfaces>,
    /// A newer version serves, or none: parked requests start afresh.
    pub retired: AtomicBool,
    /// Cancelled when the drain deadline is over.
    pub cancelled: CancellationToken,
    template: Template,
    idle: Mutex<Vec<Instance>>,
    breaker: Breaker,
    under_way: TaskTracker,
}

impl Version {
    /// A version made of these parts, serving nobody yet.
    pub fn new(
        plugin: Arc<Plugin>,
        digest: Digest,
        label: String,
        schema: u32,
        surfaces: Surfaces,
        template: Template,
    ) -> Self {
        Self {
            breaker: Breaker::new(plugin.config.breaker.clone()),
            plugin,
            digest,
            label,
            schema,
            surfaces: Arc::new(surfaces),
            retired: AtomicBool::new(false),
            cancelled: CancellationToken::new(),
            template,
            idle: Mutex::default(),
            under_way: TaskTracker::new(),
        }
    }

    /// The same version once more, serving nobody yet: for when this one was emptied in vain.
    pub fn renewed(&self) -> Self {
        Self {
            plugin: self.plugin.clone(),
            digest: self.digest,
            label: self.label.clone(),
            schema: self.schema,
            surfaces: self.surfaces.clone(),
            retired: AtomicBool::new(false),
            cancelled: CancellationToken::new(),
            template: self.template.clone(),
            idle: Mutex::default(),
            breaker: Breaker::new(self.plugin.config.breaker.clone()),
            under_way: TaskTracker::new(),
        }
    }

    /// Whether it can resume requests. If not, a parked request is handled again from the start.
    pub fn resumes(&self) -> bool {
        self.template.resumes()
    }

    /// Whether it runs jobs.
    pub fn runs_jobs(&self) -> bool {
        self.template.runs_jobs()
    }

    /// Held by a request from its routing to the end of its answer, so that draining waits for it.
    pub fn track(&self) -> TaskTrackerToken {
        self.under_way.token()
    }

    /// Whether its breaker holds calls back.
    pub fn resting(&self) -> bool {
        self.breaker.is_open()
    }

    /// Requests between their routing and the end of their answer.
    pub fn requests(&self) -> usize {
        self.under_way.len()
    }

    /// `handle` or `resume`. The call is on the heap, so that a request that is parked afterwards does not go on
    /// holding the room for it.
    pub async fn step(&self, call: &Arc<Call>, work: &Work<'_>) -> Result<types::Step, CallError> {
        match Box::pin(self.call(call, self.plugin.deadline(), work)).await? {
            Returned::Step(step) => Ok(step),
            Returned::Descriptor(_) | Returned::Outcome(_) => Err(CallError::Failed("host-call")),
        }
    }

    /// `run-job`.
    pub async fn run_job(&self, call: &Arc<Call>, job: job_runner::Job<'_>) -> Result<job_runner::Outcome, CallError> {
        let deadline = self.plugin.config.limits.job_deadline.get();
        match self.call(call, deadline, &Work::Job(job)).await? {
            Returned::Outcome(outcome) => Ok(outcome),
            Returned::Descriptor(_) | Returned::Step(_) => Err(CallError::Failed("host-call")),
        }
    }

    /// `resume` with what became of something.
    pub async fn resume(
        &self,
        call: &Arc<Call>,
        request: types::Request<'_>,
        continuation: &[u8],
        event: resumption::Event<'_>,
    ) -> Result<types::Step, CallError> {
        self.step(call, &Work::Resume(request, continuation, event)).await
    }

    async fn call(&self, call: &Arc<Call>, deadline: Duration, work: &Work<'_>) -> Result<Returned, CallError> {
        self.breaker.admit(Instant::now).map_err(|rest| {
            self.plugin.metrics.refused("resting");
            CallError::Resting(rest)
        })?;
        let _place = self.enter().await?;
        let _gauge = UnderWay::count(&self.plugin);
        let idle = self.idle.lock().pop();
        let running = pin!(self.run(idle, call, work));
        let result = within(deadline, &self.cancelled, running).await;
        match result {
            Ok(Ok((returned, instance))) => {
                self.breaker.success();
                self.keep(instance);
                Ok(returned)
            }
            Ok(Err(error)) => Err(error),
            Err(Stopped::Cancelled) => Err(CallError::Gone),
            Err(Stopped::Deadline) => {
                self.plugin.metrics.failed("deadline");
                tracing::warn!(
                    plugin = %self.plugin.name, request = %call.id, operation = %call.operation,
                    deadline_ms = deadline.as_millis() as u64, "the guest took longer than its deadline"
                );
                Err(CallError::Deadline)
            }
        }
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit, CallError> {
        self.plugin.admission.enter().await.map_err(|refused| {
            let (kind, words) = match refused {
                Refused::QueueFull => ("queue-full", "the queue is full"),
                Refused::WaitedTooLong => ("queue-wait", "it waited too long"),
            };
            self.plugin.metrics.refused(kind);
            tracing::warn!(plugin = %self.plugin.name, kind, "a request was turned away");
            CallError::Busy(words)
        })
    }

    async fn run(
        &self,
        idle: Option<Instance>,
        call: &Arc<Call>,
        work: &Work<'_>,
    ) -> Result<(Returned, Instance), CallError> {
        let mut instance = match idle {
            Some(instance) => {
                self.plugin.metrics.instances_idle.dec();
                instance
            }
            None => Box::pin(self.instantiate(call)).await?,
        };
        instance.begin(call);
        let cpu = instance.cpu();
        cpu.acquire().await;
        let result = instance.run(&self.template, work).await;
        cpu.release();
        match result {
            Ok(returned) => Ok((returned, instance)),
            Err(error) => Err(self.failed(call, instance.diagnose(&error))),
        }
    }

    async fn instantiate(&self, call: &Arc<Call>) -> Result<Instance, CallError> {
        self.plugin.metrics.instances_made.inc();
        let made = self.template.instantiate(&self.plugin, call).await;
        made.map_err(|error| self.failed(call, super::instance::Failure::of(&error, false, String::new())))
    }

    fn failed(&self, call: &Call, failure: super::Failure) -> CallError {
        self.plugin.metrics.failed(failure.kind);
        if failure.exhausted {
            tracing::warn!(plugin = %self.plugin.name, request = %call.id, "no instance left in the pool");
            return CallError::Exhausted;
        }
        tracing::error!(
            plugin = %self.plugin.name, request = %call.id, operation = %call.operation,
            kind = failure.kind, report = failure.report, "the guest failed"
        );
        if self.breaker.trap(Instant::now()) {
            tracing::error!(plugin = %self.plugin.name, "the plugin failed too often: it gets a rest");
        }
        CallError::Failed(failure.kind)
    }

    fn keep(&self, mut instance: Instance) {
        let reuse = self.plugin.config.isolation == Isolation::Reuse;
        if reuse && instance.reusable(&self.plugin) && !self.under_way.is_closed() {
            instance.end();
            self.plugin.metrics.instances_idle.inc();
            self.idle.lock().push(instance);
        }
    }

    /// Throw away idle instances that are past their bounds.
    pub fn trim(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        let (good, old): (Vec<_>, Vec<_>) = idle.into_iter().partition(|instance| instance.reusable(&self.plugin));
        self.idle.lock().extend(good);
        self.plugin.metrics.instances_idle.dec_by(i64::try_from(old.len()).unwrap_or(0));
    }

    /// Wait until nobody uses it, at most `deadline`; then cancel what is left. Returns how many
    /// requests were cancelled.
    pub async fn drain(&self, deadline: Duration) -> usize {
        self.under_way.close();
        let emptied = tokio::time::timeout(deadline, self.under_way.wait()).await.is_ok();
        let left = if emptied { 0 } else { self.under_way.len() };
        self.cancelled.cancel();
        let idle = std::mem::take(&mut *self.idle.lock());
        self.plugin.metrics.instances_idle.dec_by(i64::try_from(idle.len()).unwrap_or(0));
        left
    }
}

/// A call counted in the gauge of those under way.
struct UnderWay<'a>(&'a Plugin);

impl<'a> UnderWay<'a> {
    fn count(plugin: &'a Plugin) -> Self {
        plugin.metrics.under_way.inc();
        Self(plugin)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.metrics.under_way.dec();
    }
}
