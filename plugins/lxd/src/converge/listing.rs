//! Comparing a whole trust store with what is wanted and what is known of it.
//!
//! Marks what has to be looked at and deletes nothing itself. Invariant: entries that we do not know of are nobody's
//! business here.

use std::collections::{BTreeMap, BTreeSet};

use plugbay_sdk::Problem;
use plugbay_sdk::kv::{self, COMMIT_LIMIT, Transaction};

use super::{Run, after};
use crate::certificate::Certificate;
use crate::store::nodes::Seen;
use crate::store::records::{Ledger, State};
use crate::store::{index, keys};
use crate::trust::{Client, TrustError};

/// List the store through a node and mark the differences. The error inside is the node's.
///
/// # Errors
/// Those of our own store.
pub fn compare(run: &Run<'_>, leader: &Seen) -> Result<Result<(), TrustError>, Problem> {
    let listed = match Client::new(run.outside, &leader.node).list() {
        Ok(listed) => listed,
        Err(error) => return Ok(Err(error)),
    };
    let actual: BTreeMap<String, String> =
        listed.into_iter().map(|trusted| (trusted.fingerprint.to_ascii_lowercase(), trusted.name)).collect();
    let mut unknown = if run.draining { BTreeSet::new() } else { desired()? };
    let mut marks = Marks { store: run.store, tx: Transaction::new() };
    for entry in kv::prefix(&keys::ledgers(run.store)) {
        let entry = entry?;
        let fingerprint = keys::last(&entry.key);
        let ledger: Ledger = entry.json()?.value;
        let wanted = unknown.remove(fingerprint);
        let name = actual.get(fingerprint).map(String::as_str);
        let version = leader.status.server_version.as_deref();
        match ledger.state {
            State::Registered => run.turns_at(after(ledger.not_after)),
            State::Failed => run.turns_at(ledger.next_attempt),
            State::Pending | State::Removing => {}
        }
        if let Some(settled) = settled(&ledger, wanted, name, run.began) {
            marks.put(fingerprint, Some(&settled))?;
        } else if !wanted || is_due(&ledger, version, run.began) {
            marks.put(fingerprint, None)?;
        }
    }
    for fingerprint in unknown {
        let known = if actual.contains_key(&fingerprint) { found(&fingerprint, run.began)? } else { None };
        marks.put(&fingerprint, known.as_ref())?;
    }
    marks.commit()?;
    Ok(Ok(()))
}

/// Every certificate that any unit wants.
fn desired() -> Result<BTreeSet<String>, kv::Error> {
    kv::prefix(keys::WANTS)
        .into_iter()
        .map(|entry| entry.map(|entry| entry.key.split('/').nth(1).unwrap_or_default().to_owned()))
        .collect()
}

/// What the listing settles by itself: somebody deleted the entry, or an open intent has come true.
fn settled(ledger: &Ledger, wanted: bool, name: Option<&str>, now: i64) -> Option<Ledger> {
    let ours =
        name.filter(|name| [&ledger.name, &ledger.intent].into_iter().any(|known| known.as_deref() == Some(name)));
    match (ledger.state, name) {
        (State::Registered, None) if wanted => {
            Some(Ledger { state: State::Pending, owned: false, name: None, intent: None, ..ledger.clone() })
        }
        // Somebody put an entry of theirs in the place of ours.
        (State::Registered, Some(_)) if ledger.owned && ours.is_none() => {
            Some(Ledger { owned: false, name: None, intent: None, ..ledger.clone() })
        }
        (State::Pending, Some(_)) if wanted => Some(Ledger {
            state: State::Registered,
            owned: ours.is_some(),
            name: ours.map(str::to_owned),
            intent: None,
            since: now,
            attempts: 0,
            next_attempt: 0,
            error: None,
            ..ledger.clone()
        }),
        _ => None,
    }
}

/// Whether a certificate that is wanted needs a look.
fn is_due(ledger: &Ledger, version: Option<&str>, now: i64) -> bool {
    match ledger.state {
        State::Registered => ledger.not_after * 1000 < now,
        State::Pending => ledger.next_attempt <= now,
        State::Removing => true,
        State::Failed => {
            let timed = ledger.next_attempt > 0 && ledger.next_attempt <= now;
            let refused = ledger.error.as_ref().is_some_and(|error| error.http_status == Some(400));
            timed || ledger.owned || ledger.intent.is_some() || (refused && ledger.server_version.as_deref() != version)
        }
    }
}

/// The ledger of a certificate that was in the store before we looked: trusted, and not ours.
fn found(fingerprint: &str, now: i64) -> Result<Option<Ledger>, Problem> {
    // It has to be wanted still: what is known of it goes with the last who wants it.
    let Some(stored) = kv::get_json::<Certificate>(&keys::certificate(fingerprint))? else { return Ok(None) };
    if !index::is_wanted(fingerprint)? {
        return Ok(None);
    }
    let not_after = stored.value.not_after;
    Ok(Some(Ledger { state: State::Registered, since: now, not_after, ..Ledger::default() }))
}

struct Marks<'a> {
    store: &'a str,
    tx: Transaction,
}

impl Marks<'_> {
    fn put(&mut self, fingerprint: &str, ledger: Option<&Ledger>) -> Result<(), kv::Error> {
        if let Some(ledger) = ledger {
            self.tx.put_json(keys::ledger(self.store, fingerprint), ledger)?;
        }
        self.tx.put(keys::todo(self.store, fingerprint), Vec::new());
        if self.tx.size() + 2 > COMMIT_LIMIT { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), kv::Error> {
        let tx = std::mem::take(&mut self.tx);
        if tx.size() > 0 {
            tx.commit()?;
        }
        Ok(())
    }
}
