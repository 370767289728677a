//! What can go wrong with a program, in the cases that a plugin can tell apart.

use std::io;

/// Why a call failed. The text names no path outside the private directory; the log has the cause.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The operator listed no program of that name.
    #[error("the program {0:?} is not listed")]
    Unlisted(String),
    /// The call itself is wrong: a name, an argument, a path that leads out of the private directory.
    #[error("{0}")]
    Invalid(String),
    /// Nothing of that name was started, or there is no such socket.
    #[error("{0} is not there")]
    NotFound(String),
    /// The program could not be started, signalled or spoken to.
    #[error("{0}")]
    Failed(String),
    /// It took longer than the caller gave it.
    #[error("the time is up")]
    Timeout,
}

impl ProgramError {
    /// A failure of the system in doing `what`.
    pub(super) fn failed(what: &str, error: &io::Error) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }
}
