//! What a connection is doing: the facts its IO, its requests and its watch share.
//!
//! Owns no timer and decides nothing. Invariant: for a small request the cost is one reference
//! count and a few stores to memory that only this connection touches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http_body::Body as _;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::drain::Drain;
use super::{Connection, HttpLimits, Metrics};

/// A remainder this small is worth waiting for, so that the connection can go on. Beyond it closes, and the client
/// should know.
const READ_AWAY: u64 = 4096;

/// What all connections of a listener share.
pub(super) struct Shared {
    pub(super) limits: HttpLimits,
    pub(super) metrics: Arc<Metrics>,
    pub(super) drain: Drain,
}

/// A connection as its parts see it.
pub(super) struct Live {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Arc<Connection>,
    pub(super) activity: Activity,
}

/// The facts. They guard nothing, so they are relaxed; a reader in another task that sees an old
/// one looks again when its timer fires.
#[derive(Default)]
pub(super) struct Activity {
    /// Requests, and bodies that outlive their answer.
    in_flight: AtomicUsize,
    /// Requests begun, wrapping.
    begun: AtomicUsize,
    /// Bytes came in that no request accounts for: a head has begun.
    head: AtomicBool,
    /// A write waits for the client.
    writing: AtomicBool,
    /// A body was given up before its end, so the client may still be sending it.
    unread: AtomicBool,
    /// So much of one that the connection cannot be used again.
    spent: AtomicBool,
    /// What becomes of one that is given up.
    leftover: Mutex<Leftover>,
}

/// A body that was given up while its request was being answered.
#[derive(Default)]
enum Leftover {
    /// Nobody would read it away: it is dropped.
    #[default]
    Unwanted,
    /// A request is being answered that could.
    Wanted,
    Kept(Incoming),
}

impl Activity {
    pub(super) fn is_busy(&self) -> bool {
        self.is_answering() || self.writing.load(Ordering::Relaxed)
    }

    pub(super) fn is_answering(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn has_head(&self) -> bool {
        self.head.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_read(&self) {
        self.head.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_writing(&self, writing: bool) {
        self.writing.store(writing, Ordering::Relaxed);
    }

    /// Notes a body given up before its end, and keeps what is left of a small one if that is wanted.
    pub(super) fn body_given_up(&self, rest: Option<Incoming>) {
        self.unread.store(true, Ordering::Relaxed);
        let small = rest.filter(|rest| rest.size_hint().exact().is_some_and(|left| left <= READ_AWAY));
        let mut leftover = self.leftover.lock();
        match (small, &*leftover) {
            (Some(rest), Leftover::Wanted) => *leftover = Leftover::Kept(rest),
            _ => self.spent.store(true, Ordering::Relaxed),
        }
    }

    /// A request with a body is being answered: what is left of that is wanted.
    pub(super) fn want_leftover(&self) {
        *self.leftover.lock() = Leftover::Wanted;
    }

    /// A small body that was given up since it was wanted: to be read away, or the connection is spent.
    pub(super) fn take_leftover(&self) -> Option<Incoming> {
        match std::mem::take(&mut *self.leftover.lock()) {
            Leftover::Kept(rest) => Some(rest),
            Leftover::Wanted | Leftover::Unwanted => None,
        }
    }

    /// All of a body that was given up was read after all.
    pub(super) fn body_read_away(&self) {
        self.unread.store(false, Ordering::Relaxed);
    }

    pub(super) fn set_spent(&self) {
        self.spent.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// Whether the client may be sending what nobody will read.
    pub(super) fn has_unread_input(&self) -> bool {
        self.unread.load(Ordering::Relaxed) || self.has_head()
    }
}

/// Keeps a connection from being taken for idle.
pub(super) struct InFlight<L: AsRef<Live>>(L);

impl<L: AsRef<Live>> InFlight<L> {
    /// A request begins.
    pub(super) fn request(live: L) -> Self {
        live.as_ref().activity.begun.fetch_add(1, Ordering::Relaxed);
        Self::body(live)
    }

    /// Part of a request that may outlive it.
    pub(super) fn body(live: L) -> Self {
        live.as_ref().activity.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(live)
    }

    pub(super) fn get(&self) -> &L {
        &self.0
    }
}

impl<L: AsRef<Live>> Drop for InFlight<L> {
    fn drop(&mut self) {
        let activity = &self.0.as_ref().activity;
        if activity.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            // What was read belonged to this request.
            activity.head.store(false, Ordering::Relaxed);
        }
    }
}
