//! Durable, ordered keys for the whole host, behind one engine trait.
//!
//! Owns what is written where and when it is durable: [`Engine`] is the contract, `local` keeps it
//! on this machine over sled or memory, [`Store`] adds waiting for changes, export and import. Does
//! not own the meaning of keys: callers put a prefix for each area and plugin before theirs.
//!
//! Invariant: what was acknowledged is on disk, and what is read will not be taken back.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncWrite};

pub use self::engine::{
    Change, ChangeSink, Charge, Check, Commit, CommitError, Engine, Entry, Health, MAX_COMMIT, MAX_ITEMS, MAX_KEY,
    MAX_PAGE, MAX_PAGE_ENTRIES, MAX_VALUE, Op, Page, Quota, Record, Reply, Restore, Scan, Snapshot, StoreError, Usage,
};
pub use self::local::OpenError;
pub use self::metrics::Metrics;
pub use self::transfer::TransferError;
pub use self::watch::Watch;

use self::local::{Local, Memory, Sled};
use self::watch::Hub;

mod engine;
mod local;
mod metrics;
mod prefix;
mod transfer;
mod watch;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

/// Which engine keeps the keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// On disk, one process a directory.
    #[default]
    Sled,
    /// In memory, gone with the process.
    Memory,
}

/// What to open.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The engine.
    pub engine: EngineKind,
    /// The store's own directory; made if missing, not used by `memory`.
    pub path: PathBuf,
    /// Bytes of memory for sled's pages. Real use can be a few times this.
    pub cache: u64,
}

impl StoreConfig {
    /// Default of `cache`: 64 MiB.
    pub const CACHE: u64 = 64 * 1024 * 1024;
}

/// Open a store. Blocks while sled reads its log.
pub fn open(config: &StoreConfig) -> Result<Store, OpenError> {
    match config.engine {
        EngineKind::Memory => Ok(Store::new(Arc::new(Local::open(Memory::default())?))),
        EngineKind::Sled => Ok(Store::new(Arc::new(Local::open(Sled::open(&config.path, config.cache)?)?))),
    }
}

/// A store, cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    hub: Arc<Hub>,
}

impl Store {
    /// A store over this engine.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        let hub = Arc::new(Hub::default());
        hub.start(engine.subscribe(hub.clone()));
        Store { engine, hub }
    }

    /// See [`Engine::get`].
    pub fn get(&self, key: &[u8]) -> Reply<'_, Option<Entry>> {
        self.engine.get(key)
    }

    /// See [`Engine::scan`].
    pub fn scan(&self, scan: Scan) -> Reply<'_, Page> {
        self.engine.scan(scan)
    }

    /// See [`Engine::commit`].
    pub async fn commit(&self, commit: Commit) -> Result<u64, CommitError> {
        self.engine.commit(commit).await
    }

    /// See [`Engine::usage`].
    pub fn usage(&self, prefix: &[u8]) -> Reply<'_, Usage> {
        self.engine.usage(prefix)
    }

    /// See [`Engine::counter`].
    pub fn counter(&self, counter: &[u8]) -> Reply<'_, u64> {
        self.engine.counter(counter)
    }

    /// See [`Engine::revision`].
    pub fn revision(&self) -> u64 {
        self.engine.revision()
    }

    /// See [`Engine::health`].
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// See [`Engine::metrics`].
    pub fn metrics(&self) -> &Metrics {
        self.engine.metrics()
    }

    /// See [`Engine::close`]. Clones of this store are closed with it.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.engine.close().await
    }

    /// Wait until one of these has changed since it was seen; at once if it has already. It can end
    /// without a change. Dropping the future ends the wait. An empty list waits for ever.
    pub fn watch(&self, watches: Vec<Watch>) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let store = self.clone();
        async move {
            // Registered before the versions are compared: a change comes before one or the other.
            let Some(mut registration) = store.hub.register(watches) else {
                return Ok(());
            };
            for watch in &registration.watches {
                let Watch::Key { key, seen } = watch else {
                    continue;
                };
                if store.get(key).await?.map(|entry| entry.version) != *seen {
                    return Ok(());
                }
            }
            drop(store);
            // The sender is dropped by the registration only.
            let _ = (&mut registration.changed).await;
            Ok(())
        }
    }

    /// Write the whole store, as of one revision, as JSON lines; commits go on meanwhile. The number
    /// of lines between the first and the last. Flushes `out`.
    pub async fn export<W: AsyncWrite + Unpin>(&self, out: &mut W) -> Result<u64, TransferError> {
        transfer::export(&*self.engine, out).await
    }

    /// Read what `export` wrote into this store, which must be empty. Versions, usage, counters and
    /// the revision are as they were. The number of lines taken. If it ends with an error after it
    /// began, the store is of no use: it opens no more and says so.
    pub async fn import<R: AsyncBufRead + Unpin>(&self, from: &mut R) -> Result<u64, TransferError> {
        transfer::import(&*self.engine, from).await
    }
}
