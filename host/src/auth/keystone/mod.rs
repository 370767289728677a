//! Provider `keystone`: tokens that Keystone says are good, and what is remembered of its answers.
//!
//! A token that is remembered is answered at once; for another one Keystone is asked, in a task of its own, so that
//! a client that goes away takes no answer from others who wait for the same. What is asked, and how, is
//! in [`crate::keystone`].
//!
//! Invariants: tokens are known by their hashes, and the token itself lives as long as the question; each token is asked about
//! once at a time; questions under way and waiting have a bound, and past it callers are told to come again; bad tokens
//! never push good ones out of memory. Where Keystone does not say, nobody is let in, and nobody is told that their token is bad.

mod cache;
mod headers;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::token_file::{Hash, hash};
use super::{Rejection, TokenInfo, Unverified, User};
use crate::config;
use crate::keystone::{Keystone as Service, Token};
use crate::metrics::TokenChecks;

use cache::Cache;

/// For each question under way so many may wait.
const WAITING: usize = 8;

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Whose it is.
    Good(TokenInfo),
    /// That it is of no use.
    Bad(Rejection),
    /// Nothing.
    Unknown(Unverified),
}

/// Where a verdict comes from.
pub(super) enum Answer {
    /// It is known.
    Now(Verdict),
    /// It is asked for.
    Later(Pending),
}

/// A verdict that is still to come.
pub(super) struct Pending(watch::Receiver<Option<Verdict>>);

impl Pending {
    /// Wait for it, at most as long as the operator allows.
    pub(super) async fn verdict(mut self) -> Verdict {
        let told = self.0.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
        // Without a word the host is stopping.
        told.unwrap_or(Verdict::Unknown(Unverified::Away))
    }
}

/// One table `[auth.NAME]`.
pub struct Keystone {
    asking: Arc<Asking>,
    challenge: HeaderValue,
}

struct Asking {
    service: Arc<Service>,
    turns: Semaphore,
    most: usize,
    deadline: Duration,
    good_for: Duration,
    bad_for: Duration,
    counts: TokenChecks,
    known: Mutex<Known>,
}

struct Known {
    good: Cache<TokenInfo>,
    bad: Cache<Rejection>,
    asked: HashMap<Hash, watch::Receiver<Option<Verdict>>>,
}

impl Keystone {
    pub(super) fn new(service: Arc<Service>, settings: &config::Auth, counts: TokenChecks) -> Self {
        let entries = settings.cache.entries as usize;
        let validations = (settings.validations as usize).clamp(1, Semaphore::MAX_PERMITS);
        let public_url = settings.public_url.as_deref().unwrap_or(&settings.url);
        // Neither happens: the configuration was checked.
        let challenge = HeaderValue::from_str(&format!("Keystone uri=\"{public_url}\""));
        let asking = Asking {
            service,
            turns: Semaphore::new(validations),
            most: validations.saturating_mul(1 + WAITING),
            deadline: settings.deadline.get(),
            good_for: settings.cache.good.get(),
            bad_for: settings.cache.bad.get(),
            counts,
            known: Mutex::new(Known { good: Cache::new(entries), bad: Cache::new(entries), asked: HashMap::new() }),
        };
        Self { asking: Arc::new(asking), challenge: challenge.unwrap_or(HeaderValue::from_static("Keystone")) }
    }

    /// The value of `WWW-Authenticate`: where to log in.
    pub(super) fn challenge(&self) -> HeaderValue {
        self.challenge.clone()
    }

    /// Take the fields away by which programs behind OpenStack's own middleware know callers.
    pub(super) fn strip(headers: &mut HeaderMap) {
        headers::strip(headers);
    }

