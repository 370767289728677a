//! Bringing trust stores to what is wanted: one durable job for each store, driven by levels.
//!
//! A worker parks until something is to be looked at, a node changed, or its time has come. It then works off what
//! is marked `todo`, a few requests for each certificate; and every half minute it lists the whole store once, which is how
//! drift, outages, new nodes and certificates that run out come to be marked. So the number of listings follows from time, not
//! from the number of writes. [`probe`] asks nodes how they are, [`listing`] compares, [`one`] deals with one certificate.
//!
//! Invariants: the outcome of each request is on disk before anything is published; a mark goes only after what follows
//! from it was done, so that a run may end anywhere.

pub mod backoff;
pub mod listing;
pub mod one;
pub mod probe;
pub mod stores;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use plugbay_sdk::kv::{self, Entry, Transaction};
use plugbay_sdk::{Job, NewJob, Outcome, Problem, Watch, jobs, warn};

use crate::outside::Outside;
use crate::published;
use crate::settings::Settings;
use crate::store::nodes::{self, Seen};
use crate::store::records::{NodeState, Relation, Work};
use crate::store::{index, keys};
use one::{Look, Stop};
use probe::Probed;

/// Name of the job.
pub const JOB: &str = "converge";

/// Certificates looked at in one run: the job's deadline has to hold for all of them.
const BATCH: usize = 128;
/// Milliseconds after which a run takes no further certificate.
const RUN: i64 = 60_000;
/// Certificates between two publications.
const PAGE: u32 = 32;
/// Server errors in a row after which the node is left alone for a while.
const ERRORS: u32 = 3;
/// Least milliseconds that a broken relation is known to have been there.
const STONE: i64 = 24 * 3600 * 1000;

/// The job of a store.
pub fn job(store: &str) -> NewJob {
    NewJob::named(JOB).key(store).payload(store)
}

/// One run of a store's worker.
pub fn run(outside: &Outside, job: &Job) -> Outcome {
    let store = String::from_utf8_lossy(&job.payload).into_owned();
    pass(outside, &store).unwrap_or_else(|problem| {
        warn!("trust store {store}: {problem}");
        Outcome::retry_in(Duration::from_secs(5))
    })
}

/// Finish what requests left over, and make sure that every store has its worker.
///
/// # Errors
/// Those of the store.
pub fn sweep(outside: &Outside) -> Result<(), Problem> {
    let now = outside.now_ms();
    index::settle_all(now)?;
    let all = nodes::all()?;
    for store in nodes::stores(&all) {
        ensure(store)?;
    }
    publish_stale(&all, &Settings::load()?, now)?;
    for entry in kv::prefix(keys::RELATIONS) {
        let entry = entry?;
        let old = entry.json::<Relation>()?.value.broken.is_some_and(|broken| broken + STONE < now);
        if old && index::is_torn_down(keys::last(&entry.key))? {
            let mut tx = Transaction::new();
            tx.check_version(entry.key.as_str(), entry.version);
            tx.delete(entry.key);
            tx.commit()?;
        }
    }
    Ok(())
}

/// A worker that was given up is started anew.
fn ensure(store: &str) -> Result<(), Problem> {
    let mut alive = false;
    for status in jobs::pending(Some(store), 16)? {
        if status.state == jobs::State::Failed {
            jobs::cancel(&status.id)?;
        } else {
            alive = true;
        }
    }
    if !alive {
        let mut tx = Transaction::new();
        tx.enqueue(job(store));
        tx.commit()?;
    }
    Ok(())
}

/// Look at every provider's bag, if a node's change asks for it.
fn publish_stale(all: &[Seen], settings: &Settings, now: i64) -> Result<(), Problem> {
    let Some(stale) = kv::get(keys::STALE)? else { return Ok(()) };
    published::publish_all(all, settings, now)?;
    delete_seen(&[stale])
}

