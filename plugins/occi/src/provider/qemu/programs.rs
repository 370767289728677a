//! The programs behind the backend: the host's `process` interface behind [`Programs`].
//!
//! Owns the translation of shapes and errors. Natively every call is denied; tests have a fake.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plugbay_sdk::process;

use crate::provider::Failure;

/// How a program is that was started under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing was started, or it was stopped.
    Absent,
    /// Its process number.
    Running(u32),
    /// It ended by itself. Neither is known if nobody watched.
    Ended {
        /// What it returned.
        status: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}

/// Why a socket said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// Nobody listens there.
    Nobody(String),
    /// The answer did not come in time.
    Late,
    /// Programs are not to be had at all.
    Denied,
}

impl From<Silence> for Failure {
    fn from(silence: Silence) -> Failure {
        match silence {
            Silence::Denied => Failure::Unavailable(DENIED.to_owned()),
            Silence::Late => Failure::Unavailable("The machine does not answer; try again.".to_owned()),
            Silence::Nobody(why) => Failure::Refused(format!("The machine has just ended: {why}.")),
        }
    }
}

const DENIED: &str = "The operator has not granted `process` to this service.";

/// What the backend needs of the host.
pub trait Programs {
    /// Path of the private directory as programs see it.
    ///
    /// # Errors
    /// If it is not granted.
    fn directory(&self) -> Result<String, Failure>;

    /// Run a program to its end. Standard output.
    ///
    /// # Errors
    /// `Refused` with what it printed if it says no.
    fn run(&self, program: &str, arguments: &[String], timeout_ms: u32) -> Result<String, Failure>;

    /// Start a program under a name, which is fine if one runs already.
    ///
    /// # Errors
    /// If it cannot be started.
    fn start(&self, name: &str, program: &str, arguments: &[String]) -> Result<(), Failure>;

    /// End it, by force after the grace time, and forget it.
    ///
    /// # Errors
    /// If it cannot be ended.
    fn stop(&self, name: &str, grace_ms: u32) -> Result<(), Failure>;

    /// How it is.
    ///
    /// # Errors
    /// If it is not granted.
    fn status(&self, name: &str) -> Result<Status, Failure>;

    /// The end of what it printed.
    fn printed(&self, name: &str) -> String;

    /// Ask a socket, and read until this.
    ///
    /// # Errors
    /// If there is no answer.
    fn ask(&self, socket: &str, send: &str, until: &str, timeout_ms: u32) -> Result<String, Silence>;

    /// Wait.
    fn pause(&self, milliseconds: u64);

    /// Milliseconds since 1970.
    fn now(&self) -> u64;
}

/// The host's capability.
#[derive(Debug, Clone, Copy)]
pub struct Host;

/// Most bytes of what a program printed that are shown.
const PRINTED: u32 = 2_048;

fn failure(error: process::Error) -> Failure {
    match error {
        process::Error::Denied => Failure::Unavailable(DENIED.to_owned()),
        process::Error::Invalid(why) | process::Error::NotFound(why) | process::Error::Failed(why) => {
            Failure::Failed(why)
        }
        process::Error::Timeout => Failure::Failed("It took too long.".to_owned()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Programs for Host {
    fn directory(&self) -> Result<String, Failure> {
        process::directory().map_err(failure)
    }

    fn run(&self, program: &str, arguments: &[String], timeout_ms: u32) -> Result<String, Failure> {
        let output = process::run(program, arguments, b"", timeout_ms).map_err(failure)?;
        if output.exit.status == Some(0) {
            Ok(text(&output.stdout))
        } else {
            Err(Failure::Failed(format!("{program}: {}", text(&output.stderr).trim())))
        }
    }

    fn start(&self, name: &str, program: &str, arguments: &[String]) -> Result<(), Failure> {
        match process::start(name, program, arguments) {
            Ok(_) => Ok(()),
            Err(process::Error::Invalid(_)) if matches!(self.status(name)?, Status::Running(_)) => Ok(()),
            Err(error) => Err(failure(error)),
        }
    }

    fn stop(&self, name: &str, grace_ms: u32) -> Result<(), Failure> {
        process::stop(name, grace_ms).map_err(failure)
    }

    fn status(&self, name: &str) -> Result<Status, Failure> {
        Ok(match process::status(name).map_err(failure)? {
            None => Status::Absent,
            Some(process::State::Running(pid)) => Status::Running(pid),
            Some(process::State::Exited(exit)) => Status::Ended { status: exit.status, signal: exit.signal },
        })
    }

    fn printed(&self, name: &str) -> String {
        process::printed(name, PRINTED).map(|bytes| text(&bytes)).unwrap_or_default()
    }

    fn ask(&self, socket: &str, send: &str, until: &str, timeout_ms: u32) -> Result<String, Silence> {
        match process::dialogue(socket, send.as_bytes(), Some(until.as_bytes()), timeout_ms) {
            Ok(bytes) => Ok(text(&bytes)),
            Err(process::Error::Denied) => Err(Silence::Denied),
            Err(process::Error::Timeout) => Err(Silence::Late),
            Err(process::Error::Invalid(why) | process::Error::NotFound(why) | process::Error::Failed(why)) => {
                Err(Silence::Nobody(why))
            }
        }
    }

    fn pause(&self, milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }

    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
