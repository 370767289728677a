//! `jobs`: a look at the plugin's own jobs.

use crate::jobs::JobStatus as Known;
use crate::plugin::GuestState;
use crate::plugin::bindings::jobs::{Error, Host, JobStatus, State};

/// Most jobs of one answer.
const MAX_LISTED: u32 = 1000;

impl From<Known> for JobStatus {
    fn from(job: Known) -> Self {
        let state = match job {
            Known { running: true, .. } => State::Running,
            Known { failed: true, .. } => State::Failed,
            Known { parked: true, .. } => State::Parked,
            _ => State::Waiting,
        };
        Self { id: job.id, name: job.name, key: job.key, state, attempts: job.attempts, last_error: job.last_error }
    }
}

impl Host for GuestState {
    async fn pending(&mut self, key: Option<String>, limit: u32) -> wasmtime::Result<Result<Vec<JobStatus>, Error>> {
        let pending = self.plugin.jobs.pending(key.as_deref(), limit.min(MAX_LISTED) as usize);
        let found = self.cpu.waiting(pending).await;
        Ok(found
            .map(|jobs| jobs.into_iter().map(Into::into).collect())
            .map_err(|error| Error::Storage(error.to_string())))
    }

    async fn cancel(&mut self, id: String) -> wasmtime::Result<Result<bool, Error>> {
        let cancelled = self.cpu.waiting(self.plugin.jobs.cancel(&id)).await;
        Ok(cancelled.map_err(|error| Error::Storage(error.to_string())))
    }
}
