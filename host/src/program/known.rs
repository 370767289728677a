//! Programs that were started under a name, and what is known of them.
//!
//! Owns the table of names, the watchers and the telling of ends. Invariants: a name means at most one
//! process; the record on disk is never behind a process that runs; an end is in the table, and told, after
//! the record says so; a start that the caller no longer waits for is finished all the same.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fd::OwnedFd;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::ProgramError;
use super::state::{self, Exit, Record};
use super::{Inner, Programs, blocking, check_arguments, identity, output};

/// How long the end of a killed program is waited for.
const DEATH: Duration = Duration::from_secs(10);
/// Bytes of a name.
const NAME: usize = 100;

/// What a started program is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its process number.
    Running(u32),
    /// It ended, and was not started again.
    Exited(Exit),
}

/// The end of a started program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// As it was started.
    pub name: String,
    /// The number it had.
    pub pid: u32,
    /// Ticks since boot.
    pub(super) started: u64,
    /// How it ended; unknown if no host watched.
    pub exit: Exit,
}

/// What a host found when it started.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Names of programs that still run; they are watched from now on.
    pub running: Vec<String>,
    /// Names of programs that ended and whose end was not acknowledged; [`Watch`] tells them.
    pub ended: Vec<String>,
    /// Names whose record cannot be read. What was started under them may still run.
    pub unreadable: Vec<String>,
}

#[derive(Default)]
pub(super) struct Table {
    pub known: Mutex<BTreeMap<String, Known>>,
    /// Starts and changes of records, one at a time.
    pub turn: Arc<tokio::sync::Mutex<()>>,
    /// Counts ends.
    pub ends: watch::Sender<u64>,
    pub measuring: AtomicBool,
}

pub(super) struct Known {
    pub record: Record,
    /// While it runs.
    pub process: Option<Arc<OwnedFd>>,
    pub told: bool,
    pub acknowledged: bool,
}

impl Known {
    pub fn is(&self, pid: u32, started: u64) -> bool {
        u32::try_from(self.record.pid) == Ok(pid) && self.record.started == started
    }

    fn state(&self) -> State {
        match self.record.ended {
            Some(exit) => State::Exited(exit),
            None => State::Running(self.record.pid.unsigned_abs()),
        }
    }
}

impl Programs {
    /// Find what an earlier host started. Once, before anything is started or asked for.
    ///
    /// # Errors
    /// The directory cannot be read, or the end of a program not be recorded.
    pub async fn adopt(&self) -> io::Result<Adopted> {
        let inner = Arc::clone(&self.inner);
        let _turn = inner.known.turn.lock().await;
        let reader = Arc::clone(&inner);
        let (found, unreadable) = blocking(move || reader.find()).await?;
        let mut adopted = Adopted { unreadable, ..Adopted::default() };
        for (name, record, process) in found {
            match process {
                Some(fd) => {
                    adopted.running.push(name.clone());
                    inner.enter(name, record, fd);
                }
                None => {
                    adopted.ended.push(name.clone());
                    let known = Known { record, process: None, told: false, acknowledged: false };
                    inner.known.known.lock().insert(name, known);
                }
            }
        }
        inner.known.ends.send_modify(|ends| *ends += 1);
        inner.measure();
        Ok(adopted)
    }

    /// Start a program under a name, and say its process number. When this returns, the program runs and the
    /// record of it is on disk. It outlives the host.
    ///
    /// # Errors
    /// `Unlisted`; `Invalid` for a bad name or arguments, or a name that runs already; `Failed`.
    pub async fn start(&self, name: &str, program: &str, arguments: &[String]) -> Result<u32, ProgramError> {
        check_name(name)?;
        self.inner.entry(program)?;
        check_arguments(arguments)?;
        let inner = Arc::clone(&self.inner);
        let (name, program, arguments) = (name.to_owned(), program.to_owned(), arguments.to_vec());
        let starting = tokio::spawn(async move {
            let _turn = Arc::clone(&inner.known.turn).lock_owned().await;
            inner.make_room(&name)?;
            let (starter, called) = (Arc::clone(&inner), name.clone());
            let (record, fd) =
                blocking(move || starter.start(&called, &program, &arguments)).await.map_err(|error| {
                    tracing::warn!(plugin = inner.plugin, name, %error, "a program cannot be started");
                    ProgramError::failed("the program cannot be started", &error)
                })?;
            let pid = record.pid.unsigned_abs();
            tracing::info!(plugin = inner.plugin, name, program = record.program, pid, "program started");
            inner.enter(name, record, fd);
            inner.measure();
            Ok(pid)
        });
        starting.await.map_err(|error| ProgramError::failed("the program", &io::Error::other(error)))?
    }

