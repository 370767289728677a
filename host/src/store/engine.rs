//! What a storage engine is: the trait, and the shapes that cross it.
//!
//! Owns the words (entry, scan, commit, quota, charge) and the limits that hold on every engine.
//! Does not own any storage. The limits stay below etcd's defaults (128 operations and 1.5 MiB a
//! transaction), so that a replicated engine can serve the same callers.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, Ready};

use super::metrics::Metrics;

/// Longest key and longest quota prefix, in bytes: the contract's 1 KiB and the caller's own prefix.
/// The sled backend counts on it, see there.
pub const MAX_KEY: usize = 1536;
/// Longest value, in bytes: the contract's 256 KiB and the caller's own envelope.
pub const MAX_VALUE: usize = 272 * 1024;
/// Most checks, most operations and most charges of one commit, each counted alone.
pub const MAX_ITEMS: usize = 128;
/// Most bytes of keys and values of one commit: the contract's 1 MiB and what the caller adds.
pub const MAX_COMMIT: usize = 1280 * 1024;
/// Most bytes of one page, whatever the scan asks for.
pub const MAX_PAGE: usize = 4 * 1024 * 1024;
/// Most entries of one page, whatever the scan asks for.
pub const MAX_PAGE_ENTRIES: usize = 16 * 1024;

/// An answer that is usually there at once, so that the usual case allocates nothing.
pub type Reply<'a, T> = Either<Ready<Result<T, StoreError>>, BoxFuture<'a, Result<T, StoreError>>>;

/// One key as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The whole key.
    pub key: Bytes,
    /// The value as written.
    pub value: Bytes,
    /// Revision of the commit that last wrote the key; never 0.
    pub version: u64,
}

/// A stretch of keys to read.
#[derive(Debug, Clone)]
pub struct Scan {
    /// First key, inclusive; empty: from the first of all.
    pub start: Bytes,
    /// End, exclusive; none: to the last of all.
    pub end: Option<Bytes>,
    /// Most entries returned, at most [`MAX_PAGE_ENTRIES`].
    pub limit: usize,
    /// Stop before the keys and values exceed this many bytes, at most [`MAX_PAGE`]. One entry is
    /// returned even if it alone is larger, so that paging always advances.
    pub max_bytes: usize,
    /// Last key first.
    pub reverse: bool,
}

impl Scan {
    /// All keys that begin with `prefix`, ascending, up to the largest page.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        let end = super::prefix::end(&start);
        Scan { start, end, limit: MAX_PAGE_ENTRIES, max_bytes: MAX_PAGE, reverse: false }
    }
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order asked for.
    pub entries: Vec<Entry>,
    /// True if the range holds more than was returned.
    pub more: bool,
    /// A revision at which the whole page was true; what to pass to a prefix watch.
    pub revision: u64,
}

/// A condition of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The key looked at.
    pub key: Bytes,
    /// The version it must have; none: it must be absent.
    pub expect: Option<u64>,
}

/// A write of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Write the key, new or not.
    Put {
        /// Where.
        key: Bytes,
        /// What.
        value: Bytes,
    },
    /// Remove the key, if it is there.
    Delete {
        /// Which.
        key: Bytes,
    },
}

impl Op {
    /// The key this writes.
    pub fn key(&self) -> &Bytes {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
        }
    }
}

/// A bound on what lies under a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The keys it speaks of.
    pub prefix: Bytes,
    /// Most bytes of keys and values together.
    pub max_bytes: u64,
    /// Most keys.
    pub max_keys: u64,
}

/// A change of a counter kept by the caller's own measure, bounded from above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Name of the counter; counters and keys do not share names.
    pub counter: Bytes,
    /// What to add. The counter stops at 0.
    pub delta: i64,
    /// A positive `delta` that takes the counter beyond this is refused.
    pub limit: u64,
}

/// Writes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// All must hold, in the state just before the writes.
    pub checks: Vec<Check>,
    /// At most one for each key.
    pub ops: Vec<Op>,
    /// Refuse the commit if it grows what lies under the prefix beyond the bound.
    pub quota: Option<Quota>,
    /// Applied in this order.
    pub charges: Vec<Charge>,
}

/// What lies under a prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of whole keys and values.
    pub bytes: u64,
    /// Number of keys.
    pub keys: u64,
}

