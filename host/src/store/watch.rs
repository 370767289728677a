//! Waiting for changes: who waits for which keys and prefixes, and who is to be woken.
//!
//! Owns the index of waiters and a short log of recent changes. Does not read the store: the
//! comparison of a key's version is done by the caller after registering, so that a change falls
//! either before the comparison or on the registration, and no wake-up is lost. Waking without a
//! change is possible, missing one is not.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::engine::{Change, ChangeSink};
use super::prefix::PrefixMap;

/// Changes remembered for prefix watches that come a little late.
const LOG: usize = 4096;

/// What to wait for, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// One key.
    Key {
        /// The key.
        key: Bytes,
        /// The version seen; none: it was absent.
        seen: Option<u64>,
    },
    /// All keys that begin with a prefix.
    Prefix {
        /// The prefix.
        prefix: Bytes,
        /// The revision of the page that was seen.
        seen: u64,
    },
}

/// The waiters of one store.
#[derive(Default)]
pub(super) struct Hub {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    waiters: HashMap<u64, oneshot::Sender<()>>,
    /// By key and waiter: the last revision that is no news. A report can come after its commit was
    /// seen already.
    keys: BTreeMap<(Bytes, u64), u64>,
    prefixes: PrefixMap<BTreeMap<u64, u64>>,
    /// Recent changes, oldest first: all that came after `floor`.
    log: VecDeque<Change>,
    floor: u64,
}

/// A place among the waiters, left when dropped.
pub(super) struct Registration {
    hub: Arc<Hub>,
    id: u64,
    pub(super) watches: Vec<Watch>,
    /// Ends when a change came.
    pub(super) changed: oneshot::Receiver<()>,
}

impl Hub {
    /// The engine reports every change after this revision.
    pub(super) fn start(&self, revision: u64) {
        let mut state = self.state.lock();
        state.floor = state.floor.max(revision);
    }

    /// Wait for these; none if a prefix has changed already.
    pub(super) fn register(self: &Arc<Self>, watches: Vec<Watch>) -> Option<Registration> {
        let mut state = self.state.lock();
        if watches.iter().any(|watch| state.passed(watch)) {
            return None;
        }
        let id = state.next;
        state.next += 1;
        let (wake, changed) = oneshot::channel();
        state.waiters.insert(id, wake);
        for watch in &watches {
            let (known, seen) = match watch {
                Watch::Key { key, seen } => {
                    let seen = seen.unwrap_or(0);
                    (state.keys.entry((key.clone(), id)).or_insert(seen), seen)
                }
                Watch::Prefix { prefix, seen } => {
                    (state.prefixes.entry(prefix.clone()).entry(id).or_insert(*seen), *seen)
                }
            };
            // Watched twice by the same waiter: the first news of either counts.
            *known = seen.min(*known);
        }
        Some(Registration { hub: self.clone(), id, watches, changed })
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiters.len()
    }

    /// True if nothing is left behind of anybody.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.waiters.is_empty() && state.keys.is_empty() && state.prefixes.iter().next().is_none()
    }
}

impl State {
    /// Whether a prefix changed after it was seen, as far as the log knows; if it does not reach
    /// back so far, yes.
    fn passed(&self, watch: &Watch) -> bool {
        let Watch::Prefix { prefix, seen } = watch else {
            return false;
        };
        *seen < self.floor
            || self
                .log
                .iter()
                .rev()
                .take_while(|change| change.revision > *seen)
                .any(|change| change.key.starts_with(prefix))
    }

    fn remember(&mut self, change: &Change) {
        if self.log.len() == LOG
            && let Some(oldest) = self.log.pop_front()
        {
            self.floor = oldest.revision;
        }
        // A copy: the caller's bytes may be part of something larger.
        let key = Bytes::copy_from_slice(&change.key);
        self.log.push_back(Change { key, revision: change.revision });
    }

    /// Take out the wakers of everybody to whom this change is news.
    fn take(&mut self, change: &Change, woken: &mut Vec<oneshot::Sender<()>>) {
        let State { waiters, keys, prefixes, .. } = self;
        let mut wake = |id: &u64, seen: &u64| {
            if change.revision > *seen {
                woken.extend(waiters.remove(id));
            }
        };
        for ((_, id), seen) in keys.range((change.key.clone(), 0)..=(change.key.clone(), u64::MAX)) {
            wake(id, seen);
        }
        prefixes.matches(&change.key, |_, ids| ids.iter().for_each(|(id, seen)| wake(id, seen)));
    }
}

impl ChangeSink for Hub {
    fn changed(&self, changes: &[Change]) {
        let mut woken = Vec::new();
        let mut state = self.state.lock();
        for change in changes {
            state.remember(change);
            if !state.waiters.is_empty() {
                state.take(change, &mut woken);
            }
        }
        drop(state);
        for waker in woken {
            // A waiter that has just gone needs no waking.
            let _ = waker.send(());
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.hub.state.lock();
        state.waiters.remove(&self.id);
        for watch in self.watches.drain(..) {
            match watch {
                Watch::Key { key, .. } => {
                    state.keys.remove(&(key, self.id));
                }
                Watch::Prefix { prefix, .. } => {
                    if let Some(ids) = state.prefixes.get_mut(&prefix) {
                        ids.remove(&self.id);
                        if ids.is_empty() {
                            state.prefixes.remove(&prefix);
                        }
                    }
                }
            }
        }
    }
}