    /// What is known of a token that has the form of one, or who will know.
    pub(super) fn check(&self, token: &[u8]) -> Answer {
        let Ok(text) = std::str::from_utf8(token) else { return Answer::Now(Verdict::Bad(Rejection::Malformed)) };
        let hash = hash(token);
        let counts = &self.asking.counts;
        let mut known = self.asking.known.lock();
        if let Some(verdict) = known.verdict(&hash) {
            counts.remembered.inc();
            return Answer::Now(verdict);
        }
        if let Some(asked) = known.asked.get(&hash) {
            return Answer::Later(Pending(asked.clone()));
        }
        if known.asked.len() >= self.asking.most {
            counts.unknown.inc();
            return Answer::Now(Verdict::Unknown(Unverified::Busy));
        }
        let (tell, told) = watch::channel(None);
        known.asked.insert(hash, told.clone());
        drop(known);
        let question = Question { asking: Arc::clone(&self.asking), hash };
        tokio::spawn(question.ask(Zeroizing::new(text.to_owned()), tell));
        Answer::Later(Pending(told))
    }
}

impl std::fmt::Debug for Keystone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystone").field("service", &self.asking.service).finish_non_exhaustive()
    }
}

impl Known {
    fn verdict(&mut self, hash: &Hash) -> Option<Verdict> {
        let now = Instant::now();
        let good = self.good.get(hash, now).cloned().map(Verdict::Good);
        good.or_else(|| self.bad.get(hash, now).copied().map(Verdict::Bad))
    }
}

/// A token that is asked about; not any more when this is dropped, however that comes.
struct Question {
    asking: Arc<Asking>,
    hash: Hash,
}

impl Question {
    async fn ask(self, token: Zeroizing<String>, tell: watch::Sender<Option<Verdict>>) {
        let verdict = self.asking.verdict(&token).await;
        drop(token);
        self.asking.remember(self.hash, &verdict);
        // In this order: whoever comes between finds the memory.
        drop(self);
        tell.send_replace(Some(verdict));
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.asking.known.lock().asked.remove(&self.hash);
    }
}

impl Asking {
    async fn verdict(&self, token: &str) -> Verdict {
        let until = Instant::now() + self.deadline;
        let Ok(Ok(_turn)) = timeout_at(until, self.turns.acquire()).await else {
            self.counts.unknown.inc();
            return Verdict::Unknown(Unverified::Busy);
        };
        match self.service.validate(token, until).await {
            Ok(Some(token)) => {
                self.counts.good.inc();
                Verdict::Good(info(token))
            }
            Ok(None) => {
                self.counts.bad.inc();
                Verdict::Bad(Rejection::Unknown)
            }
            // The log has it.
            Err(_) => {
                self.counts.unknown.inc();
                Verdict::Unknown(Unverified::Away)
            }
        }
    }

    fn remember(&self, hash: Hash, verdict: &Verdict) {
        let now = Instant::now();
        let mut known = self.known.lock();
        match verdict {
            Verdict::Good(info) => {
                let left = info.expires.unwrap_or(i64::MAX).saturating_sub(Timestamp::now().as_second());
                let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
                known.good.put(hash, info.clone(), now + self.good_for.min(left));
            }
            Verdict::Bad(why) => known.bad.put(hash, *why, now + self.bad_for),
            Verdict::Unknown(_) => {}
        }
    }
}

/// The caller's record: what OpenStack's own middleware would put into header fields.
fn info(token: Token) -> TokenInfo {
    let Token { user, project, domain, system, roles, expires_at, is_admin_project, .. } = token;
    let user_domain = user.domain.unwrap_or_default();
    let domain = domain.unwrap_or_default();
    let (project_id, project_name, project_domain) = match project {
        Some(project) => (Some(project.id), Some(project.name), project.domain.unwrap_or_default()),
        None => (None, None, <_>::default()),
    };
    let system = system.filter(|system| system.all).map(|_| "all".to_owned());
    let admin = project_name.as_ref().map(|_| is_admin_project.unwrap_or(true).to_string());
    let extra = [
        ("user_domain_id", user_domain.id),
        ("user_domain_name", user_domain.name),
        ("project_name", project_name),
        ("project_domain_id", project_domain.id),
        ("project_domain_name", project_domain.name),
        ("domain_id", domain.id),
        ("domain_name", domain.name),
        ("system_scope", system),
        ("is_admin_project", admin),
    ];
    let user = User {
        id: user.id,
        name: user.name,
        project: project_id,
        roles: roles.into_iter().map(|role| role.name).collect(),
        extra: extra.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        unrestricted: false,
    };
    TokenInfo { user: Arc::new(user), expires: Some(expires_at.as_second()) }
}
