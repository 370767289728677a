//! The sled backend: one directory, one process.
//!
//! Owns opening the directory and making writes durable. Two habits of sled 0.34 shape it:
//!
//! * On Linux its flush ends with `sync_file_range`, which leaves out the file's length and the
//!   disk's own cache. So a flush here syncs the log file as well.
//! * A page larger than a quarter of a segment goes to a file of its own, which sled never syncs,
//!   and removes only when the log around it has been rewritten: overwriting one value of 200 KiB
//!   leaves a file each time, without bound. So segments are 2 MiB here and long values are cut
//!   ([`super::pieces`]), and no page gets so large: at most some 25 items of a piece and a key, or
//!   320 keys of an index, stay below 512 KiB.

use std::fs::{self, File, TryLockError};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::sled::{Batch, IVec};
use bytes::Bytes;

use super::OpenError;
use super::backend::{Backend, Write};
use super::pieces::{self, AFTER_PIECES, Head};
use crate::store::engine::StoreError;

/// Below this many free bytes commits are refused: sled does not stand a full disk well, and the
/// refusal comes before anything is written.
const HEADROOM: u64 = 32 * 1024 * 1024;

/// How long the directory may still be locked: sled lets go of it on a thread of its own, a little after it was closed, and a
/// host that is replaced a little after it was told to stop.
const LETTING_GO: Duration = Duration::from_secs(2);

/// Bytes of a segment of the log. The directory remembers it: another size needs export and import.
const SEGMENT: usize = 2 * 1024 * 1024;

/// How often a reader starts again because the value was replaced while it gathered the pieces.
const ATTEMPTS: usize = 1000;

/// An open sled database.
pub(crate) struct Sled {
    db: ::sled::Db,
    path: PathBuf,
    log: File,
    /// Id of the next value that is cut.
    next: AtomicU64,
}

impl Sled {
    /// Open or create the database in `path`, with about `cache` bytes of pages in memory. Blocks.
    pub(crate) fn open(path: &Path, cache: u64) -> Result<Self, OpenError> {
        let directory = |source| OpenError::Directory { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(directory)?;
        remove_unfinished_snapshots(path)?;
        let config = ::sled::Config::new().path(path).cache_capacity(cache).segment_size(SEGMENT);
        let db = catch_unwind(AssertUnwindSafe(|| config.open()))
            .unwrap_or_else(|_| Err(::sled::Error::ReportableBug("sled panicked while recovering".into())))
            .map_err(|error| damaged_or_locked(path, &error))?;
        let log = File::open(path.join("db")).map_err(directory)?;
        File::open(path).and_then(|opened| opened.sync_all()).map_err(directory)?;
        let last = db.range(..AFTER_PIECES).next_back().transpose();
        let last = last.map_err(read_error)?.and_then(|(key, _)| pieces::id(&key));
        let next = AtomicU64::new(last.map_or(0, |id| id + 1));
        Ok(Sled { db, path: path.to_owned(), log, next })
    }

    /// The whole value, given what is stored under its key; none if a piece is missing, which
    /// happens while the value is being replaced.
    fn whole(&self, stored: IVec) -> Result<Option<Bytes>, StoreError> {
        let Some(head) = Head::decode(&stored) else {
            return Ok(Some(bytes(stored)));
        };
        let mut pieces = Vec::new();
        for piece in self.db.range(head.keys()) {
            pieces.push(piece.map_err(read_error)?.1);
        }
        Ok(head.join(&pieces))
    }

    /// Remove the pieces of the value that is stored under `key` now.
    fn remove_pieces(&self, key: &[u8], batch: &mut Batch) -> Result<(), StoreError> {
        let stored = self.db.get(key).map_err(read_error)?;
        if let Some(head) = stored.as_deref().and_then(Head::decode) {
            for index in 0..head.count {
                batch.remove(&head.key(index)[..]);
            }
        }
        Ok(())
    }
}

/// A hard stop can leave `snap.*.generating` behind, at which every later open fails. It is a copy
/// that was never finished, so it goes; but only under the lock, or it may be a running process's.
fn remove_unfinished_snapshots(path: &Path) -> Result<(), OpenError> {
    let directory = |source| OpenError::Directory { path: path.to_owned(), source };
    let lock = File::options().read(true).append(true).create(true).open(path.join("db")).map_err(directory)?;
    let patience = Instant::now() + LETTING_GO;
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < patience => std::thread::sleep(LETTING_GO / 100),
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(directory(source)),
        }
    }
    for file in fs::read_dir(path).map_err(directory)? {
        let file = file.map_err(directory)?;
        let name = file.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %file.path().display(), "removing an unfinished snapshot of the store, left by a hard stop");
            fs::remove_file(file.path()).map_err(directory)?;
        }
    }
    Ok(())
}

