//! The token file in memory: look-ups by hash, and following changes of the file.
//!
//! Whoever checks a token looks at the file's facts first, at most once a second and never two at
//! a time, so a token taken out of the file is refused within a second and no task has to run. The
//! look is one `stat`, and reading only follows a change; both are fast on a local disk, where this
//! file belongs.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;

use super::token_file::{self, Entry, Hash, TokenFileError};
use super::{Rejection, TokenInfo, User};

/// Milliseconds between two looks at the file.
const EVERY: u64 = 1000;

/// The tokens of one file.
#[derive(Debug)]
pub struct Tokens {
    file: PathBuf,
    table: ArcSwap<Table>,
    born: Instant,
    /// When to look again, in milliseconds since `born`.
    due: AtomicU64,
    /// The facts of the file last read, or last found to be broken.
    seen: Mutex<Facts>,
}

/// What tells a changed file from an unchanged one without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Facts {
    Absent,
    Unreadable,
    Present { device: u64, inode: u64, size: u64, modified: (i64, i64), changed: (i64, i64) },
}

impl Facts {
    fn of(file: &Path) -> Self {
        match std::fs::metadata(file) {
            Ok(facts) => Self::Present {
                device: facts.dev(),
                inode: facts.ino(),
                size: facts.size(),
                modified: (facts.mtime(), facts.mtime_nsec()),
                changed: (facts.ctime(), facts.ctime_nsec()),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Self::Absent,
            Err(_) => Self::Unreadable,
        }
    }
}

impl Tokens {
    /// Read the file. A missing one has no tokens, until it appears.
    pub fn open(file: &Path) -> Result<Self, TokenFileError> {
        // Facts first: what changes while it is read is read again.
        let facts = Facts::of(file);
        let entries = token_file::read(file)?;
        if entries.is_none() {
            tracing::warn!(
                file = %file.display(),
                "there is no token file, so no token is valid; `plugbay token new` makes one"
            );
        }
        Ok(Self {
            file: file.to_owned(),
            table: ArcSwap::from_pointee(Table::new(entries.unwrap_or_default())),
            born: Instant::now(),
            due: AtomicU64::new(EVERY),
            seen: Mutex::new(facts),
        })
    }

    /// Whose token this is. `local` is asked only for tokens that are good on this machine only.
    pub(super) fn check(&self, token: &[u8], local: impl FnOnce() -> bool) -> Result<TokenInfo, Rejection> {
        self.follow(u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX));
        let table = self.table.load();
        let held = table.find(&token_file::hash(token)).ok_or(Rejection::Unknown)?;
        if held.expires.is_some_and(|expires| expires <= jiff::Timestamp::now().as_second()) {
            return Err(Rejection::Expired);
        }
        if held.loopback_only && !local() {
            return Err(Rejection::LoopbackOnly);
        }
        Ok(TokenInfo { user: Arc::clone(&held.user), expires: held.expires })
    }

    pub(super) fn users_by_id(&self, ids: &[String]) -> Vec<Arc<User>> {
        let table = self.table.load();
        ids.iter().filter_map(|id| table.by_id.get(id)).cloned().collect()
    }

    pub(super) fn users_by_name(&self, names: &[String]) -> Vec<Arc<User>> {
        let table = self.table.load();
        names.iter().filter_map(|name| table.by_name.get(name)).cloned().collect()
    }

    /// Look at the file if it is time to, `now` milliseconds after `born`.
    pub(super) fn follow(&self, now: u64) {
        let due = self.due.load(Ordering::Relaxed);
        let next = now.saturating_add(EVERY);
        let mine = now >= due && self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !mine {
            return;
        }
        let Some(mut seen) = self.seen.try_lock() else {
            return;
        };
        let facts = Facts::of(&self.file);
        if *seen == facts {
            return;
        }
        *seen = facts;
        let file = self.file.display();
        match token_file::read(&self.file) {
            Ok(entries) => {
                if entries.is_none() {
                    tracing::warn!(%file, "the token file is gone, so no token is valid");
                }
                let entries = entries.unwrap_or_default();
                tracing::info!(%file, tokens = entries.len(), "token file read again");
                self.table.store(Arc::new(Table::new(entries)));
            }
            Err(error) => {
                tracing::error!(%error, "token file not taken, the tokens read before stay valid");
            }
        }
    }
}

/// Tokens and users, made once for each version of the file.
#[derive(Debug)]
struct Table {
    tokens: HashMap<u64, Held>,
    by_id: HashMap<String, Arc<User>>,
    by_name: HashMap<String, Arc<User>>,
}

#[derive(Debug)]
struct Held {
    hash: Hash,
    user: Arc<User>,
    expires: Option<i64>,
    loopback_only: bool,
}

/// The part of a hash that the table is keyed by. The map compares keys as fast as it can; what it
/// thereby tells is at most these bits of a hash, from which no token can be made.
pub(super) fn short(hash: &Hash) -> u64 {
    let (first, _) = hash.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_le_bytes(*first)
}

impl Table {
    fn new(entries: Vec<Entry>) -> Self {
        let mut table = Self { tokens: HashMap::new(), by_id: HashMap::new(), by_name: HashMap::new() };
        for entry in entries {
            let user = Arc::new(User {
                id: entry.id,
                name: entry.name,
                project: entry.project,
                roles: entry.roles,
                extra: entry.extra.into_iter().collect(),
                unrestricted: false,
            });
            // Of a user with several tokens, the first one's project and roles are shown.
            table.by_id.entry(user.id.clone()).or_insert_with(|| Arc::clone(&user));
            table.by_name.entry(user.name.clone()).or_insert_with(|| Arc::clone(&user));
            let Entry { hash, expires, loopback_only, .. } = entry;
            table.tokens.insert(short(&hash), Held { hash, user, expires, loopback_only });
        }
        table
    }

    fn find(&self, hash: &Hash) -> Option<&Held> {
        let held = self.tokens.get(&short(hash))?;
        bool::from(held.hash.ct_eq(hash)).then_some(held)
    }
}
