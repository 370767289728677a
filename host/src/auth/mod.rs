//! Who is calling, and whether a route is open to them.
//!
//! Owns the providers that mounts choose by name (tokens of a file, tokens of a Keystone, or no authentication), the
//! decision by a route's access rule, and the rate limit of look-ups. Does not know mounts,
//! plugins or HTTP answers: it says allow, 401, 403 or 503, and others write the answer.
//!
//! Invariants: a token is never stored, logged or shown again, only its hash; hashes of the file are compared
//! in constant time; a request without a credential costs no allocation, one with a valid token
//! one SHA-256 and one look-up, and nobody waits but for a Keystone that has to be asked; a broken token file never
//! replaces a good one.

mod access;
mod credential;
mod keystone;
mod rate;
#[cfg(test)]
mod tests;
mod token_file;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{FORWARDED, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config;
use crate::metrics::TokenChecks;

pub use access::{AccessError, Decision, Rules, Scope};
pub use keystone::Keystone;
pub use rate::RateLimit;
pub use token_file::{NewToken, Secret, TokenFileError, issue};
pub use tokens::Tokens;

use credential::Credential;
use keystone::{Answer, Verdict};

/// Users who were looked for, in the order of the question.
pub type Users = Vec<Arc<User>>;

/// The providers by the names of their tables.
pub type Providers = std::collections::BTreeMap<String, Arc<Provider>>;

/// An authenticated user. Shared by `Arc`: made when the token file is read, not by request.
///
/// Fields and their order are those of the contract's `user` record, so that a borrowed view
/// (`&str`, `&[String]`, `&[(String, String)]`) can be handed to a plugin without copying first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Stable id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Project or tenant the credential is scoped to.
    pub project: Option<String>,
    /// Roles held there.
    pub roles: Vec<String>,
    /// What else the provider knows.
    pub extra: Vec<(String, String)>,
    /// Satisfies every access rule, whatever the roles. Not part of the record.
    pub unrestricted: bool,
}

/// What a provider makes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// No credential of a kind this provider understands.
    Anonymous,
    /// A credential that is not good.
    Rejected(Rejection),
    /// A credential of which nobody can say now whether it is good.
    Unverified(Unverified),
    /// This user.
    User(Arc<User>),
}

/// Who sent a request, or the wait until that is known.
pub enum Caller {
    /// It is known.
    Known(Identity),
    /// Somebody else is asked, for a bounded time.
    Awaited(BoxFuture<'static, Identity>),
}

/// Why nobody can say whether a credential is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// The identity service does not answer, or not so that it could be used.
    Away,
    /// As much is asked of it as may be.
    Busy,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(identity) => f.debug_tuple("Known").field(identity).finish(),
            Self::Awaited(_) => f.write_str("Awaited"),
        }
    }
}

impl Unverified {
    /// In words, for the plugin and the answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away => "the identity service cannot be asked",
            Self::Busy => "too many tokens are being looked at",
        }
    }
}

/// Why a credential is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No such token.
    Unknown,
    /// Good once.
    Expired,
    /// Good on connections from this machine only.
    LoopbackOnly,
    /// Two credentials that differ.
    Ambiguous,
    /// Longer than any token, or with bytes no token has.
    Malformed,
}

impl Rejection {
    /// In words, for the plugin and the answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "the token is not known",
            Self::Expired => "the token has expired",
            Self::LoopbackOnly => "the token is good on this machine only",
            Self::Ambiguous => "the request has more than one token",
            Self::Malformed => "the token has no valid form",
        }
    }
}

/// A valid token's user and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Whose it is.
    pub user: Arc<User>,
    /// Seconds since 1970; none: does not expire.
    pub expires: Option<i64>,
}

/// How a mount tells callers apart.
#[derive(Debug)]
pub enum Provider {
    /// Every caller is this user: `local`, of project `local`, satisfying every rule. A credential
    /// that is presented is not looked at.
    None(Arc<User>),
    /// By tokens whose hashes stand in a file.
    Tokens(Tokens),
    /// By tokens that a Keystone says are good.
    Keystone(Keystone),
}

impl Provider {
    /// From a table of the configuration that is not about a Keystone. A token file that is missing has no tokens; one
    /// that is broken is an error here, and a log line later.
    pub fn open(settings: &config::Auth) -> Result<Self, TokenFileError> {
        Ok(match settings.provider {
            config::Provider::None => Self::None(Arc::new(User {
                id: "local".to_owned(),
                name: "local".to_owned(),
                project: Some("local".to_owned()),
                roles: Vec::new(),
                extra: Vec::new(),
                unrestricted: true,
            })),
            config::Provider::Tokens | config::Provider::Keystone => Self::Tokens(Tokens::open(&settings.file)?),
        })
    }