/// Delete keys that did not change since they were read; the others stay.
fn delete_seen(seen: &[Entry]) -> Result<(), Problem> {
    for some in seen.chunks(kv::COMMIT_LIMIT / 2) {
        let mut tx = Transaction::new();
        for entry in some {
            tx.check_version(entry.key.as_str(), entry.version);
            tx.delete(entry.key.as_str());
        }
        match tx.commit() {
            Ok(_) => {}
            Err(kv::Error::Conflict(_)) if some.len() > 1 => some.chunks(1).try_for_each(delete_seen)?,
            Err(kv::Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What a run works on.
pub struct Run<'a> {
    /// Nodes, secrets, time.
    pub outside: &'a Outside,
    /// The operator's decisions.
    pub settings: Settings,
    /// The store's name.
    pub store: &'a str,
    /// All nodes of all stores.
    pub all: Vec<Seen>,
    /// Its nodes are all to go: nothing is wanted here any more.
    pub draining: bool,
    /// When the run began, milliseconds since 1970.
    pub began: i64,
    /// When a certificate is to be looked at again, milliseconds since 1970.
    pub next: i64,
    /// When a node that is away is to be withdrawn, milliseconds since 1970.
    pub grace: i64,
    /// When the first of the certificates that were looked at runs out or becomes valid, milliseconds since 1970.
    pub turns: Cell<i64>,
    /// The nodes asked how they are.
    pub probed: Probed,
}

impl Run<'_> {
    /// The nodes of this store that may be talked to.
    pub fn members(&self) -> impl Iterator<Item = &Seen> {
        let usable = |seen: &&Seen| seen.node.store == self.store && (seen.node.enabled || seen.node.deleting);
        self.all.iter().filter(usable)
    }

    /// A node that answers.
    pub fn leader(&self) -> Option<Seen> {
        self.members().find(|seen| seen.status.state == NodeState::Online).cloned()
    }

    /// Whether a certificate is one of our own credentials.
    pub fn is_own(&self, fingerprint: &str) -> bool {
        self.all.iter().any(|seen| seen.node.own == fingerprint)
    }

    fn wake_at(&mut self, at: i64) {
        self.next = self.next.min(at);
    }

    /// A certificate is to be looked at again at that time, milliseconds since 1970: it runs out then, or becomes valid.
    pub fn turns_at(&self, at: i64) {
        if at > self.began {
            self.turns.set(self.turns.get().min(at));
        }
    }
}

/// The first millisecond after the last second in which a certificate is good.
fn after(not_after: i64) -> i64 {
    not_after.saturating_add(1).saturating_mul(1_000)
}

fn pass(outside: &Outside, store: &str) -> Result<Outcome, Problem> {
    let now = outside.now_ms();
    let all = nodes::all()?;
    let mut mine = all.iter().filter(|seen| seen.node.store == store).peekable();
    if mine.peek().is_none() {
        stores::forget(store)?;
        return Ok(Outcome::Done);
    }
    let draining = mine.all(|seen| seen.node.deleting);
    // Before anything is looked at, so that what changes meanwhile wakes the worker.
    let revision = kv::prefix(&keys::todos(store)).limit(1).page()?.revision;
    let poke = kv::get(&keys::poke(store))?;
    let settings = Settings::load()?;
    let known: Work = kv::get_json(&keys::work(store))?.map(|stored| stored.value).unwrap_or_default();
    let mut work = known.clone();
    let mut run = Run {
        outside,
        settings,
        store,
        all,
        draining,
        began: now,
        next: i64::MAX,
        grace: i64::MAX,
        turns: Cell::new(i64::MAX),
        probed: Probed::default(),
    };
    let due = poke.is_some() || now >= known.next_list || run.leader().is_none();
    if due {
        probe::first(&mut run)?;
    }
    let result = work_off(&mut run, due, &mut work)?;
    if due {
        probe::rest(&mut run)?;
    }
    if result != Worked::Failed {
        // Who waits for the bag is told when something leaves it, not when the next look would be.
        work.next_list = work.next_list.min(run.turns.get());
    }
    if work != known {
        let mut tx = Transaction::new();
        tx.put_json(keys::work(store), &work)?;
        tx.commit()?;
    }
    if let Some(poke) = poke {
        delete_seen(&[poke])?;
    }
    publish_stale(&nodes::all()?, &run.settings, outside.now_ms())?;
    if draining && stores::finish(outside, store)? {
        return Ok(Outcome::Done);
    }
    if result == Worked::More {
        return Ok(Outcome::retry_in(Duration::from_millis(1)));
    }
    // A node that failed is left alone, whatever else would be due.
    let next = if result == Worked::Failed { work.next_list } else { work.next_list.min(run.next) };
    let wait = u64::try_from(next.min(run.grace) - outside.now_ms()).unwrap_or(0).max(200);
    let watches = vec![Watch::Prefix((keys::todos(store), revision)), Watch::Key((keys::poke(store), None))];
    Ok(Outcome::park(watches, Duration::from_millis(wait)))
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worked {
    /// To the end.
    All,
    /// There is more to do at once.
    More,
    /// The node has to be left alone for a while.
    Failed,
}

fn work_off(run: &mut Run<'_>, due: bool, work: &mut Work) -> Result<Worked, Problem> {
    let Some(leader) = run.leader() else {
        if run.draining {
            stores::forget_unowed(run.store)?;
        }
        return failed(run, work);
    };
    if due {
        if let Err(error) = listing::compare(run, &leader)? {
            probe::fell(run, &leader, &error)?;
            return failed(run, work);
        }
        work.next_list = run.outside.now_ms() + run.settings.relist_ms();
    }
    match todos(run, &leader)? {
        Ok(all) => {
            work.failures = 0;
            Ok(if all { Worked::All } else { Worked::More })
        }
        Err(error) => {
            probe::fell(run, &leader, &error)?;
            failed(run, work)
        }
    }
}

fn failed(run: &Run<'_>, work: &mut Work) -> Result<Worked, Problem> {
    work.failures = work.failures.saturating_add(1);
    let untrusted =
        run.members().all(|seen| matches!(seen.status.state, NodeState::Untrusted | NodeState::PinMismatch));
    // Somebody has to do something about those; asking again and again does not.
    let wait = if untrusted { backoff::SLOW } else { backoff::wait(work.failures)? };
    work.next_list = run.outside.now_ms() + wait;
    Ok(Worked::Failed)
}

/// Look at what is marked. Whether all was; the error inside is one for which the node is left alone.
fn todos(run: &mut Run<'_>, leader: &Seen) -> Result<Result<bool, crate::trust::TrustError>, Problem> {
    let mut scan = kv::prefix(&keys::todos(run.store)).limit(PAGE);
    let (mut looked, mut errors) = (0, 0);
    loop {
        let page = scan.page()?;
        let (mut done, mut affected, mut stopped) = (Vec::new(), BTreeSet::new(), None);
        for entry in page.entries.iter().take(if looked < BATCH && run.outside.now_ms() < run.began + RUN {
            usize::MAX
        } else {
            0
        }) {
            let fingerprint = keys::last(&entry.key);
            looked += 1;
            match one::look(run, leader, fingerprint) {
                Ok(Look::Settled) => {
                    errors = 0;
                    affected.extend(index::owners(fingerprint)?.into_iter().map(|(relation, _)| relation));
                    done.push(entry.clone());
                }
                Ok(Look::Later(at)) => run.wake_at(at),
                Err(Stop::Problem(problem)) => return Err(problem),
                Err(Stop::Retry { at, error }) => {
                    run.wake_at(at);
                    errors += 1;
                    if errors >= ERRORS {
                        stopped = Some(error);
                        break;
                    }
                }
                Err(Stop::Node(error)) => {
                    stopped = Some(error);
                    break;
                }
            }
        }
        let now = run.outside.now_ms();
        for relation in &affected {
            published::publish_with(relation, &run.all, &run.settings, now)?;
        }
        delete_seen(&done)?;
        if let Some(error) = stopped {
            return Ok(Err(error));
        }
        if !page.more {
            return Ok(Ok(true));
        }
        if looked >= BATCH || now >= run.began + RUN {
            return Ok(Ok(false));
        }
        let Some(last) = page.entries.last() else { return Ok(Ok(true)) };
        scan = scan.after(&last.key);
    }
}
