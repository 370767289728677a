//! The end of a process: waiting for it without a thread, and learning how it was.
//!
//! Works alike for children and for processes that an earlier host started; only of children is the
//! status known. Invariant: a child is reaped where its end is noticed, by its descriptor, so that
//! no number that was used again is waited for.

use std::io;

use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::state::Exit;

/// Wait for the end. One descriptor can be waited for once at a time.
#[expect(unsafe_code, reason = "tokio has no safe way to wait for a descriptor that is not a socket, pipe or file")]
pub(super) async fn ended(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for longer than the registration lives, and a borrowed descriptor always
    // has the same number.
    let registered = unsafe { AsyncFd::register_with_interest(fd.as_fd(), Interest::READABLE) }?;
    registered.readable().await?.retain_ready();
    Ok(())
}

/// Reap the process if it is a child, and say how it ended.
pub(super) fn reap(fd: &OwnedFd) -> Exit {
    match waitid(WaitId::PidFd(fd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Ok(Some(how)) => Exit { status: how.exit_status(), signal: how.terminating_signal() },
        // Not a child, or reaped by somebody else.
        _ => Exit::default(),
    }
}
