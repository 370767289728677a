//! Who is calling, and whether a route is open to them.
//!
//! Owns the providers that mounts choose by name (tokens of a file, or no authentication), the
//! decision by a route's access rule, and the rate limit of look-ups. Does not know mounts,
//! plugins or HTTP answers: it says allow, 401 or 403, and others write the answer.
//!
//! Invariants: a token is never stored, logged or shown again, only its hash; hashes are compared
//! in constant time; a request without a credential costs no allocation, one with a valid token
//! one SHA-256 and one look-up; a broken token file never replaces a good one.

mod access;
mod credential;
mod rate;
#[cfg(test)]
mod tests;
mod token_file;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use crate::config;

pub use access::{AccessError, Decision, Rules, Scope};
pub use rate::RateLimit;
pub use token_file::{NewToken, Secret, TokenFileError, issue};
pub use tokens::Tokens;

use credential::Credential;

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
    /// This user.
    User(Arc<User>),
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

impl Identity {
    /// The value of `WWW-Authenticate` that goes with a 401 (RFC 6750, section 3).
    #[must_use]
    pub fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Rejected(_) => "Bearer realm=\"plugbay\", error=\"invalid_token\"",
            _ => "Bearer realm=\"plugbay\"",
        })
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
}

impl Provider {
    /// From a table of the configuration. A token file that is missing has no tokens; one that is
    /// broken is an error here, and a log line later.
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
            config::Provider::Tokens => Self::Tokens(Tokens::open(&settings.file)?),
        })
    }

    /// Who sent these headers. `loopback` says whether the connection comes from this machine:
    /// see [`is_loopback`].
    #[must_use]
    pub fn authenticate(&self, headers: &HeaderMap, loopback: bool) -> Identity {
        let tokens = match self {
            Self::None(user) => return Identity::User(Arc::clone(user)),
            Self::Tokens(tokens) => tokens,
        };
        match credential::find(headers) {
            Credential::Absent => Identity::Anonymous,
            Credential::Refused(why) => Identity::Rejected(why),
            Credential::Token(token) => match tokens.check(token, || is_local(headers, loopback)) {
                Ok(info) => Identity::User(info.user),
                Err(why) => Identity::Rejected(why),
            },
        }
    }

    /// Whose token this is; none if it is not valid. `local` says whether tokens that are good on
    /// this machine only count: [`is_local`] of the request that asks, or false. The caller limits
    /// the rate.
    #[must_use]
    pub fn lookup(&self, token: &str, local: bool) -> Option<TokenInfo> {
        match self {
            Self::None(user) => Some(TokenInfo { user: Arc::clone(user), expires: None }),
            Self::Tokens(tokens) => {
                let token = credential::well_formed(token.as_bytes()).ok()?;
                tokens.check(token, || local).ok()
            }
        }
    }

    /// The users with these ids, in that order; unknown ids are left out.
    #[must_use]
    pub fn users_by_id(&self, ids: &[String]) -> Vec<Arc<User>> {
        match self {
            Self::None(user) => matching(user, ids, &user.id),
            Self::Tokens(tokens) => tokens.users_by_id(ids),
        }
    }

    /// The users with these names, in that order; unknown names are left out.
    #[must_use]
    pub fn users_by_name(&self, names: &[String]) -> Vec<Arc<User>> {
        match self {
            Self::None(user) => matching(user, names, &user.name),
            Self::Tokens(tokens) => tokens.users_by_name(names),
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
    const PROXIED: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];
    loopback && !PROXIED.iter().any(|name| headers.contains_key(*name))
}
