//! One certificate in one store: what is wanted, what is known, and the requests that bring them together.
//!
//! Section 3.6. Invariants: the intent is on disk before the POST; a certificate is deleted only if we put it there, and
//! never if it is a credential of ours; what a POST may still bring is not forgotten.

use plugbay_sdk::kv::{self, Transaction};
use plugbay_sdk::{Problem, crypto};

use super::{Run, after, backoff};
use crate::certificate::{Certificate, Unfit};
use crate::store::nodes::Seen;
use crate::store::records::{Failure, Ledger, State};
use crate::store::{index, keys, relations};
use crate::trust::{Client, TrustError};

/// Milliseconds in which a POST without an answer may still come through: it waits in a node that was silent, or on its
/// way. Longer than any node takes for one.
const UNDER_WAY: i64 = 60_000;
/// Milliseconds between two looks for what such a POST brought.
const LOOK: i64 = 5_000;

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// There is nothing to do until something changes.
    Settled,
    /// There is, at that time, milliseconds since 1970.
    Later(i64),
}

/// Why a look came to no end.
#[derive(Debug)]
pub enum Stop {
    /// The node failed at this certificate, and perhaps only at this one.
    Retry {
        /// When to try again, milliseconds since 1970.
        at: i64,
        /// What it said.
        error: TrustError,
    },
    /// The node does not answer or does not let us.
    Node(TrustError),
    /// Our own store failed.
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Problem(error.into())
    }
}

/// Look at a certificate.
///
/// # Errors
/// If a request or our own store failed.
pub fn look(run: &Run<'_>, leader: &Seen, fingerprint: &str) -> Result<Look, Stop> {
    let mut one = One {
        run,
        client: Client::new(run.outside, &leader.node),
        leader,
        fingerprint,
        now: run.outside.now_ms(),
        ledger: Ledger::default(),
    };
    let known = kv::get_json::<Ledger>(&keys::ledger(run.store, fingerprint))?;
    let is_known = known.is_some();
    one.ledger = known.map(|stored| stored.value).unwrap_or_default();
    let certificate = kv::get_json::<Certificate>(&keys::certificate(fingerprint))?;
    match certificate {
        Some(certificate) if !run.draining && index::is_wanted(fingerprint)? => one.wanted(&certificate.value),
        _ if is_known => one.unwanted(),
        _ => Ok(Look::Settled),
    }
}

struct One<'a> {
    run: &'a Run<'a>,
    client: Client<'a>,
    leader: &'a Seen,
    fingerprint: &'a str,
    now: i64,
    ledger: Ledger,
}

