//! How many requests are under way, and connections kept for the next.
//!
//! Owns the permits of one plugin and its idle connections. Invariants: a connection is used again only for the same
//! origin, the same identity and the same trust; requests to one destination never take more than its share, so
//! that a silent one leaves room for the others; what is not used for a while is closed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::config::OutboundLimits;
use super::connection::Connection;
use super::identity::Fingerprint;
use super::target::Origin;
use super::trust::TrustId;

/// What a connection may be used for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub origin: Origin,
    pub identity: Option<Fingerprint>,
    pub trust: TrustId,
}

/// The right to have one request under way.
#[derive(Debug)]
pub(super) struct Permit {
    _destination: OwnedSemaphorePermit,
    _plugin: OwnedSemaphorePermit,
}

pub(super) struct Pool {
    requests: Arc<Semaphore>,
    per_destination: usize,
    destinations: Mutex<HashMap<Origin, Weak<Semaphore>>>,
    idle: Mutex<Idle>,
    most_idle: usize,
    keep: Duration,
}

/// Oldest first.
#[derive(Default)]
struct Idle {
    kept: VecDeque<Kept>,
    swept: bool,
}

struct Kept {
    key: Key,
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(super) fn new(limits: &OutboundLimits) -> Self {
        let most = |count: u32| (count as usize).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            requests: Arc::new(Semaphore::new(most(limits.requests))),
            per_destination: most(limits.requests_per_destination),
            destinations: Mutex::default(),
            idle: Mutex::default(),
            most_idle: limits.idle_connections as usize,
            keep: limits.keep.get(),
        }
    }

    /// Wait for room: first at the destination, so that who waits there holds nothing that others need.
    pub(super) async fn permit(&self, origin: &Origin) -> Option<Permit> {
        let destination = self.destination(origin).acquire_owned().await.ok()?;
        let plugin = Arc::clone(&self.requests).acquire_owned().await.ok()?;
        Some(Permit { _destination: destination, _plugin: plugin })
    }

    fn destination(&self, origin: &Origin) -> Arc<Semaphore> {
        let mut destinations = self.destinations.lock();
        if let Some(known) = destinations.get(origin).and_then(Weak::upgrade) {
            return known;
        }
        destinations.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(self.per_destination));
        destinations.insert(origin.clone(), Arc::downgrade(&semaphore));
        semaphore
    }

    /// A connection for this use, the one used last.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut idle = self.idle.lock();
        idle.expire(self.keep);
        let position = idle.kept.iter().rposition(|kept| kept.key == *key)?;
        let kept = idle.kept.get(position)?;
        match kept.connection.is_http2() {
            true => Some(kept.connection.clone()),
            false => idle.kept.remove(position).map(|kept| kept.connection),
        }
    }

    /// Keep a connection for the next request. One over HTTP/2 may be in use already.
    pub(super) fn put(self: &Arc<Self>, key: &Key, connection: Connection) {
        if !connection.is_open() {
            return;
        }
        let mut idle = self.idle.lock();
        idle.expire(self.keep);
        if connection.is_http2() {
            let known = idle.kept.iter().position(|kept| kept.key == *key && kept.connection.is_http2());
            if let Some(kept) = known.and_then(|position| idle.kept.remove(position)) {
                let fresh = kept.connection.is(&connection);
                idle.kept.push_back(Kept { since: if fresh { Instant::now() } else { kept.since }, ..kept });
                return;
            }
        }
        idle.kept.push_back(Kept { key: key.clone(), connection, since: Instant::now() });
        while idle.kept.len() > self.most_idle {
            idle.kept.pop_front();
        }
        if !idle.swept && !idle.kept.is_empty() {
            idle.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self), self.keep));
        }
    }

    /// Not to be used again.
    pub(super) fn forget(&self, connection: &Connection) {
        self.idle.lock().kept.retain(|kept| !kept.connection.is(connection));
    }
}

impl Idle {
    fn expire(&mut self, keep: Duration) {
        let used = |kept: &Kept| kept.connection.is_shared() || kept.since.elapsed() < keep;
        self.kept.retain(|kept| kept.connection.is_open() && used(kept));
    }
}

/// Close what nobody used for a while, until nothing is left.
async fn sweep(pool: Weak<Pool>, keep: Duration) {
    loop {
        sleep(keep).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle.lock();
        idle.expire(keep);
        if idle.kept.is_empty() {
            idle.swept = false;
            return;
        }
    }
}
