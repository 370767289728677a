//! One question and its answer over a unix socket of a program.
//!
//! Owns the way to the socket: it is resolved below the private directory in one step by the kernel, without links
//! and without leaving, and connected to by descriptor. So the path cannot change between the check
//! and the use, and its length is not bounded by the 108 bytes of a socket address.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Duration, Instant, sleep, timeout_at};

use super::error::ProgramError;

/// Bytes of an answer.
const MOST: usize = 1024 * 1024;

/// See [`super::Programs::dialogue`].
pub(super) async fn dialogue(
    directory: &Path,
    socket: &str,
    send: &[u8],
    until: Option<&[u8]>,
    deadline: Instant,
) -> Result<Vec<u8>, ProgramError> {
    let until = until.filter(|until| !until.is_empty());
    let found = find(directory, socket)?;
    let mut answer = Vec::new();
    let talk = async {
        let mut stream = connect(&found).await.map_err(|error| ProgramError::failed("the socket", &error))?;
        let (mut from, mut to) = stream.split();
        // Both ways at once: the other side may answer before it has read everything, and stop to read then.
        let writing = async {
            to.write_all(send).await?;
            std::future::pending::<io::Result<()>>().await
        };
        tokio::pin!(writing);
        let mut written = false;
        let reading = read(&mut from, until, &mut answer);
        tokio::pin!(reading);
        loop {
            tokio::select! {
                read = &mut reading => return read,
                // It may have sent its answer before it closed: only what is read counts.
                _ = &mut writing, if !written => written = true,
            }
        }
    };
    match timeout_at(deadline, talk).await {
        Ok(Ok(())) => Ok(answer),
        Ok(Err(error)) => Err(error),
        Err(_) if until.is_none() && !answer.is_empty() => Ok(answer),
        Err(_) => Err(ProgramError::Timeout),
    }
}

async fn read(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    until: Option<&[u8]>,
    answer: &mut Vec<u8>,
) -> Result<(), ProgramError> {
    loop {
        // One more than allowed, to tell an answer that just fits from one that does not.
        let room = (MOST + 1 - answer.len()) as u64;
        let before = answer.len();
        let read = match (&mut *from).take(room).read_buf(answer).await {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && before > 0 => 0,
            Err(error) => return Err(ProgramError::failed("reading from the socket", &error)),
        };
        if read == 0 {
            return Ok(());
        }
        if let Some(end) = until.and_then(|until| end_of(answer, until, before)) {
            answer.truncate(end);
            return Ok(());
        }
        if answer.len() > MOST {
            return Err(ProgramError::Failed(format!("the answer is longer than {MOST} bytes")));
        }
    }
}

/// Where the terminator ends, if it is there. It was not within the first `before` bytes.
fn end_of(answer: &[u8], until: &[u8], before: usize) -> Option<usize> {
    let from = before.saturating_sub(until.len() - 1);
    let at = answer.get(from..)?.windows(until.len()).position(|window| window == until)?;
    Some(from + at + until.len())
}

/// A descriptor of the socket file, which is not opened.
fn find(directory: &Path, socket: &str) -> Result<OwnedFd, ProgramError> {
    let out = || ProgramError::Invalid(format!("{socket:?} is not a path below the private directory"));
    let path = Path::new(socket);
    let path = if path.is_absolute() { path.strip_prefix(directory).map_err(|_| out())? } else { path };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let base = rustix::fs::open(directory, flags | OFlags::DIRECTORY, Mode::empty());
    let base = base.map_err(|error| ProgramError::failed("the private directory", &error.into()))?;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(&base, path, flags, Mode::empty(), beneath).map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR => ProgramError::NotFound(format!("the socket {socket:?}")),
        Errno::XDEV | Errno::LOOP | Errno::INVAL => out(),
        error => ProgramError::failed("the socket", &error.into()),
    })?;
    let mode = rustix::fs::fstat(&found).map_err(|error| ProgramError::failed("the socket", &error.into()))?.st_mode;
    match FileType::from_raw_mode(mode) {
        FileType::Socket => Ok(found),
        _ => Err(ProgramError::Invalid(format!("{socket:?} is not a socket"))),
    }
}

async fn connect(socket: &OwnedFd) -> io::Result<UnixStream> {
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    loop {
        match UnixStream::connect(&path).await {
            // The queue of the listener is full; the caller's deadline ends this.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(Duration::from_millis(5)).await,
            other => return other,
        }
    }
}
