//! A job as it is kept: JSON, so that an export can be read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::NewJob;

/// Where a job is in its life. Running is not kept: after a restart it has to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Runs when due.
    Waiting,
    /// Runs when something changes, or when due.
    Parked,
    /// Given up.
    Failed,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub name: String,
    pub key: Option<String>,
    pub payload: String,
    /// Milliseconds since 1970.
    pub due: i64,
    pub attempts: u32,
    pub state: State,
    pub last_error: Option<String>,
}

impl Record {
    pub fn new(job: &NewJob, due: i64) -> Self {
        Self {
            name: job.name.clone(),
            key: job.key.clone(),
            payload: STANDARD.encode(&job.payload),
            due,
            attempts: 0,
            state: State::Waiting,
            last_error: None,
        }
    }

    pub fn payload_bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.payload).unwrap_or_default()
    }

    pub fn encode(&self) -> Bytes {
        // A struct of strings and numbers always serializes.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    pub fn decode(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_being_kept() {
        let job = NewJob { name: "n".into(), key: Some("k".into()), payload: vec![0, 255], delay_ms: 5 };
        let record = Record::new(&job, 42);
        let kept = Record::decode(&record.encode()).unwrap();
        assert_eq!(kept, record);
        assert_eq!(kept.payload_bytes(), job.payload);
    }
}
