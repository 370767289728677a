//! Running other programs, and the one error type of all tasks.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a task did not end well, for the terminal: what is wrong and what to do.
#[derive(Debug)]
pub struct Failure(pub String);

/// What a task, or a part of one, ends with.
pub type Outcome<T = ()> = Result<T, Failure>;

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

/// Say what was being done when something went wrong.
pub trait Context<T> {
    /// `what: error`.
    fn context(self, what: impl Display) -> Outcome<T>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn context(self, what: impl Display) -> Outcome<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}

/// Run to the end, on this terminal.
pub fn run(command: &mut Command) -> Outcome {
    let line = line(command);
    eprintln!("$ {line}");
    let status = command.status().context(&line)?;
    if status.success() { Ok(()) } else { Err(Failure(format!("`{line}` did not succeed ({status})"))) }
}

/// Run to the end and take what it printed; its errors go to this terminal.
pub fn output(command: &mut Command) -> Outcome<String> {
    let line = line(command);
    let output = command.stderr(Stdio::inherit()).output().context(&line)?;
    if !output.status.success() {
        return Err(Failure(format!("`{line}` did not succeed ({})", output.status)));
    }
    String::from_utf8(output.stdout).context(&line)
}

/// Where a program is on the path; none if it is not.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
