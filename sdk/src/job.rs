//! Jobs as they are enqueued and as they run.

use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::job_runner::exports::plugbay::plugin::job_runner::{Job, Outcome, Trigger};
pub use crate::bindings::plugbay::plugin::kv::NewJob;
use crate::{Watch, kv};

/// What a job's function may return: an [`Outcome`], nothing (done), or a result whose error means failed.
pub trait IntoOutcome {
    /// The outcome the host is given.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

impl<T: IntoOutcome, E: Display> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(outcome) => outcome.into_outcome(),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}

impl Outcome {
    /// Run again after that long.
    pub fn retry_in(wait: Duration) -> Self {
        Self::RetryIn(millis(wait))
    }

    /// Run again when one of these changes or after that long.
    pub fn park(watches: Vec<Watch>, timeout: Duration) -> Self {
        Self::Park((watches, millis(timeout)))
    }
}

impl Job {
    /// The payload read as JSON.
    ///
    /// # Errors
    /// `kv::Error::Invalid` that says what is wrong; as a job's error it makes the job fail.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, kv::Error> {
        serde_json::from_slice(&self.payload)
            .map_err(|error| kv::Error::Invalid(format!("the payload of job `{}` does not read: {error}", self.name)))
    }
}

impl NewJob {
    /// A job of this name, to be run at once, with an empty payload.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), key: None, payload: Vec::new(), delay_ms: 0 }
    }

    /// Run one at a time among the jobs with this key, in the order enqueued.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The payload, at most 64 KiB.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// The payload as JSON.
    ///
    /// # Errors
    /// `kv::Error::Invalid` if the value is not JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, payload: &T) -> Result<Self, kv::Error> {
        self.payload = kv::encode(&self.name, payload)?;
        Ok(self)
    }

    /// Wait that long before the first run.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_ms = millis(delay);
        self
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
