//! The host's side of a started program: making it, watching it, writing down its end.
//!
//! Owns the steps between the table of names (`known.rs`) and the processes. The order of each is what
//! keeps the table's invariants: recorded before it runs, recorded as ended before that is told.

use std::io;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::fd::OwnedFd;

use super::error::ProgramError;
use super::known::{Ended, Known};
use super::state::{self, Exit, Record};
use super::{Inner, NAMES, blocking, exit, identity, output, spawn};

/// A record, with its process if that runs.
type Found = (String, Record, Option<OwnedFd>);

/// How often printed output is measured.
const MEASURE: Duration = Duration::from_secs(1);

impl Inner {
    pub(super) fn untold(&self) -> Option<Ended> {
        let mut table = self.known.known.lock();
        table.iter_mut().filter(|(_, known)| !known.told).find_map(|(name, known)| {
            let exit = known.record.ended?;
            known.told = true;
            Some(Ended {
                name: name.clone(),
                pid: known.record.pid.unsigned_abs(),
                started: known.record.started,
                exit,
            })
        })
    }

    /// Records on disk, with the process of those that run. Writes down the end of those that do not.
    pub(super) fn find(&self) -> io::Result<(Vec<Found>, Vec<String>)> {
        let found = state::read_all(&self.folder)?;
        let boot = identity::boot();
        let mut all = Vec::with_capacity(found.records.len());
        for (name, mut record) in found.records {
            let alive = record.ended.is_none() && record.boot == boot;
            let process = alive.then(|| identity::hold(record.pid, record.started)).flatten();
            if let Some(now) = process.as_ref().and_then(|_| identity::executable(record.pid))
                && now != record.executable
            {
                tracing::info!(
                    plugin = self.plugin,
                    name,
                    pid = record.pid,
                    executable = now,
                    "the program runs another file now"
                );
            }
            if process.is_none() && record.ended.is_none() {
                if record.boot == boot {
                    identity::kill_session(record.pid, record.started);
                }
                record.ended = Some(Exit::default());
                state::write(&self.folder, &name, &record)?;
            }
            all.push((name, record, process));
        }
        Ok((all, found.unreadable))
    }

    /// Make sure that the name is free and one more fits.
    pub(super) fn make_room(&self, name: &str) -> Result<(), ProgramError> {
        let mut table = self.known.known.lock();
        if table.get(name).is_some_and(|known| known.process.is_some()) {
            return Err(ProgramError::Invalid(format!("{name:?} is running already")));
        }
        if table.len() < NAMES || table.contains_key(name) {
            return Ok(());
        }
        let forgettable = table.iter().find(|(_, known)| known.acknowledged).map(|(name, _)| name.clone());
        let oldest = forgettable.ok_or_else(|| ProgramError::Failed(format!("there are {NAMES} programs already")))?;
        table.remove(&oldest);
        output::remove(&self.folder, &oldest);
        Ok(())
    }

    /// Start it and hold it. Blocks.
    pub(super) fn start(&self, name: &str, program: &str, arguments: &[String]) -> io::Result<(Record, OwnedFd)> {
        let mut prepared = self.prepare(program, arguments)?;
        let printed = output::open(&self.folder, name)?;
        prepared.command.stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(printed);
        let mut held = None;
        let executable = prepared.command.get_program().to_string_lossy().into_owned();
        let mut record = |pid: i32| {
            let started = identity::stat(pid).ok_or(io::ErrorKind::NotFound)?.started;
            let fd = identity::hold(pid, started).ok_or(io::ErrorKind::NotFound)?;
            let (program, executable) = (program.to_owned(), executable.clone());
            let record = Record { program, executable, pid, started, boot: identity::boot(), ended: None };
            state::write(&self.folder, name, &record)?;
            held = Some((record, fd));
            Ok(())
        };
        let launched = spawn::launch(prepared.command, prepared.setup, Some(&mut record));
        match (launched, held) {
            (Ok(_), Some(held)) => Ok(held),
            (result, _) => {
                // As if it had not been tried, for a host that comes after this one.
                let before = self
                    .known
                    .known
                    .lock()
                    .get(name)
                    .filter(|known| !known.acknowledged)
                    .map(|known| known.record.clone());
                match before {
                    Some(before) => state::write(&self.folder, name, &before)?,
                    None => state::remove(&self.folder, name)?,
                }
                Err(result.err().unwrap_or_else(|| io::Error::other("it was not recorded")))
            }
        }
    }

    /// Put a running program into the table and watch it.
    pub(super) fn enter(self: &Arc<Self>, name: String, record: Record, fd: OwnedFd) {
        let fd = Arc::new(fd);
        let (pid, started) = (record.pid, record.started);
        let known = Known { record, process: Some(Arc::clone(&fd)), told: false, acknowledged: false };
        self.known.known.lock().insert(name.clone(), known);
        tokio::spawn(watch_one(Arc::downgrade(self), name, pid, started, fd));
    }

    /// The program has ended: record it, then tell.
    async fn finish(self: Arc<Self>, name: String, pid: i32, started: u64, exit: Exit) {
        let _turn = self.known.turn.lock().await;
        let record = {
            let table = self.known.known.lock();
            let known = table.get(&name).filter(|known| known.is(pid.unsigned_abs(), started));
            let Some(known) = known else { return };
            Record { ended: Some(exit), ..known.record.clone() }
        };
        tracing::info!(plugin = self.plugin, name, pid, status = exit.status, signal = exit.signal, "program ended");
        let (folder, called, written) = (self.folder.clone(), name.clone(), record.clone());
        if let Err(error) = blocking(move || state::write(&folder, &called, &written)).await {
            // The next host finds that the process is gone, without its status.
            tracing::error!(plugin = self.plugin, name, %error, "the end of a program cannot be recorded");
        }
        if let Some(known) = self.known.known.lock().get_mut(&name) {
            known.record = record;
            known.process = None;
        }
        self.known.ends.send_modify(|ends| *ends += 1);
    }

    /// See to it that printed output is cut.
    pub(super) fn measure(self: &Arc<Self>) {
        if self.known.measuring.swap(true, Ordering::Relaxed) {
            return;
        }
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(MEASURE).await;
                let Some(inner) = weak.upgrade() else { return };
                let names: Vec<String> = inner.known.known.lock().keys().cloned().collect();
                let folder = inner.folder.clone();
                let cut = move || {
                    for name in names {
                        match output::cut(&folder, &name) {
                            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                                tracing::warn!(name, %error, "the output of a program cannot be cut");
                            }
                            _ => {}
                        }
                    }
                    Ok(())
                };
                let _ = blocking(cut).await;
            }
        });
    }
}

/// Wait for the end of a process, end what it left, reap it. Also when nobody wants to know any more.
async fn watch_one(inner: Weak<Inner>, name: String, pid: i32, started: u64, fd: Arc<OwnedFd>) {
    if let Err(error) = exit::ended(&fd).await {
        tracing::error!(name, pid, %error, "a program cannot be watched");
        return;
    }
    let end = blocking(move || {
        identity::kill_session(pid, started);
        Ok(exit::reap(&fd))
    });
    let exit = end.await.unwrap_or_default();
    if let Some(inner) = inner.upgrade() {
        inner.finish(name, pid, started, exit).await;
    }
}
