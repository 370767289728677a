//! What every engine must do, as tests that take any engine.
//!
//! An engine passes by giving a [`Factory`] and one line of `suite!`. What needs a look inside the
//! local engine (groups, flushes, failures) is in `tests`.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use self::keys::*;
use self::quotas::*;
use self::transfers::*;
use self::watches::*;
use super::*;

mod keys;
mod quotas;
mod transfers;
mod watches;

/// Makes stores. Opening again shows what the last one left, if the engine is durable.
pub(super) trait Factory {
    const DURABLE: bool;
    fn open(&self) -> Store;
}

struct InMemory;

impl Factory for InMemory {
    const DURABLE: bool = false;
    fn open(&self) -> Store {
        let config = StoreConfig { engine: EngineKind::Memory, path: PathBuf::new(), cache: 0 };
        open(&config).unwrap()
    }
}

pub(super) struct OnDisk(pub(super) tempfile::TempDir);

impl OnDisk {
    pub(super) fn new() -> Self {
        OnDisk(tempfile::tempdir().unwrap())
    }
}

impl Factory for OnDisk {
    const DURABLE: bool = true;
    fn open(&self) -> Store {
        let config = StoreConfig { engine: EngineKind::Sled, path: self.0.path().join("store"), cache: 1 << 20 };
        open(&config).unwrap()
    }
}

macro_rules! suite {
    ($engine:ident = $factory:expr; $($rule:ident),+ $(,)?) => {
        mod $engine {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $rule() {
                timeout(Duration::from_secs(60), super::$rule(&$factory)).await.expect("ends in time");
            })+
        }
    };
    ($($rule:ident),+ $(,)?) => {
        suite!(memory = InMemory; $($rule),+);
        suite!(sled = OnDisk::new(); $($rule),+);
    };
}

suite!(
    keys_come_in_the_order_of_their_bytes,
    a_page_ends_at_its_limits,
    versions_are_the_revision_of_the_last_write,
    a_failed_check_is_named_and_nothing_is_written,
    checks_see_the_state_before_the_commit,
    what_is_outside_the_limits_is_refused,
    a_quota_holds_growth_at_its_bound,
    usage_counts_whoever_wrote,
    charges_add_up_or_change_nothing,
    increments_by_compare_and_swap_lose_none,
    a_scan_never_shows_half_a_commit,
    everything_survives_reopening,
    a_watch_ends_at_once_if_the_change_came_before,
    a_watch_ends_when_its_key_or_prefix_changes_and_not_before,
    no_wake_up_is_lost_between_reading_and_watching,
    ten_thousand_watches_on_one_key_and_on_many,
    a_dropped_watch_leaves_nothing_behind,
    an_export_imported_is_the_same_store,
    import_wants_an_empty_store,
    closing_finishes_what_was_handed_in_and_takes_no_more,
);

pub(super) fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Op {
    Op::Put { key: key.into(), value: value.into() }
}

pub(super) fn delete(key: impl Into<Bytes>) -> Op {
    Op::Delete { key: key.into() }
}

pub(super) fn check(key: impl Into<Bytes>, expect: impl Into<Option<u64>>) -> Check {
    Check { key: key.into(), expect: expect.into() }
}

pub(super) fn write(ops: impl IntoIterator<Item = Op>) -> Commit {
    Commit { ops: ops.into_iter().collect(), ..Commit::default() }
}

pub(super) async fn value(store: &Store, key: &str) -> Option<Bytes> {
    store.get(key.as_bytes()).await.unwrap().map(|entry| entry.value)
}

pub(super) async fn all(store: &Store) -> Vec<Entry> {
    let page = store.scan(Scan::prefix(Bytes::new())).await.unwrap();
    assert!(!page.more);
    page.entries
}

fn durable<F: Factory>(_: &F) -> bool {
    F::DURABLE
}

async fn version(store: &Store, key: &str) -> Option<u64> {
    store.get(key.as_bytes()).await.unwrap().map(|entry| entry.version)
}
