//! The whole plugin as one value: surfaces, rules, jobs. It describes itself and dispatches what the host calls.

use crate::export::Exports;
use crate::job::{IntoOutcome, Job, Outcome, Trigger};
use crate::surface::unknown_route;
use crate::{Event, JobScope, Request, Step, Surface, contract};

type RunJob = Box<dyn Fn(&Job) -> Outcome>;
type RunUpgrade = Box<dyn Fn(u32, &Job) -> Outcome>;

/// A plugin: what it serves and what it runs.
#[derive(Default)]
pub struct Plugin {
    version: String,
    schema: u32,
    surfaces: Vec<Surface>,
    rules: Vec<(&'static str, &'static [&'static str])>,
    periodic: Vec<(&'static str, u32, JobScope)>,
    jobs: Vec<(&'static str, RunJob)>,
    start: Option<RunJob>,
    upgrade: Option<RunUpgrade>,
    other: Option<RunJob>,
}

impl Plugin {
    /// A plugin of this version, which is for people: usually `env!("CARGO_PKG_VERSION")`.
    pub fn new(version: impl Into<String>) -> Self {
        Self { version: version.into(), ..Self::default() }
    }

    /// Version of what the plugin keeps in its key space; 0 unless said otherwise.
    #[must_use]
    pub fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// Serve a surface; a plugin has at least one.
    #[must_use]
    pub fn surface(mut self, surface: Surface) -> Self {
        self.surfaces.push(surface);
        self
    }

    /// A rule that routes refer to, and the roles that satisfy it unless the operator says otherwise.
    #[must_use]
    pub fn access_rule(mut self, name: &'static str, roles: &'static [&'static str]) -> Self {
        self.rules.push((name, roles));
        self
    }

    /// What runs jobs of this name.
    #[must_use]
    pub fn job<F, R>(mut self, name: &'static str, run: F) -> Self
    where
        F: Fn(&Job) -> R + 'static,
        R: IntoOutcome,
    {
        self.jobs.push((name, Box::new(move |job| run(job).into_outcome())));
        self
    }

    /// A job that runs by itself every so many seconds, at least 1.
    #[must_use]
    pub fn every<F, R>(mut self, name: &'static str, seconds: u32, scope: JobScope, run: F) -> Self
    where
        F: Fn(&Job) -> R + 'static,
        R: IntoOutcome,
    {
        self.periodic.push((name, seconds, scope));
        self.job(name, run)
    }

    /// What runs when the plugin was loaded and is about to serve.
    #[must_use]
    pub fn on_start<F, R>(mut self, run: F) -> Self
    where
        F: Fn(&Job) -> R + 'static,
        R: IntoOutcome,
    {
        self.start = Some(Box::new(move |job| run(job).into_outcome()));
        self
    }

    /// What brings the stored data from another schema, the first argument, to this one. Requests wait meanwhile.
    #[must_use]
    pub fn on_upgrade<F, R>(mut self, run: F) -> Self
    where
        F: Fn(u32, &Job) -> R + 'static,
        R: IntoOutcome,
    {
        self.upgrade = Some(Box::new(move |from, job| run(from, job).into_outcome()));
        self
    }

    /// What runs jobs that nothing else was declared for, ends of programs and lines from their sockets among them.
    #[must_use]
    pub fn other_jobs<F, R>(mut self, run: F) -> Self
    where
        F: Fn(&Job) -> R + 'static,
        R: IntoOutcome,
    {
        self.other = Some(Box::new(move |job| run(job).into_outcome()));
        self
    }

    /// What the host is told.
    ///
    /// # Panics
    /// If the plugin declares what `exports` says it does not export. The host reports the text as the reason why
    /// it does not load the plugin.
    #[expect(clippy::panic, reason = "a trap in `describe` is how a plugin refuses to be loaded")]
    pub fn describe(&self, exports: Exports) -> contract::Descriptor {
        if !exports.resume && self.surfaces.iter().any(Surface::is_resumable) {
            panic!("a route is resumable, but the plugin does not export `resume`: add it to `export_plugin!`");
        }
        if !exports.jobs && self.has_jobs() {
            panic!("a job is declared, but the plugin does not export `jobs`: add it to `export_plugin!`");
        }
        contract::Descriptor {
            version: self.version.clone(),
            schema: self.schema,
            surfaces: self.surfaces.iter().map(Surface::describe).collect(),
            periodic: self
                .periodic
                .iter()
                .map(|&(name, every, scope)| contract::Periodic { name: name.to_owned(), every, scope })
                .collect(),
            rules: self
                .rules
                .iter()
                .map(|&(name, roles)| contract::Rule {
                    name: name.to_owned(),
                    roles: roles.iter().map(|&role| role.to_owned()).collect(),
                })
                .collect(),
            extra: Vec::new(),
        }
    }

    /// Answer a request.
    pub fn handle(&self, request: &Request) -> Step {
        self.surface_of(request).map_or_else(unknown_route, |surface| surface.handle(request))
    }

    /// Go on where a step left off.
    pub fn resume(&self, request: &Request, continuation: &[u8], event: Event) -> Step {
        match self.surface_of(request) {
            Some(surface) => surface.resume(request, continuation, event),
            None => unknown_route(),
        }
    }

    /// Run a job. One that nothing was declared for fails, save that there is nothing to do at start and when a program ends.
    pub fn run_job(&self, job: &Job) -> Outcome {
        match (&job.trigger, &self.start, &self.upgrade) {
            (Trigger::Start, Some(run), _) => return run(job),
            (Trigger::Upgrade(from), _, Some(run)) => return run(*from, job),
            (Trigger::Enqueued | Trigger::Periodic, ..) => {
                if let Some((_, run)) = self.jobs.iter().find(|(name, _)| *name == job.name) {
                    return run(job);
                }
            }
            _ => {}
        }
        match (&self.other, &job.trigger) {
            (Some(run), _) => run(job),
            (None, Trigger::Start | Trigger::ProgramExited(_)) => Outcome::Done,
            (None, Trigger::Upgrade(from)) => {
                Outcome::Failed(format!("this version cannot upgrade data of schema {from}"))
            }
            (None, _) => Outcome::Failed(format!("this version has no job named `{}`", job.name)),
        }
    }

    pub(crate) fn has_jobs(&self) -> bool {
        !self.jobs.is_empty() || self.start.is_some() || self.upgrade.is_some() || self.other.is_some()
    }

    fn surface_of(&self, request: &Request) -> Option<&Surface> {
        self.surfaces.get(usize::try_from(request.surface).ok()?)
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("version", &self.version)
            .field("surfaces", &self.surfaces)
            .finish_non_exhaustive()
    }
}