/// Why the store did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Keys are 1 to [`MAX_KEY`] bytes and do not begin with a zero byte, which is the engine's.
    #[error("a key has 1 to {MAX_KEY} bytes and does not begin with a zero byte")]
    InvalidKey,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Too little room on the disk. Nothing was written, and the store goes on.
    #[error("only {free} bytes are free on the disk of the store: nothing was written; free some space")]
    Full {
        /// Bytes free.
        free: u64,
    },
    /// Writing failed earlier. Everything acknowledged is on disk; the store is read-only now.
    #[error("the store takes no more writes because one failed ({0}); put the disk right and restart")]
    Failed(Arc<str>),
    /// One read failed.
    #[error("reading the store failed: {0}")]
    Read(Arc<str>),
    /// An import is running, or was cut off.
    #[error(
        "an import into this store has not finished; if none is running, empty the store's directory and import again"
    )]
    Importing,
    /// Import wants a store without any key and any earlier commit.
    #[error("the store is not empty; import into an empty directory")]
    NotEmpty,
    /// One export at a time.
    #[error("another export is running; wait for it to end")]
    ExportRunning,
    /// An export keeps what is overwritten while it runs, within a bound.
    #[error("too much was overwritten while the export ran; repeat it when fewer writes come")]
    ExportOverrun,
}

/// Why a commit did not happen. In every case but `Failed` nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The check at this position, the first that failed.
    #[error("check {0} of the commit does not hold")]
    Conflict(usize),
    /// The quota's prefix would grow beyond its bound.
    #[error("the commit would exceed the quota of bytes or keys")]
    QuotaExceeded,
    /// The charge at this position would exceed its limit.
    #[error("charge {0} of the commit would exceed its limit")]
    ChargeExceeded(usize),
    /// Outside the limits of this module; the text says which.
    #[error("{0}")]
    Invalid(String),
    /// The store failed. The commit may or may not have been written, unless the reason says so.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

/// Whether the store works.
#[derive(Debug, Clone)]
pub enum Health {
    /// Reads and writes.
    Ready,
    /// Reads what is durable, refuses writes; the reason.
    ReadOnly(StoreError),
}

/// A key written or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// Revision of the commit.
    pub revision: u64,
}

/// Where an engine reports changes, each once, in the order of revisions, when they are durable.
pub trait ChangeSink: Send + Sync {
    /// The changes of some whole commits. Must not block: commits wait for it.
    fn changed(&self, changes: &[Change]);
}

/// One item of an export, in the order: counters, measured prefixes, entries by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A counter of charges.
    Counter {
        /// Its name.
        counter: Bytes,
        /// What it stands at.
        value: u64,
    },
    /// A prefix whose usage is measured; the usage follows from the entries.
    Prefix(Bytes),
    /// A key, its value and version.
    Entry(Entry),
}

/// A view of the whole store at one revision, while commits go on.
pub trait Snapshot: Send {
    /// The revision it shows.
    fn revision(&self) -> u64;
    /// The next records in order; none at the end.
    fn next(&mut self) -> Result<Option<Vec<Record>>, StoreError>;
}

/// A step of an import. Between the first and the last, commits are refused.
#[derive(Debug)]
pub enum Restore {
    /// Begin; refused unless the store is empty. The revision the store will have.
    Begin(u64),
    /// Records in the order of [`Record`], keys strictly ascending.
    Records(Vec<Record>),
    /// The import is complete.
    End,
}

/// Durable, ordered keys with versions.
///
/// A read sees only what is durable: it waits rather than show what a crash could take back.
/// Revisions grow by one for each commit that writes, and survive restarts.
pub trait Engine: Send + Sync {
    /// The entry of one key.
    fn get(&self, key: &[u8]) -> Reply<'_, Option<Entry>>;
    /// A stretch of keys, true as a whole at one revision.
    fn scan(&self, scan: Scan) -> Reply<'_, Page>;
    /// Write. When this is ok it is on disk, and the result is the version of every key written (if
    /// nothing changed: the current revision). Dropping the future does not stop a commit under way.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<u64, CommitError>>;
    /// What lies under `prefix`. Cheap for a prefix that a quota named before; counted otherwise.
    fn usage(&self, prefix: &[u8]) -> Reply<'_, Usage>;
    /// Where a counter of charges stands; 0 if it was never charged.
    fn counter(&self, counter: &[u8]) -> Reply<'_, u64>;
    /// The last durable revision; 0 for a new store.
    fn revision(&self) -> u64;
    /// Whether it works.
    fn health(&self) -> Health;
    /// Report every change after the returned revision to `sink`, for as long as the engine lives.
    fn subscribe(&self, sink: Arc<dyn ChangeSink>) -> u64;
    /// A view for export. One at a time.
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StoreError>>;
    /// A step of an import.
    fn restore(&self, step: Restore) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Finish the commits that were handed in, flush, take no more.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
    /// What it counted.
    fn metrics(&self) -> &Metrics;
}
