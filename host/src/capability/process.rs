//! `process`: programs of the operator's list, for one plugin.
//!
//! Owns the bounds of time and the words of refusals; what runs, and how it is confined, is in
//! [`crate::program`].

use std::time::Duration;

use tokio::time::Instant;

use crate::plugin::GuestState;
use crate::plugin::bindings::process::{Error, Exit, Host, Output, State};
use crate::program::{self, ProgramError, Programs};

/// Longest that a run or a dialogue may ask for; the deadline of the call ends it earlier as a rule.
const LONGEST: Duration = Duration::from_secs(3600);
/// Most of what a program printed that is given at once.
const MAX_PRINTED: u32 = 64 * 1024;

impl From<ProgramError> for Error {
    fn from(error: ProgramError) -> Self {
        let text = error.to_string();
        match error {
            ProgramError::Unlisted(_) | ProgramError::NotFound(_) => Self::NotFound(text),
            ProgramError::Invalid(_) => Self::Invalid(text),
            ProgramError::Failed(_) => Self::Failed(text),
            ProgramError::Timeout => Self::Timeout,
        }
    }
}

impl From<program::Exit> for Exit {
    fn from(exit: program::Exit) -> Self {
        Self { status: exit.status, signal: exit.signal }
    }
}

impl From<program::State> for State {
    fn from(state: program::State) -> Self {
        match state {
            program::State::Running(pid) => Self::Running(pid),
            program::State::Exited(exit) => Self::Exited(exit.into()),
        }
    }
}

impl From<program::Output> for Output {
    fn from(output: program::Output) -> Self {
        let exit = Exit { status: output.status, signal: output.signal };
        Self { exit, stdout: output.stdout, stderr: output.stderr }
    }
}

fn deadline(timeout_ms: u32) -> Instant {
    Instant::now() + Duration::from_millis(timeout_ms.into()).min(LONGEST)
}

impl GuestState {
    fn programs(&self) -> Result<&Programs, Error> {
        self.plugin.programs.as_ref().ok_or(Error::Denied)
    }
}

/// Call with the programs, as something that may wait.
macro_rules! waiting {
    ($state:ident, $programs:ident => $call:expr) => {
        Ok(match $state.programs() {
            Ok($programs) => $state.cpu.waiting($call).await.map(Into::into).map_err(Error::from),
            Err(error) => Err(error),
        })
    };
}

impl Host for GuestState {
    async fn directory(&mut self) -> wasmtime::Result<Result<String, Error>> {
        let path = |programs: &Programs| programs.directory().to_str().map(str::to_owned);
        Ok(self.programs().and_then(|programs| {
            path(programs).ok_or_else(|| Error::Failed("the path of the private directory is not text".into()))
        }))
    }

    async fn revision(&mut self, program: String) -> wasmtime::Result<Result<String, Error>> {
        Ok(self.programs().and_then(|programs| programs.revision(&program).map_err(Into::into)))
    }

    async fn run(
        &mut self,
        program: String,
        args: Vec<String>,
        stdin: Vec<u8>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Output, Error>> {
        waiting!(self, programs => programs.run(&program, &args, stdin, deadline(timeout_ms)))
    }

    async fn start(
        &mut self,
        name: String,
        program: String,
        args: Vec<String>,
    ) -> wasmtime::Result<Result<u32, Error>> {
        waiting!(self, programs => programs.start(&name, &program, &args))
    }

    async fn signal(&mut self, name: String, signal: i32) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.programs().and_then(|programs| programs.signal(&name, signal).map_err(Into::into)))
    }

    async fn stop(&mut self, name: String, grace_ms: u32) -> wasmtime::Result<Result<(), Error>> {
        waiting!(self, programs => programs.dismiss(&name, Duration::from_millis(grace_ms.into()).min(LONGEST)))
    }

    async fn status(&mut self, name: String) -> wasmtime::Result<Result<Option<State>, Error>> {
        Ok(self.programs().map(|programs| programs.status(&name).map(Into::into)))
    }

    async fn printed(&mut self, name: String, limit: u32) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        waiting!(self, programs => programs.printed(&name, limit.min(MAX_PRINTED).into()))
    }

    async fn dialogue(
        &mut self,
        socket: String,
        send: Vec<u8>,
        until: Option<Vec<u8>>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        waiting!(self, programs => programs.dialogue(&socket, &send, until.as_deref(), deadline(timeout_ms)))
    }
}
