//! The state behind the capabilities, one for each thread, and what tests ask and tell it.
//!
//! Invariant: nothing borrows the state across a call into the plugin or the test.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::crypto::{Certificate, KeyKind};
use crate::identity::TokenInfo;
use crate::jobs::JobStatus;
use crate::log::Level;
use crate::{Caller, User, Watch, kv};

thread_local! {
    static CURRENT: RefCell<Host> = RefCell::new(Host::new());
}

/// A host in memory. Clones are the same host.
#[derive(Clone)]
pub struct Host(Rc<RefCell<State>>);

pub(super) type Interruption = Box<dyn FnOnce(&Host)>;

#[derive(Default)]
pub(super) struct State {
    /// While `describe` runs, every capability answers `denied`.
    pub describing: bool,
    pub revision: u64,
    pub entries: BTreeMap<String, (Vec<u8>, u64)>,
    /// The last revision that touched a key, deleted ones included.
    pub touched: BTreeMap<String, u64>,
    /// What gets in between before a read, after as many others.
    pub before_read: Option<(usize, Interruption)>,
    pub before_commit: VecDeque<Interruption>,
    pub failing_commits: VecDeque<kv::Error>,
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub pieces: BTreeMap<String, Vec<u8>>,
    pub files: BTreeMap<String, Vec<u8>>,
    pub ids: u64,
    pub jobs: Vec<KeptJob>,
    pub config: Option<String>,
    pub log: Vec<(Level, String)>,
    pub keys: BTreeMap<String, HostKey>,
    pub random: u64,
    pub certificates: Vec<(Vec<u8>, Certificate)>,
    pub users: Vec<User>,
    pub tokens: BTreeMap<String, TokenInfo>,
    pub rules: Vec<(String, Vec<String>)>,
    pub challenge: Option<String>,
    /// Of the request being handled; none in jobs.
    pub caller: Option<Caller>,
}

pub(super) struct KeptJob {
    pub status: JobStatus,
    pub payload: Vec<u8>,
}

pub(super) struct HostKey {
    pub kind: KeyKind,
    pub secret: Vec<u8>,
}

impl State {
    pub fn new_id(&mut self, what: &str) -> String {
        self.ids += 1;
        format!("{what}-{}", self.ids)
    }

    /// The bytes of an attached blob or a piece.
    pub fn bytes_of(&self, name: &str) -> Option<&[u8]> {
        self.blobs.get(name).or_else(|| self.pieces.get(name)).map(Vec::as_slice)
    }

    /// Whether the store is past what the watch saw.
    pub fn is_past(&self, watch: &Watch) -> bool {
        match watch {
            Watch::Key((key, seen)) => self.entries.get(key).map(|(_, version)| *version) != *seen,
            Watch::Prefix((prefix, revision)) => self
                .touched
                .range(prefix.clone()..)
                .take_while(|(key, _)| key.starts_with(prefix.as_str()))
                .any(|(_, touched)| touched > revision),
        }
    }
}

