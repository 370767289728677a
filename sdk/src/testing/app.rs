//! A loaded plugin under test.

use super::{Host, TestRequest, check};
use crate::contract::Descriptor;
use crate::export::Exports;
use crate::jobs::State;
use crate::{Job, Outcome, Plugin, Trigger};

/// A plugin on a host in memory.
#[derive(Debug)]
pub struct TestApp {
    pub(super) plugin: Plugin,
    pub(super) descriptor: Descriptor,
    host: Host,
}

impl TestApp {
    /// Load a plugin on a host of its own.
    ///
    /// # Panics
    /// If a host would refuse the plugin: the message says why.
    #[track_caller]
    pub fn new(build: impl FnOnce() -> Plugin) -> Self {
        Self::on(Host::new(), build)
    }

    /// Load a plugin on this host: another version on the same data, for instance.
    ///
    /// # Panics
    /// If a host would refuse the plugin: the message says why.
    #[track_caller]
    pub fn on(host: Host, build: impl FnOnce() -> Plugin) -> Self {
        host.install();
        host.state(|state| state.describing = true);
        let plugin = build();
        let descriptor = plugin.describe(Exports { resume: true, jobs: true });
        let faults = check::faults(&descriptor);
        assert!(faults.is_empty(), "a host refuses this plugin: {}", faults.join("; "));
        host.state(|state| {
            state.describing = false;
            state.rules = descriptor.rules.iter().map(|rule| (rule.name.clone(), rule.roles.clone())).collect();
        });
        Self { plugin, descriptor, host }
    }

    /// The host it runs on.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What the plugin says of itself.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// A request; `target` is the path below the mount, encoded, with `?` and query if there is one.
    pub fn request(&self, method: &str, target: &str) -> TestRequest<'_> {
        TestRequest::new(self, method, target)
    }

    /// A GET request.
    pub fn get(&self, target: &str) -> TestRequest<'_> {
        self.request("GET", target)
    }

    /// A HEAD request.
    pub fn head(&self, target: &str) -> TestRequest<'_> {
        self.request("HEAD", target)
    }

    /// A PUT request.
    pub fn put(&self, target: &str) -> TestRequest<'_> {
        self.request("PUT", target)
    }

    /// A POST request.
    pub fn post(&self, target: &str) -> TestRequest<'_> {
        self.request("POST", target)
    }

    /// A PATCH request.
    pub fn patch(&self, target: &str) -> TestRequest<'_> {
        self.request("PATCH", target)
    }

    /// A DELETE request.
    pub fn delete(&self, target: &str) -> TestRequest<'_> {
        self.request("DELETE", target)
    }

    /// Run every job that is waiting or parked once, whatever its delay, those enqueued meanwhile included. Names and
    /// outcomes in the order run. Jobs that are done are forgotten, the others wait for the next call.
    pub fn run_jobs(&self) -> Vec<(String, Outcome)> {
        let mut ran = Vec::new();
        let mut outcomes = Vec::new();
        while let Some((job, key)) = self.start_next(&ran) {
            let outcome = self.run(&job);
            self.host.state(|state| {
                let Some(at) = state.jobs.iter().position(|kept| kept.status.id == job.id) else { return };
                if let Some(kept) = state.jobs.get_mut(at) {
                    match &outcome {
                        Outcome::Done => drop(state.jobs.remove(at)),
                        Outcome::Failed(why) => {
                            kept.status.state = State::Waiting;
                            kept.status.last_error = Some(why.clone());
                        }
                        Outcome::RetryIn(_) => {
                            kept.status.state = State::Waiting;
                            kept.status.attempts -= 1;
                        }
                        Outcome::Park(_) => {
                            kept.status.state = State::Parked;
                            kept.status.attempts -= 1;
                        }
                    }
                }
            });
            // Jobs with one key run in order: if one is not done, the others wait too.
            if let (Some(key), false) = (key, outcome == Outcome::Done) {
                ran.extend(self.host.state(|state| {
                    let others = state.jobs.iter().filter(|kept| kept.status.key.as_deref() == Some(&key));
                    others.map(|kept| kept.status.id.clone()).collect::<Vec<_>>()
                }));
            }
            ran.push(job.id);
            outcomes.push((job.name, outcome));
        }
        outcomes
    }

    /// Run the job that is periodic under this name.
    pub fn run_periodic(&self, name: &str) -> Outcome {
        assert!(
            self.descriptor.periodic.iter().any(|periodic| periodic.name == name),
            "the plugin declares no periodic job `{name}`"
        );
        self.run(&self.job(name, Trigger::Periodic))
    }

    /// Run what is to run when the plugin was loaded.
    pub fn run_start(&self) -> Outcome {
        self.run(&self.job("start", Trigger::Start))
    }

    /// Run the upgrade from this schema.
    pub fn run_upgrade(&self, from: u32) -> Outcome {
        self.run(&self.job("upgrade", Trigger::Upgrade(from)))
    }

    /// Run a job made by the test.
    pub fn run(&self, job: &Job) -> Outcome {
        self.host.install();
        self.host.state(|state| state.caller = None);
        let outcome = self.plugin.run_job(job);
        self.host.sweep();
        outcome
    }

    fn job(&self, name: &str, trigger: Trigger) -> Job {
        let id = self.host.state(|state| state.new_id("job"));
        Job { id, name: name.to_owned(), attempt: 1, trigger, payload: Vec::new() }
    }

    fn start_next(&self, ran: &[String]) -> Option<(Job, Option<String>)> {
        self.host.state(|state| {
            let next = state.jobs.iter_mut().find(|kept| {
                matches!(kept.status.state, State::Waiting | State::Parked) && !ran.contains(&kept.status.id)
            })?;
            next.status.state = State::Running;
            next.status.attempts += 1;
            let job = Job {
                id: next.status.id.clone(),
                name: next.status.name.clone(),
                attempt: next.status.attempts,
                trigger: Trigger::Enqueued,
                payload: next.payload.clone(),
            };
            Some((job, next.status.key.clone()))
        })
    }
}
