//! Programs that the operator named, run for one plugin and confined as it is.
//!
//! Owns running to completion ([`Programs::run`]), programs that outlive the host ([`Programs::start`] and
//! what goes with it), and talking to their unix sockets ([`Programs::dialogue`]). It knows no plugins, no contract
//! and no configuration file: it is given a name, two directories and the operator's entries.
//!
//! # What every program gets
//!
//! A session of its own, `no_new_privs`, limits, an environment of `PATH`, `HOME`, `TMPDIR` and `LANG`, the
//! descriptors 0, 1 and 2, the private directory as working directory, umask 077, and a Landlock
//! ruleset (`confine.rs`). With the operator's entry also a user and a network namespace.
//! A script needs its interpreter among `execute`.
//!
//! # What is over when a program ends
//!
//! A program is its session and the descendants of it. When the process that was started ends, or
//! is stopped, the rest is killed: nothing unwatched goes on. A daemon must therefore be started
//! in the foreground.
//!
//! # Long-lived programs
//!
//! A started program has a name, a record on disk (`state.rs`) and a watcher. Process number, time of start and
//! boot say which process it is; the executable is in the record for people only, because a program may
//! well exec another file, a newer version of itself for instance, and must stay under
//! control then. [`Programs::adopt`] finds after a restart of the host what still runs. An end is told by
//! [`Programs::watch`], again after a restart, until it is acknowledged or the name is started anew. A service
//! manager that ends a host must leave the rest of its control group alone (with systemd: `KillMode=process`), or
//! nothing outlives the host.
//!
//! `unsafe` is in `spawn.rs`, between `fork` and `exec`, and in one line of `exit.rs`.
//!
//! # Bounds
//!
//! [`NAMES`] names, [`CALLS`] runs and dialogues at once, [`ARGUMENTS`] arguments of [`ARGUMENT_BYTES`] in all,
//! [`STDIN`] bytes of input.

mod config;
mod confine;
mod dialogue;
mod error;
mod exit;
mod identity;
mod known;
mod life;
mod output;
mod run;
mod spawn;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use config::Checked;
pub use config::{Confine, EntryError, Program, ProgramLimits};
pub use error::ProgramError;
pub use known::{Adopted, Ended, State, Watch};
pub use run::{KEPT, Output};
pub use state::Exit;

/// Names of started programs that are known at once, ended ones that nobody acknowledged among them.
pub const NAMES: usize = 256;
/// Runs and dialogues under way at once; more wait, within their deadline.
pub const CALLS: usize = 16;
/// Arguments of one program, without the operator's.
pub const ARGUMENTS: usize = 1024;
/// Bytes of all arguments together.
pub const ARGUMENT_BYTES: usize = 64 * 1024;
/// Bytes of standard input of a run.
pub const STDIN: usize = 1024 * 1024;

/// Why programs cannot be offered to a plugin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An entry is wrong.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A directory is not usable.
    #[error("{}: {reason}", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The kernel cannot do what the entry wants.
    #[error(
        "program {0:?}: the kernel has no Landlock, so that it cannot be confined; confine = \"none\" runs it all the same"
    )]
    NoLandlock(String),
}

/// The programs of one plugin. Dropping it leaves them running.
pub struct Programs {
    inner: Arc<Inner>,
}

struct Inner {
    plugin: String,
    /// Private directory of the plugin.
    directory: PathBuf,
    /// The host's own directory for these programs.
    folder: PathBuf,
    entries: BTreeMap<String, Checked>,
    calls: Arc<Semaphore>,
    known: known::Table,
}

/// A command with all that the child is to put on, ready but for its descriptors.
struct Prepared {
    command: Command,
    setup: spawn::Setup,
}