fn damaged_or_locked(path: &Path, error: &::sled::Error) -> OpenError {
    let reason = error.to_string();
    let path = path.to_owned();
    if reason.contains("could not acquire lock") {
        OpenError::Locked { path }
    } else {
        OpenError::Damaged { path, reason }
    }
}

/// Keeps sled's bytes alive behind `Bytes` without copying them.
struct Owned(IVec);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn bytes(value: IVec) -> Bytes {
    Bytes::from_owner(Owned(value))
}

fn read_error(error: ::sled::Error) -> StoreError {
    StoreError::Read(error.to_string().into())
}

fn write_error(error: impl ToString) -> StoreError {
    StoreError::Failed(error.to_string().into())
}

impl Backend for Sled {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.db.get(key).map_err(read_error)? else {
                return Ok(None);
            };
            if let Some(value) = self.whole(stored)? {
                return Ok(Some(value));
            }
        }
        Err(incomplete())
    }

    fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        visit: &mut dyn FnMut(Bytes, Bytes) -> bool,
    ) -> Result<(), StoreError> {
        let start = start.max(AFTER_PIECES);
        if end.is_some_and(|end| end <= start) {
            return Ok(());
        }
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        let mut range = self.db.range::<&[u8], _>((Bound::Included(start), end));
        let mut next = || if reverse { range.next_back() } else { range.next() };
        while let Some(found) = next() {
            let (key, stored) = found.map_err(read_error)?;
            let value = self.whole(stored)?.ok_or_else(incomplete)?;
            if !visit(bytes(key), value) {
                break;
            }
        }
        Ok(())
    }

    fn ready(&self) -> Result<(), StoreError> {
        let disk = rustix::fs::statvfs(&self.path).map_err(|error| StoreError::Read(error.to_string().into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < HEADROOM { Err(StoreError::Full { free }) } else { Ok(()) }
    }

    fn apply(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for (key, value) in writes {
            self.remove_pieces(&key, &mut batch)?;
            match value {
                None => batch.remove(&key[..]),
                Some(value) if value.len() <= pieces::PIECE => batch.insert(&key[..], &value[..]),
                Some(value) => {
                    let head = Head::of(&value, self.next.fetch_add(1, Ordering::Relaxed));
                    for (index, piece) in (0..).zip(value.chunks(pieces::PIECE)) {
                        batch.insert(&head.key(index)[..], piece);
                    }
                    batch.insert(&key[..], &head.encode()[..]);
                }
            }
        }
        self.db.apply_batch(batch).map_err(write_error)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(write_error)?;
        self.log.sync_data().map_err(write_error)
    }
}

fn incomplete() -> StoreError {
    StoreError::Read("a long value is not complete".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::{MAX_KEY, MAX_VALUE};

    #[test]
    fn a_directory_in_use_is_refused_in_words_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let open = Sled::open(directory.path(), 1 << 20).unwrap();
        let unfinished = directory.path().join("snap.0000000000000001.generating");
        fs::write(&unfinished, b"of the running process").unwrap();
        let refused = Sled::open(directory.path(), 1 << 20).err().unwrap();
        assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
        assert!(refused.to_string().contains("another process"), "{refused}");
        assert!(unfinished.exists(), "the file may belong to the process that holds the lock");
        drop(open);
    }

    #[test]
    fn an_unfinished_snapshot_does_not_keep_the_store_from_opening() {
        let directory = tempfile::tempdir().unwrap();
        let open = Sled::open(directory.path(), 1 << 20).unwrap();
        open.apply(vec![(Bytes::from("key"), Some(Bytes::from("\0value")))]).unwrap();
        open.flush().unwrap();
        drop(open);
        let unfinished = directory.path().join("snap.00000000000000FF.generating");
        fs::write(&unfinished, b"half").unwrap();
        let open = Sled::open(directory.path(), 1 << 20).unwrap();
        assert!(!unfinished.exists());
        assert_eq!(open.get(b"key").unwrap().unwrap(), "\0value");
    }

    #[test]
    fn a_damaged_store_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("snap.00000000000000FF"), b"not a snapshot at all").unwrap();
        let refused = Sled::open(directory.path(), 1 << 20).err().unwrap();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
        assert!(refused.to_string().contains("import"), "{refused}");
    }

    fn stored(fill: u8, length: usize) -> Bytes {
        let mut value = vec![fill; length];
        value[0] = 0;
        value.into()
    }

    #[test]
    fn long_values_come_back_whole_and_leave_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let key = Bytes::from("key");
        let put = |open: &Sled, value: &Bytes| open.apply(vec![(key.clone(), Some(value.clone()))]).unwrap();
        let left = |open: &Sled| open.db.range(..AFTER_PIECES).count();
        let lengths = [1, 2, pieces::PIECE, pieces::PIECE + 1, 3 * pieces::PIECE, 280_000, 20];
        for length in lengths {
            let open = Sled::open(directory.path(), 1 << 20).unwrap();
            for fill in 0..3 {
                let value = stored(fill, length);
                put(&open, &value);
                assert_eq!(open.get(&key).unwrap().unwrap(), value);
                let mut found = Vec::new();
                let all = open.scan(&[], None, false, &mut |key, value| {
                    found.push((key, value));
                    true
                });
                all.unwrap();
                assert_eq!(found, [(key.clone(), value)], "pieces are not seen");
            }
            let count = if length <= pieces::PIECE { 0 } else { length.div_ceil(pieces::PIECE) };
            assert_eq!(left(&open), count);
            open.flush().unwrap();
        }
        let open = Sled::open(directory.path(), 1 << 20).unwrap();
        put(&open, &stored(1, 280_000));
        open.apply(vec![(key.clone(), None)]).unwrap();
        assert_eq!((left(&open), open.get(&key).unwrap()), (0, None));
    }

    #[test]
    fn a_long_value_replaced_while_it_is_read_is_never_mixed() {
        let directory = tempfile::tempdir().unwrap();
        let open = Sled::open(directory.path(), 1 << 20).unwrap();
        let put = |fill| open.apply(vec![(Bytes::from("key"), Some(stored(fill, 200_000)))]).unwrap();
        put(0);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..100).for_each(put));
            while !writer.is_finished() {
                let value = open.get(b"key").unwrap().unwrap();
                assert_eq!(value, stored(value[1], 200_000));
            }
        });
    }

    /// sled's own files for large pages are never synced and pile up; see the top of this file.
    #[test]
    fn the_largest_keys_and_values_make_no_page_files() {
        let directory = tempfile::tempdir().unwrap();
        let open = Sled::open(directory.path(), 64 << 20).unwrap();
        let key = |n: usize| Bytes::from(format!("{n:04}{}", "k".repeat(MAX_KEY - 4)));
        for n in 0..600 {
            open.apply(vec![(key(n * 7 % 600), Some(stored(1, pieces::PIECE)))]).unwrap();
        }
        for n in 0..600 {
            let value = (n % 3 > 0).then(|| stored(2, pieces::PIECE));
            open.apply(vec![(key(n), value)]).unwrap();
        }
        for n in 0..60 {
            open.apply(vec![(key(n % 20), Some(stored(3, MAX_VALUE)))]).unwrap();
        }
        open.flush().unwrap();
        assert_eq!(fs::read_dir(directory.path().join("blobs")).unwrap().count(), 0);
    }
}