impl One<'_> {
    fn wanted(&mut self, certificate: &Certificate) -> Result<Look, Stop> {
        self.ledger.not_after = certificate.not_after;
        match certificate.unfit(self.now.div_euclid(1000)) {
            Some(Unfit::Expired) => return self.expired(),
            // What an administrator added is trusted for them; whether it works yet is between them and the client.
            Some(unfit) if self.ledger.state != State::Registered => return self.unfit(unfit, certificate),
            _ => {}
        }
        match self.ledger.state {
            State::Registered => {
                self.run.turns_at(after(certificate.not_after));
                return Ok(Look::Settled);
            }
            State::Failed if self.is_final() => return Ok(Look::Settled),
            _ if self.ledger.next_attempt > self.now => return Ok(Look::Later(self.ledger.next_attempt)),
            _ => {}
        }
        if self.run.is_own(self.fingerprint) {
            // The node trusts it, or we would not be here.
            return self.registered(None);
        }
        self.register(certificate)
    }

    /// Refused by this very version of the server.
    fn is_final(&self) -> bool {
        let refused = self.ledger.error.as_ref().is_some_and(|error| error.http_status == Some(400));
        refused && self.ledger.server_version == self.leader.status.server_version
    }

    fn register(&mut self, certificate: &Certificate) -> Result<Look, Stop> {
        let name = match self.ledger.intent.clone().or(self.ledger.name.clone()) {
            Some(name) => name,
            None => self.mark()?,
        };
        let loose = self.ledger.loose;
        self.ledger.state = State::Pending;
        self.ledger.intent = Some(name.clone());
        self.ledger.loose = self.now + UNDER_WAY;
        self.keep()?;
        let projects = self.leader.node.projects.as_ref().unwrap_or(&self.run.settings.projects);
        let added = self.client.add(&certificate.der, &name, projects);
        if added.as_ref().err().is_none_or(TrustError::is_over) {
            self.ledger.loose = loose;
        }
        match added {
            Ok(()) => self.registered(Some(name)),
            Err(error) => match error.status() {
                Some(409) => self.was_there(&name),
                Some(400) => self.refused(&error),
                Some(404) => {
                    self.ledger.intent = None;
                    self.slowly();
                    self.failed("project_not_found", &error)?;
                    Ok(Look::Settled)
                }
                _ => Err(self.stop(error)),
            },
        }
    }

    /// 409: ours if the entry has the name that we meant to give it.
    fn was_there(&mut self, name: &str) -> Result<Look, Stop> {
        match self.client.get(self.fingerprint) {
            Ok(Some(entry)) if entry.kind == "client" => {
                let ours = (entry.name == name).then_some(entry.name);
                self.registered(ours)
            }
            Ok(Some(entry)) => {
                self.ledger.intent = None;
                self.ledger.state = State::Failed;
                self.ledger.error = Some(Failure {
                    code: "other_type".to_owned(),
                    message: format!("the trust store has it as a certificate of type {}", entry.kind),
                    http_status: Some(409),
                });
                self.slowly();
                self.keep()?;
                Ok(Look::Settled)
            }
            // Deleted in between.
            Ok(None) => {
                self.ledger.owned = false;
                self.ledger.name = None;
                self.keep()?;
                Ok(Look::Later(self.now + 1_000))
            }
            Err(error) => Err(self.stop(error)),
        }
    }

    /// The store has it; `name` is the entry's if it is ours.
    fn registered(&mut self, name: Option<String>) -> Result<Look, Stop> {
        self.ledger = Ledger {
            state: State::Registered,
            owned: name.is_some(),
            name,
            since: self.now,
            not_after: self.ledger.not_after,
            loose: self.ledger.loose,
            ..Ledger::default()
        };
        self.run.turns_at(after(self.ledger.not_after));
        self.keep()?;
        Ok(Look::Settled)
    }

    /// 400: the certificate is not good enough for this server.
    fn refused(&mut self, error: &TrustError) -> Result<Look, Stop> {
        let message = error.to_string();
        let same = |unfit: &&Unfit| message.contains(unfit.message());
        let known = [Unfit::Expired, Unfit::NotYetValid, Unfit::KeyTooWeak];
        let code = known.iter().find(same).map_or("refused", |unfit| unfit.code());
        self.ledger.intent = None;
        self.ledger.state = State::Failed;
        self.ledger.next_attempt = 0;
        self.ledger.server_version = self.leader.status.server_version.clone();
        self.failed(code, error)?;
        Ok(Look::Settled)
    }

    /// To be tried again when the next listing finds it due, which comes soon enough.
    fn slowly(&mut self) {
        self.ledger.next_attempt = self.now + backoff::SLOW;
        self.run.turns_at(self.ledger.next_attempt);
    }

    /// Known without asking.
    fn unfit(&mut self, unfit: Unfit, certificate: &Certificate) -> Result<Look, Stop> {
        self.ledger.state = State::Failed;
        self.ledger.error = Some(Failure::of(unfit));
        self.ledger.next_attempt = if unfit == Unfit::NotYetValid { certificate.not_before * 1000 } else { 0 };
        self.run.turns_at(self.ledger.next_attempt);
        self.keep()?;
        Ok(Look::Settled)
    }

    /// Run out: said at once, deleted if ours.
    fn expired(&mut self) -> Result<Look, Stop> {
        let error = Some(Failure::of(Unfit::Expired));
        if self.ledger.state != State::Failed || self.ledger.error != error {
            self.ledger.state = State::Failed;
            self.ledger.error = error;
            self.ledger.next_attempt = 0;
            self.keep()?;
        }
        match self.take_back()? {
            Look::Settled => {
                self.ledger.owned = false;
                self.ledger.name = None;
                self.ledger.intent = None;
                self.keep()?;
                Ok(Look::Settled)
            }
            later => Ok(later),
        }
    }

    fn unwanted(&mut self) -> Result<Look, Stop> {
        if self.ledger.state != State::Removing {
            // From here on the removal is owed, whatever happens to this run or this node.
            self.ledger.state = State::Removing;
            self.ledger.next_attempt = 0;
            self.ledger.attempts = 0;
            self.ledger.error = None;
            self.keep()?;
        }
        match self.take_back()? {
            Look::Settled => {
                let mut tx = Transaction::new();
                tx.delete(keys::ledger(self.run.store, self.fingerprint));
                tx.commit()?;
                index::forget_certificate(self.fingerprint)?;
                Ok(Look::Settled)
            }
            later => Ok(later),
        }
    }

    /// Delete it from the store, if it is ours to delete.
    fn take_back(&mut self) -> Result<Look, Stop> {
        if self.run.is_own(self.fingerprint) {
            return Ok(Look::Settled);
        }
        if self.ledger.next_attempt > self.now {
            return Ok(Look::Later(self.ledger.next_attempt));
        }
        let Some(name) = self.ledger.intent.as_ref().or(self.ledger.name.as_ref()) else { return Ok(Look::Settled) };
        match self.client.get(self.fingerprint) {
            Ok(Some(entry)) if entry.name == *name => {}
            // It is gone, or somebody else's by now.
            Ok(_) => return Ok(self.gone()),
            Err(error) => return Err(self.stop(error)),
        }
        match self.client.delete(self.fingerprint) {
            Ok(()) => Ok(self.gone()),
            Err(error) if error.status() == Some(404) => Ok(self.gone()),
            Err(error) => Err(self.stop(error)),
        }
    }

    /// It is not there, and may come yet.
    fn gone(&self) -> Look {
        if self.now < self.ledger.loose { Look::Later(self.now + LOOK) } else { Look::Settled }
    }

    /// A name that says whose the entry is, and that nobody else gives one: the end is random.
    fn mark(&self) -> Result<String, Stop> {
        let owners = index::owners(self.fingerprint)?;
        let relation = owners.first().map(|(relation, _)| relations::get(relation)).transpose()?.flatten();
        let app = relation.map(|stored| stored.value.remote_app).unwrap_or_default();
        let app: String =
            app.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(40).collect();
        Ok(format!("juju-relation-{app}-{}", crypto::hex(&crypto::random(8)?)))
    }

    fn stop(&mut self, error: TrustError) -> Stop {
        self.ledger.attempts = self.ledger.attempts.saturating_add(1);
        let at = match backoff::wait(self.ledger.attempts) {
            Ok(wait) => self.now + wait,
            Err(error) => return Stop::Problem(error.into()),
        };
        let one = matches!(error.status(), Some(404..=599));
        self.ledger.next_attempt = if one { at } else { 0 };
        let code = match error.status() {
            Some(403) => "not_authorized",
            Some(_) => "server_error",
            None => "unreachable",
        };
        if let Err(problem) = self.failed(code, &error) {
            return problem;
        }
        if one { Stop::Retry { at, error } } else { Stop::Node(error) }
    }

    fn failed(&mut self, code: &str, error: &TrustError) -> Result<(), Stop> {
        self.ledger.error =
            Some(Failure { code: code.to_owned(), message: error.to_string(), http_status: error.status() });
        self.keep()
    }

    fn keep(&self) -> Result<(), Stop> {
        let mut tx = Transaction::new();
        tx.put_json(keys::ledger(self.run.store, self.fingerprint), &self.ledger)?;
        tx.commit()?;
        Ok(())
    }
}

impl Failure {
    fn of(unfit: Unfit) -> Failure {
        Failure { code: unfit.code().to_owned(), message: unfit.message().to_owned(), http_status: None }
    }
}