    /// Over this Keystone.
    #[must_use]
    pub fn keystone(service: Arc<crate::keystone::Keystone>, settings: &config::Auth, counts: TokenChecks) -> Self {
        Self::Keystone(Keystone::new(service, settings, counts))
    }

    /// Who sent these headers. `loopback` says whether the connection comes from this machine:
    /// see [`is_loopback`].
    #[must_use]
    pub fn authenticate(&self, headers: &HeaderMap, loopback: bool) -> Caller {
        let token = match (self, credential::find(headers)) {
            (Self::None(user), _) => return Caller::Known(Identity::User(Arc::clone(user))),
            (_, Credential::Absent) => return Caller::Known(Identity::Anonymous),
            (_, Credential::Refused(why)) => return Caller::Known(Identity::Rejected(why)),
            (_, Credential::Token(token)) => token,
        };
        match self.check(token, || is_local(headers, loopback)) {
            Answer::Now(verdict) => Caller::Known(verdict.into()),
            Answer::Later(pending) => Caller::Awaited(pending.verdict().map(Identity::from).boxed()),
        }
    }

    fn check(&self, token: &[u8], local: impl FnOnce() -> bool) -> Answer {
        match self {
            Self::None(user) => Answer::Now(Verdict::Good(TokenInfo { user: Arc::clone(user), expires: None })),
            Self::Tokens(tokens) => Answer::Now(tokens.check(token, local).map_or_else(Verdict::Bad, Verdict::Good)),
            Self::Keystone(keystone) => keystone.check(token),
        }
    }

    /// Take away what a request says of its sender in the way in which this provider's own kind of gateway would say it.
    pub fn strip(&self, headers: &mut HeaderMap) {
        if let Self::Keystone(_) = self {
            Keystone::strip(headers);
        }
    }

    /// The value of `WWW-Authenticate` that goes with a 401: RFC 6750, section 3, or that of OpenStack.
    #[must_use]
    pub fn challenge(&self, identity: &Identity) -> HeaderValue {
        match (self, identity) {
            (Self::Keystone(keystone), _) => keystone.challenge(),
            (_, Identity::Rejected(_)) => HeaderValue::from_static("Bearer realm=\"plugbay\", error=\"invalid_token\""),
            _ => HeaderValue::from_static("Bearer realm=\"plugbay\""),
        }
    }

    /// Whose token this is; none if it is not valid. `local` says whether tokens that are good on
    /// this machine only count: [`is_local`] of the request that asks, or false. The caller limits
    /// the rate.
    ///
    /// # Errors
    /// If nobody can say.
    pub async fn lookup(&self, token: &str, local: bool) -> Result<Option<TokenInfo>, Unverified> {
        let Ok(token) = credential::well_formed(token.as_bytes()) else { return Ok(None) };
        let verdict = match self.check(token, || local) {
            Answer::Now(verdict) => verdict,
            Answer::Later(pending) => pending.verdict().await,
        };
        match verdict {
            Verdict::Good(info) => Ok(Some(info)),
            Verdict::Bad(_) => Ok(None),
            Verdict::Unknown(why) => Err(why),
        }
    }

    /// The users with these ids, in that order; unknown ids are left out. None: this provider does not know all users.
    #[must_use]
    pub fn users_by_id(&self, ids: &[String]) -> Option<Users> {
        match self {
            Self::None(user) => Some(matching(user, ids, &user.id)),
            Self::Tokens(tokens) => Some(tokens.users_by_id(ids)),
            Self::Keystone(_) => None,
        }
    }

    /// The users with these names, in that order; unknown names are left out. None: this provider does not know all users.
    #[must_use]
    pub fn users_by_name(&self, names: &[String]) -> Option<Users> {
        match self {
            Self::None(user) => Some(matching(user, names, &user.name)),
            Self::Tokens(tokens) => Some(tokens.users_by_name(names)),
            Self::Keystone(_) => None,
        }
    }
}

impl From<Verdict> for Identity {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Good(info) => Self::User(info.user),
            Verdict::Bad(why) => Self::Rejected(why),
            Verdict::Unknown(why) => Self::Unverified(why),
        }
    }
}

fn matching(user: &Arc<User>, asked: &[String], own: &str) -> Vec<Arc<User>> {
    asked.iter().filter(|asked| *asked == own).map(|_| Arc::clone(user)).collect()
}

/// Whether a connection comes from this machine, by the peer's address; none: a unix socket.
#[must_use]
pub fn is_loopback(peer: Option<IpAddr>) -> bool {
    peer.is_none_or(|address| address.to_canonical().is_loopback())
}

/// Whether a request was made on this machine: over loopback, and not through a proxy that says
/// so. A proxy here would otherwise lend everybody the tokens that are good on this machine only.
#[must_use]
pub fn is_local(headers: &HeaderMap, loopback: bool) -> bool {
    static PROXIED: [HeaderName; 4] =
        [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];
    loopback && !PROXIED.iter().any(|name| headers.contains_key(name))
}