    /// Send a signal, by its number, to the process that was started.
    ///
    /// # Errors
    /// `NotFound` if it does not run, `Invalid` for a number that is no signal, `Failed`.
    pub fn signal(&self, name: &str, signal: i32) -> Result<(), ProgramError> {
        let process = self.inner.known.known.lock().get(name).and_then(|known| known.process.clone());
        let process = process.ok_or_else(|| ProgramError::NotFound(format!("a running program {name:?}")))?;
        identity::send(&process, signal).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => ProgramError::Invalid(format!("{signal} is not the number of a signal")),
            _ if error.raw_os_error() == Some(libc::ESRCH) => {
                ProgramError::NotFound(format!("a running program {name:?}"))
            }
            _ => ProgramError::failed("the signal", &error),
        })
    }

    /// Ask the program to end, kill it and its session after the grace time, and wait for the end. Nothing to
    /// do if it ended already.
    ///
    /// # Errors
    /// `NotFound` if nothing of that name was started, `Failed` if it does not end.
    pub async fn stop(&self, name: &str, grace: Duration) -> Result<(), ProgramError> {
        let mut ends = self.inner.known.ends.subscribe();
        let (pid, started) = match self.inner.known.known.lock().get(name) {
            None => return Err(ProgramError::NotFound(format!("a program {name:?}"))),
            Some(Known { process: None, .. }) => return Ok(()),
            Some(Known { record, .. }) => (record.pid, record.started),
        };
        let number = pid.unsigned_abs();
        let over = || {
            !self
                .inner
                .known
                .known
                .lock()
                .get(name)
                .is_some_and(|known| known.is(number, started) && known.process.is_some())
        };
        match self.signal(name, Signal::TERM.as_raw()) {
            Ok(()) | Err(ProgramError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        if timeout(grace, ends.wait_for(|_| over())).await.is_ok() {
            return Ok(());
        }
        let killed = blocking(move || {
            identity::kill_session(pid, started);
            Ok(())
        });
        killed.await.map_err(|error| ProgramError::failed("the program cannot be killed", &error))?;
        let ended = timeout(DEATH, ends.wait_for(|_| over())).await;
        ended.map(drop).map_err(|_| ProgramError::Failed("the program was killed, but does not end".into()))
    }

    /// Stop the program and forget it: its end is not told, what it printed goes, the name is free. Nothing to
    /// do if nothing of that name is known. A caller that goes away in between leaves it as stopped or as running.
    ///
    /// # Errors
    /// `Failed` if it does not end, or the record of it cannot be removed.
    pub async fn dismiss(&self, name: &str, grace: Duration) -> Result<(), ProgramError> {
        let (pid, started) = match self.inner.known.known.lock().get_mut(name) {
            None => return Ok(()),
            Some(known) => {
                known.told = true;
                (known.record.pid.unsigned_abs(), known.record.started)
            }
        };
        self.stop(name, grace).await?;
        let _turn = self.inner.known.turn.lock().await;
        let same = |known: &Known| known.is(pid, started) && known.process.is_none();
        if !self.inner.known.known.lock().get(name).is_some_and(same) {
            return Ok(());
        }
        let (folder, called) = (self.inner.folder.clone(), name.to_owned());
        let forget = move || {
            output::remove(&folder, &called);
            state::remove(&folder, &called)
        };
        blocking(forget).await.map_err(|error| ProgramError::failed("the record of the program", &error))?;
        self.inner.known.known.lock().remove(name);
        Ok(())
    }

    /// What the program is doing, none if nothing of that name is known.
    #[must_use]
    pub fn status(&self, name: &str) -> Option<State> {
        self.inner.known.known.lock().get(name).map(Known::state)
    }

    /// All names that are known, in order.
    #[must_use]
    pub fn names(&self) -> Vec<(String, State)> {
        self.inner.known.known.lock().iter().map(|(name, known)| (name.clone(), known.state())).collect()
    }

    /// The last bytes that the program printed since it was started, at most `most`.
    ///
    /// # Errors
    /// `Invalid` for a bad name, `Failed` if the file cannot be read.
    pub async fn printed(&self, name: &str, most: u64) -> Result<Vec<u8>, ProgramError> {
        check_name(name)?;
        let (folder, name) = (self.inner.folder.clone(), name.to_owned());
        let bytes = blocking(move || output::tail(&folder, &name, most)).await;
        bytes.map_err(|error| ProgramError::failed("the output", &error))
    }

    /// The ends of programs, each told by one watcher once in the life of a host.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch { inner: Arc::downgrade(&self.inner), ends: self.inner.known.ends.subscribe() }
    }

    /// Say that the end need not be told again after a restart of the host. The program stays known as
    /// ended to this host. Nothing happens if the name was started again meanwhile.
    ///
    /// # Errors
    /// The record cannot be removed.
    pub async fn acknowledge(&self, ended: &Ended) -> io::Result<()> {
        let inner = Arc::clone(&self.inner);
        let _turn = inner.known.turn.lock().await;
        {
            let mut table = inner.known.known.lock();
            let known = table.get_mut(&ended.name).filter(|known| known.is(ended.pid, ended.started));
            let Some(known) = known.filter(|known| known.process.is_none()) else { return Ok(()) };
            known.acknowledged = true;
            known.told = true;
        }
        let (folder, name) = (inner.folder.clone(), ended.name.clone());
        blocking(move || state::remove(&folder, &name)).await
    }
}

impl Programs {
    /// Have the end told once more, because nobody could take it.
    pub fn tell_again(&self, ended: &Ended) {
        if let Some(known) = self.inner.known.known.lock().get_mut(&ended.name) {
            known.told &= !known.is(ended.pid, ended.started) || known.acknowledged;
        }
        self.inner.known.ends.send_modify(|ends| *ends += 1);
    }
}

/// Tells the ends of programs.
pub struct Watch {
    inner: Weak<Inner>,
    ends: watch::Receiver<u64>,
}

impl Watch {
    /// The next end that was not told yet; none when the [`Programs`] are gone.
    pub async fn next(&mut self) -> Option<Ended> {
        loop {
            self.ends.mark_unchanged();
            if let Some(ended) = self.inner.upgrade()?.untold() {
                return Some(ended);
            }
            self.ends.changed().await.ok()?;
        }
    }
}

/// A name is part of file names.
fn check_name(name: &str) -> Result<(), ProgramError> {
    let fits = (1..=NAME).contains(&name.len()) && !name.starts_with('.');
    match fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        true => Ok(()),
        false => {
            let rule = "a name has 1 to 100 letters, digits, dots, dashes and underscores, and no dot first";
            Err(ProgramError::Invalid(format!("{name:?}: {rule}")))
        }
    }
}
