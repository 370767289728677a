//! One instance of a component, and a call into it.
//!
//! Every call runs under a deadline that counts host calls too, holds a processor permit while it
//! computes, and ends in one of two ways: the instance is sound and may be used again, or it is thrown
//! away. An instance is never used again after a trap, a deadline or a caller that went away.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wasmtime::component::InstancePre;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use super::bindings::{handler, job_runner, resumption};
use super::state::GuestState;
use super::{Call, Plugin};

/// A component ready to be instantiated.
#[derive(Clone)]
pub struct Template {
    pre: InstancePre<GuestState>,
    handler: handler::GuestIndices,
    resumption: Option<resumption::GuestIndices>,
    job_runner: Option<job_runner::GuestIndices>,
}

impl Template {
    /// Find the exports; which of the optional ones are there is the plugin's choice.
    pub fn new(pre: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        Ok(Self {
            handler: handler::GuestIndices::new(&pre)?,
            resumption: resumption::GuestIndices::new(&pre).ok(),
            job_runner: job_runner::GuestIndices::new(&pre).ok(),
            pre,
        })
    }

    /// Whether it exports `resumption`.
    pub fn resumes(&self) -> bool {
        self.resumption.is_some()
    }

    /// Whether it exports `job-runner`.
    pub fn runs_jobs(&self) -> bool {
        self.job_runner.is_some()
    }

    /// A new instance for `plugin`. Runs what start-up code the component has.
    pub async fn instantiate(&self, plugin: &Arc<Plugin>, call: &Arc<Call>) -> wasmtime::Result<Instance> {
        let mut store = Store::new(self.pre.engine(), GuestState::new(plugin.clone(), call.clone()));
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(plugin.config.limits.answer_bytes.as_usize());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            let slot = context.data().cpu.clone();
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(slot.turn())))
        });
        let instance = self.pre.instantiate_async(&mut store).await?;
        let handler = self.handler.load(&mut store, &instance)?;
        Ok(Instance { store, instance, handler, made: Instant::now(), calls: 0 })
    }
}

/// An instance of a component.
pub struct Instance {
    store: Store<GuestState>,
    instance: wasmtime::component::Instance,
    handler: handler::Guest,
    made: Instant,
    calls: u32,
}

/// What a call asks of the guest.
pub enum Work<'a> {
    /// `describe`
    Describe,
    /// `handle`
    Handle(handler::Request<'a>),
    /// `resume`
    Resume(handler::Request<'a>, &'a [u8], resumption::Event<'a>),
    /// `run-job`
    Job(job_runner::Job<'a>),
}

/// What the guest returned, in the terms of [`Work`].
pub enum Returned {
    /// From `describe`.
    Descriptor(Box<handler::Descriptor>),
    /// From `handle` or `resume`.
    Step(handler::Step),
    /// From `run-job`.
    Outcome(job_runner::Outcome),
}

impl Instance {
    /// Prepare for a call on behalf of `call`.
    pub fn begin(&mut self, call: &Arc<Call>) {
        self.calls = self.calls.saturating_add(1);
        self.store.set_epoch_deadline(1);
        self.store.data_mut().begin(call);
    }

    /// Do `work`. The caller holds the deadline. What is rarer than `handle` is on the heap, so that each request's
    /// future has no room for it.
    pub async fn run(&mut self, template: &Template, work: &Work<'_>) -> wasmtime::Result<Returned> {
        let Self { store, instance, handler, .. } = self;
        match work {
            Work::Handle(request) => handler.call_handle(store, request.clone()).await.map(Returned::Step),
            Work::Resume(request, continuation, event) => {
                let Some(indices) = &template.resumption else { return Err(missing("resumption")) };
                let guest = indices.load(&mut *store, instance)?;
                Box::pin(guest.call_resume(store, request.clone(), continuation, event.clone()))
                    .await
                    .map(Returned::Step)
            }
            Work::Job(job) => {
                let Some(indices) = &template.job_runner else { return Err(missing("job-runner")) };
                let guest = indices.load(&mut *store, instance)?;
                Box::pin(guest.call_run_job(store, job.clone())).await.map(Returned::Outcome)
            }
            Work::Describe => {
                let descriptor = Box::pin(handler.call_describe(store)).await?;
                Ok(Returned::Descriptor(Box::new(descriptor)))
            }
        }
    }

    /// Let go of the call that ended: an instance that waits holds nothing of a request.
    pub fn end(&mut self) {
        let state = self.store.data_mut();
        state.call = state.plugin.nobody.clone();
    }

    /// The instance's claim on its plugin's processors.
    pub fn cpu(&self) -> super::cpu::CpuSlot {
        self.store.data().cpu.clone()
    }

    /// Whether it may serve another call.
    pub fn reusable(&self, plugin: &Plugin) -> bool {
        let reuse = &plugin.config.reuse;
        self.calls < reuse.requests
            && self.made.elapsed() < reuse.age.get()
            && self.store.data().memory.held() <= plugin.config.reuse_memory().get()
    }

    /// What became of a call that failed.
    pub fn diagnose(&mut self, error: &wasmtime::Error) -> Failure {
        let refused = self.store.data_mut().memory.take_refused();
        Failure::of(error, refused, self.store.data().last_words())
    }
}

fn missing(interface: &str) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the plugin does not export {interface}"))
}

/// Why a guest did not return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For metrics: one of a few words.
    pub kind: &'static str,
    /// For the log: the trap, where it happened, and what the guest said last.
    pub report: String,
    /// No instance was to be had: the fault is not the guest's.
    pub exhausted: bool,
}

impl Failure {
    /// What `error` means. `refused`: a growth of memory was refused in this call.
    pub fn of(error: &wasmtime::Error, refused: bool, last_words: String) -> Self {
        let kind = match error.downcast_ref::<Trap>() {
            _ if error.is::<PoolConcurrencyLimitError>() => "no-instance",
            _ if refused => "memory-limit",
            Some(Trap::StackOverflow) => "stack-overflow",
            Some(Trap::UnreachableCodeReached) => "panic",
            Some(Trap::MemoryOutOfBounds | Trap::TableOutOfBounds) => "out-of-bounds",
            Some(_) => "trap",
            None if error.is::<wasmtime_wasi::I32Exit>() => "exit",
            None => "host-call",
        };
        let report = match last_words.is_empty() {
            true => format!("{error:?}"),
            false => format!("{last_words}\n{error:?}"),
        };
        Self { kind, report, exhausted: kind == "no-instance" }
    }
}

/// Why work was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It took too long.
    Deadline,
    /// It was cancelled.
    Cancelled,
}

/// Run `work` for at most `limit`, or until it is cancelled. No timer is made for work that never
/// waits.
pub async fn within<F: Future>(
    limit: Duration,
    cancelled: &CancellationToken,
    mut work: Pin<&mut F>,
) -> Result<F::Output, Stopped> {
    let start = Instant::now();
    let first = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
    if let Poll::Ready(output) = first {
        return Ok(output);
    }
    tokio::select! {
        biased;
        output = work => Ok(output),
        () = tokio::time::sleep_until((start + limit).into()) => Err(Stopped::Deadline),
        () = cancelled.cancelled() => Err(Stopped::Cancelled),
    }
}
