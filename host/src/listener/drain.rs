//! Stopping: first drain, then abort.
//!
//! Owns the two signals every connection watches. Invariant: a connection that polls a wait again
//! and again pays one atomic load each time, no lock.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

/// Tells listeners to stop. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Shutdown {
    pub(super) token: CancellationToken,
    pub(super) drain: Duration,
}

impl Shutdown {
    /// A signal not yet given. Connections still busy `drain` after it are dropped.
    pub fn new(drain: Duration) -> Self {
        Self { token: CancellationToken::new(), drain }
    }

    /// As `new`, but given when `token` is cancelled.
    pub fn on(token: CancellationToken, drain: Duration) -> Self {
        Self { token, drain }
    }

    /// Stop accepting, finish what is under way.
    pub fn begin(&self) {
        self.token.cancel();
    }
}

/// The signals of one listener to its connections.
#[derive(Default)]
pub(super) struct Drain {
    /// Finish the requests under way, take no others.
    pub(super) draining: Latch,
    /// Let go at once.
    pub(super) aborting: Latch,
}

/// A signal that is given once and stays given.
#[derive(Default)]
pub(super) struct Latch {
    set: AtomicBool,
    changed: Notify,
}

impl Latch {
    pub(super) fn set(&self) {
        self.set.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(super) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    pub(super) fn wait(&self) -> LatchWait<'_> {
        LatchWait { latch: self, registered: None }
    }
}

/// Ready once the latch is set.
///
/// Only the waker of the first poll is kept, so it must be polled by one task alone: the
/// connection's own.
pub(super) struct LatchWait<'a> {
    latch: &'a Latch,
    registered: Option<Pin<Box<Notified<'a>>>>,
}

impl Future for LatchWait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.latch.is_set() {
            return Poll::Ready(());
        }
        if self.registered.is_none() {
            let mut notified = Box::pin(self.latch.changed.notified());
            // Registered first, then looked at again: the latch may have been set in between.
            if notified.as_mut().poll(cx).is_ready() || self.latch.is_set() {
                return Poll::Ready(());
            }
            self.registered = Some(notified);
        }
        Poll::Pending
    }
}
