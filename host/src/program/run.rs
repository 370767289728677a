//! A program run to its end, for one caller.
//!
//! Owns the three pipes and the deadline. Invariants: at most [`KEPT`] bytes of each output are held; when
//! the caller has its answer or has gone away, nothing of the program runs any more, and no zombie
//! is left; a program that is being run does not outlive the host.

use std::io;
use std::process::Stdio;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::error::ProgramError;
use super::state::Exit;
use super::{Prepared, blocking, exit, identity, spawn};

/// Bytes of each output that are kept; the rest is read and dropped.
pub const KEPT: usize = 64 * 1024;

/// How long outputs are still read after everything of the program that could be found was ended.
const LINGER: Duration = Duration::from_millis(500);

/// What a program that ran to its end has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What it returned; none if a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The first [`KEPT`] bytes.
    pub stdout: Vec<u8>,
    /// The first [`KEPT`] bytes.
    pub stderr: Vec<u8>,
}

enum Why {
    Ended,
    Deadline,
    Abandoned,
}

/// Run until the end, the deadline, or until the other side of `caller` is gone.
pub(super) async fn run(
    prepared: Prepared,
    stdin: Vec<u8>,
    deadline: Instant,
    caller: oneshot::Receiver<()>,
    permit: OwnedSemaphorePermit,
) -> Result<Output, ProgramError> {
    let started = blocking(move || {
        let mut command = prepared.command;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = spawn::launch(command, prepared.setup, None)?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        // It is a child and not reaped, the number is its own.
        let fd = pidfd_open(Pid::from_raw(pid).ok_or(io::ErrorKind::Other)?, PidfdFlags::NONBLOCK)?;
        let started = identity::stat(pid).map(|stat| stat.started).ok_or(io::ErrorKind::NotFound)?;
        Ok((child, pid, fd, started))
    });
    let (mut child, pid, fd, started) =
        started.await.map_err(|error| ProgramError::failed("the program cannot be started", &error))?;
    let piped = |fd: Option<OwnedFd>| fd.ok_or_else(|| ProgramError::Failed("a pipe is missing".into()));
    let broken = |error: io::Error| ProgramError::failed("a pipe", &error);
    let mut to = pipe::Sender::from_owned_fd(piped(child.stdin.take().map(Into::into))?).map_err(broken)?;
    let out = pipe::Receiver::from_owned_fd(piped(child.stdout.take().map(Into::into))?).map_err(broken)?;
    let err = pipe::Receiver::from_owned_fd(piped(child.stderr.take().map(Into::into))?).map_err(broken)?;
    let (stdout, stderr) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<Mutex<Vec<u8>>>::default());
    // A program need not read what it is given.
    let feeding = tokio::spawn(async move { to.write_all(&stdin).await });
    let (keep_out, keep_err) = (Arc::clone(&stdout), Arc::clone(&stderr));
    let mut reading = tokio::spawn(async move { tokio::join!(collect(out, &keep_out), collect(err, &keep_err)) });
    let why = tokio::select! {
        _ = exit::ended(&fd) => Why::Ended,
        () = sleep_until(deadline) => Why::Deadline,
        _ = caller => Why::Abandoned,
    };
    // What it left behind goes with it, or the outputs would stay open.
    let end = blocking(move || {
        identity::kill_session(pid, started);
        Ok(fd)
    });
    let fd = end.await.map_err(|error| ProgramError::failed("ending the program", &error))?;
    let _ = exit::ended(&fd).await;
    let Exit { status, signal } = exit::reap(&fd);
    feeding.abort();
    if timeout(LINGER, &mut reading).await.is_err() {
        reading.abort();
    }
    drop(permit);
    match why {
        Why::Deadline => Err(ProgramError::Timeout),
        Why::Abandoned => Err(ProgramError::Failed("nobody waits for it".into())),
        Why::Ended => {
            let (stdout, stderr) = (std::mem::take(&mut *stdout.lock()), std::mem::take(&mut *stderr.lock()));
            Ok(Output { status, signal, stdout, stderr })
        }
    }
}

async fn collect(mut from: pipe::Receiver, into: &Mutex<Vec<u8>>) {
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut chunk).await {
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { return };
        let mut kept = into.lock();
        let room = KEPT - kept.len();
        kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}