impl Programs {
    /// Check the entries and the directories. Both directories are absolute and resolved; `directory`
    /// is there already, with mode 0700; `folder` is made, and must not be inside of it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn open(
        plugin: &str,
        directory: &Path,
        folder: &Path,
        entries: &BTreeMap<String, Program>,
    ) -> Result<Self, OpenError> {
        let wrong = |path: &Path, reason: String| OpenError::Directory { path: path.into(), reason };
        for path in [directory, folder] {
            if !path.is_absolute() {
                return Err(wrong(path, "the path is not absolute".into()));
            }
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| wrong(folder, error.to_string()))?;
        let resolve = |path: &Path| path.canonicalize().map_err(|error| wrong(path, error.to_string()));
        let (directory, folder) = (resolve(directory)?, resolve(folder)?);
        if folder.starts_with(&directory) {
            return Err(wrong(&folder, "the plugin could write there".into()));
        }
        let entries = config::check(entries)?;
        let unconfined = entries.iter().find(|(_, entry)| entry.confine == Confine::Landlock);
        if let Some((name, _)) = unconfined
            && !confine::available()
        {
            return Err(OpenError::NoLandlock(name.clone()));
        }
        let calls = Arc::new(Semaphore::new(CALLS));
        let known = known::Table::default();
        Ok(Self { inner: Arc::new(Inner { plugin: plugin.into(), directory, folder, entries, calls, known }) })
    }

    /// Run a program to its end, or to the deadline, at which it is killed with all that it started. What it leaves
    /// in the background is killed when it ends. A caller that goes away kills it, too.
    ///
    /// # Errors
    /// `Unlisted`, `Invalid`, `Failed` if it could not be started, `Timeout`.
    pub async fn run(
        &self,
        program: &str,
        arguments: &[String],
        stdin: Vec<u8>,
        deadline: Instant,
    ) -> Result<Output, ProgramError> {
        self.inner.entry(program)?;
        check_arguments(arguments)?;
        if stdin.len() > STDIN {
            return Err(ProgramError::Invalid(format!("more than {STDIN} bytes of input")));
        }
        let permit = self.inner.call(deadline).await?;
        let inner = Arc::clone(&self.inner);
        let (program, arguments) = (program.to_owned(), arguments.to_vec());
        let prepared = blocking(move || inner.prepare(&program, &arguments)).await;
        let prepared = prepared.map_err(|error| ProgramError::failed("the program cannot be started", &error))?;
        // In a task of its own, which goes on to kill and reap when this future is dropped.
        let (caller, gone) = oneshot::channel();
        let ended = tokio::spawn(run::run(prepared, stdin, deadline, gone, permit)).await;
        drop(caller);
        ended.map_err(|error| ProgramError::failed("the program", &io::Error::other(error)))?
    }

    /// Connect to a unix socket below the private directory, send, and read until `until` was read (which
    /// is where the answer ends then), the other side closes, or the deadline; at most 1 MiB. `socket` is
    /// relative to the private directory, or an absolute path below it.
    ///
    /// # Errors
    /// `Invalid` for a path that leads out or over a link, `NotFound`, `Failed` if nobody listens or the answer
    /// is too long, `Timeout` if the deadline came and there is no answer, or not all of it up to `until`.
    pub async fn dialogue(
        &self,
        socket: &str,
        send: &[u8],
        until: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Vec<u8>, ProgramError> {
        let _permit = self.inner.call(deadline).await?;
        dialogue::dialogue(&self.inner.directory, socket, send, until, deadline).await
    }
}

impl Programs {
    /// The private directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Bytes of address space that a process of this program may have.
    ///
    /// # Errors
    /// `Unlisted`.
    pub fn memory(&self, program: &str) -> Result<u64, ProgramError> {
        Ok(self.inner.entry(program)?.limits.memory.get())
    }

    /// Where the interfaces are that this program has; none if they are the host's.
    ///
    /// # Errors
    /// `Unlisted`.
    pub fn network_namespace(&self, program: &str) -> Result<Option<&Path>, ProgramError> {
        Ok(self.inner.entry(program)?.network_namespace.as_deref())
    }

    /// A text that changes when another file takes the place of the program's.
    ///
    /// # Errors
    /// `Unlisted`, `Failed` if the file is not there.
    pub fn revision(&self, program: &str) -> Result<String, ProgramError> {
        let path = &self.inner.entry(program)?.path;
        let facts = rustix::fs::stat(path).map_err(|error| ProgramError::failed("the program", &error.into()))?;
        Ok(format!(
            "{:x}-{:x}-{:x}-{:x}.{:x}",
            facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime, facts.st_mtime_nsec
        ))
    }
}

impl Inner {
    fn entry(&self, program: &str) -> Result<&Checked, ProgramError> {
        self.entries.get(program).ok_or_else(|| ProgramError::Unlisted(program.into()))
    }

    async fn call(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, ProgramError> {
        let permit = timeout_at(deadline, Arc::clone(&self.calls).acquire_owned()).await;
        // The semaphore is never closed.
        permit.map_err(|_| ProgramError::Timeout)?.map_err(|_| ProgramError::Timeout)
    }

    /// Open what the child needs. Blocks.
    fn prepare(&self, program: &str, arguments: &[String]) -> io::Result<Prepared> {
        let entry = self.entry(program).map_err(io::Error::other)?;
        let mut command = Command::new(&entry.path);
        command
            .args(&entry.arguments)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.directory)
            .env("TMPDIR", &self.directory)
            .env("LANG", "C.UTF-8")
            .current_dir(&self.directory);
        let open = |path: &PathBuf| {
            let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            opened.map_err(|error| io::Error::other(format!("network namespace {}: {error}", path.display())))
        };
        let ruleset = match entry.confine {
            Confine::Landlock => Some(confine::ruleset(entry, &self.directory)?),
            Confine::None => None,
        };
        let setup = spawn::Setup {
            user: entry.user,
            network_namespace: entry.network_namespace.as_ref().map(open).transpose()?,
            limits: entry.limits,
            ruleset,
        };
        Ok(Prepared { command, setup })
    }
}

fn check_arguments(arguments: &[String]) -> Result<(), ProgramError> {
    let wrong = |reason: String| Err(ProgramError::Invalid(reason));
    if arguments.len() > ARGUMENTS {
        return wrong(format!("more than {ARGUMENTS} arguments"));
    }
    if arguments.iter().map(String::len).sum::<usize>() > ARGUMENT_BYTES {
        return wrong(format!("more than {ARGUMENT_BYTES} bytes of arguments"));
    }
    match arguments.iter().any(|argument| argument.contains('\0')) {
        true => wrong("an argument contains NUL".into()),
        false => Ok(()),
    }
}

/// Do work that blocks on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