impl Host {
    /// A host with nothing in it.
    #[expect(clippy::new_without_default, reason = "a host is made on purpose")]
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(State { revision: 1, ..State::default() })))
    }

    /// The host of this thread, where capability calls go. [`TestApp`](super::TestApp) makes its own the current one
    /// whenever it calls the plugin.
    pub fn current() -> Self {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Make this the host of this thread.
    pub fn install(&self) {
        CURRENT.set(self.clone());
    }

    pub(super) fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.0.borrow_mut())
    }

    /// The plugin's settings, anything that serializes to a JSON object.
    pub fn set_config(&self, config: &impl Serialize) {
        match serde_json::to_string(config) {
            Ok(text) => self.state(|state| state.config = Some(text)),
            Err(error) => panic!("the settings are not JSON: {error}"),
        }
    }

    /// Write a key, as another commit would. Its new version.
    pub fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> u64 {
        self.state(|state| {
            state.revision += 1;
            state.touched.insert(key.to_owned(), state.revision);
            state.entries.insert(key.to_owned(), (value.into(), state.revision));
            state.revision
        })
    }

    /// Write a key as JSON, as another commit would. Its new version.
    pub fn put_json(&self, key: &str, value: &impl Serialize) -> u64 {
        match serde_json::to_vec(value) {
            Ok(value) => self.put(key, value),
            Err(error) => panic!("the value of `{key}` is not JSON: {error}"),
        }
    }

    /// Delete a key, as another commit would.
    pub fn delete(&self, key: &str) {
        self.state(|state| {
            state.revision += 1;
            state.touched.insert(key.to_owned(), state.revision);
            state.entries.remove(key);
        });
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.state(|state| state.entries.get(key).map(|(value, _)| value.clone()))
    }

    /// The value of a key, read as JSON.
    pub fn get_json<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let value = self.get(key)?;
        match serde_json::from_slice(&value) {
            Ok(value) => Some(value),
            Err(error) => panic!("the value of `{key}` does not read: {error}"),
        }
    }

    /// The version of a key.
    pub fn version(&self, key: &str) -> Option<u64> {
        self.state(|state| state.entries.get(key).map(|(_, version)| *version))
    }

    /// Every key, in order.
    pub fn keys(&self) -> Vec<String> {
        self.state(|state| state.entries.keys().cloned().collect())
    }

    /// Have the next commit fail so, without writing anything. Several queue up.
    pub fn fail_next_commit(&self, error: kv::Error) {
        self.state(|state| state.failing_commits.push_back(error));
    }

    /// Do something just before a read of `kv`, one key or a stretch of them, after `others` other reads: the other
    /// request that got in between. With each number of others in turn, every order of the two is tried.
    pub fn before_read<R>(&self, others: usize, interruption: impl FnOnce(&Host) -> R + 'static) {
        let interruption = Box::new(move |host: &Host| drop(interruption(host)));
        self.state(|state| state.before_read = Some((others, interruption)));
    }

    /// A read is about to happen.
    pub(super) fn reading(&self) {
        let due = self.state(|state| match &mut state.before_read {
            Some((others @ 1.., _)) => {
                *others -= 1;
                None
            }
            waiting => waiting.take().map(|(_, interruption)| (interruption, state.caller.clone())),
        });
        if let Some((interruption, caller)) = due {
            interruption(self);
            self.state(|state| state.caller = caller);
        }
    }

    /// Do something just before the next commit is checked: the other request that got in between. Several queue up,
    /// one for each commit.
    pub fn before_next_commit<R>(&self, interruption: impl FnOnce(&Host) -> R + 'static) {
        let interruption = Box::new(move |host: &Host| drop(interruption(host)));
        self.state(|state| state.before_commit.push_back(interruption));
    }

    /// The bytes of an attached blob.
    pub fn blob(&self, name: &str) -> Option<Vec<u8>> {
        self.state(|state| state.blobs.get(name).cloned())
    }

    /// Attach a blob.
    pub fn put_blob(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.state(|state| state.blobs.insert(name.to_owned(), bytes.into()));
    }

    /// The names of the attached blobs, in order.
    pub fn blobs(&self) -> Vec<String> {
        self.state(|state| state.blobs.keys().cloned().collect())
    }

    /// A file that answers may send from the private directory, and pieces be made of. What the plugin itself reads and
    /// writes there goes through the standard library and is not here.
    pub fn put_file(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.state(|state| state.files.insert(path.to_owned(), bytes.into()));
    }

    /// The bytes of a file that was put there or written by `blobs::to_file`.
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.state(|state| state.files.get(path).cloned())
    }

    /// The jobs that are not done, oldest first, with their payloads.
    pub fn jobs(&self) -> Vec<(JobStatus, Vec<u8>)> {
        self.state(|state| state.jobs.iter().map(|job| (job.status.clone(), job.payload.clone())).collect())
    }

    /// A user that `identity` finds.
    pub fn add_user(&self, user: User) {
        self.state(|state| state.users.push(user));
    }

    /// A token that `identity.lookup` finds.
    pub fn add_token(&self, token: &str, user: User) {
        self.state(|state| state.tokens.insert(token.to_owned(), TokenInfo { user, expires: None }));
    }

    /// What `identity.challenge` answers, in place of that of tokens in a file.
    pub fn set_challenge(&self, challenge: &str) {
        self.state(|state| state.challenge = Some(challenge.to_owned()));
    }

    /// A certificate that parsing these bytes (one DER, or a whole PEM text) gives. More calls with one PEM add to it.
    pub fn add_certificate(&self, bytes: impl Into<Vec<u8>>, certificate: Certificate) {
        self.state(|state| state.certificates.push((bytes.into(), certificate)));
    }

    /// What was logged so far, oldest first.
    pub fn log(&self) -> Vec<(Level, String)> {
        self.state(|state| state.log.clone())
    }

    /// Drop the pieces that were never attached.
    pub(super) fn sweep(&self) {
        self.state(|state| state.pieces.clear());
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("keys", &self.keys()).field("blobs", &self.blobs()).finish_non_exhaustive()
    }
}
