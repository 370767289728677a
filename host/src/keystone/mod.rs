//! Keystone, the identity service of OpenStack: what the host asks it, and as whom.
//!
//! Owns the service account ([`Account`]: logging in, keeping its token fresh) and the validation of other people's tokens. Does not
//! own what is remembered of those: that is the provider's, in [`crate::auth`]. One of these serves all who name
//! its table: mounts, and secrets of plugins.
//!
//! Requests go out over the host's own client, to this one server. Invariants: the password is read when it is needed
//! and wiped; tokens and passwords are in no text; every question has a deadline and every answer a size.

mod account;
mod answer;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{self, Config};
use crate::outbound::{
    Credential, Destination, Fetched, Outbound, OutboundConfig, OutboundLimits, Request, SystemResolver, Target,
};

pub use account::ServiceToken;
pub use answer::{Project, Token};

use account::Account;

/// Longest answer, in bytes. Tokens are asked for without the catalog, which is the long part.
const MAX_ANSWER: u64 = 256 * 1024;

/// Every Keystone of the configuration, by the name of its table.
pub type Keystones = BTreeMap<String, Arc<Keystone>>;

/// One Keystone.
pub struct Keystone {
    name: String,
    /// Without a final slash.
    url: String,
    deadline: Duration,
    client: Outbound,
    account: Account,
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("auth.{name}: {reason}")]
pub struct OpenError {
    /// Name of the table.
    name: String,
    /// Which key, and why.
    reason: String,
}

/// Keystone did not say. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Every Keystone that the configuration has a table for. Blocks.
///
/// # Errors
/// The first that cannot be used.
pub fn open(config: &Config) -> Result<Keystones, OpenError> {
    let tables = config.auth.iter().filter(|(_, settings)| settings.provider == config::Provider::Keystone);
    let open = |(name, settings): (&String, &config::Auth)| match Keystone::open(name, settings) {
        Ok(keystone) => Ok((name.clone(), Arc::new(keystone))),
        Err(reason) => Err(OpenError { name: name.clone(), reason }),
    };
    tables.map(open).collect()
}

impl Keystone {
    /// From the table of this name. Reads the password once, to refuse what is of no use; connects to nobody. Blocks.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn open(name: &str, settings: &config::Auth) -> Result<Self, String> {
        let target = Target::parse(&settings.url).map_err(|error| format!("url: {error}"))?;
        let server = Destination::of_host(&target);
        let under_way = settings.validations.saturating_add(4);
        let outbound = OutboundConfig {
            allow: vec![server.clone()],
            ca: settings.ca.clone(),
            limits: OutboundLimits {
                requests: under_way,
                requests_per_destination: under_way,
                wait: settings.deadline,
                whole: settings.deadline,
                ..OutboundLimits::default()
            },
        };
        let client = Outbound::open(&outbound, Vec::new(), Arc::new(SystemResolver::default()));
        let client = client.map_err(|error| error.to_string())?;
        let account = Account::open(settings, server).map_err(|why| format!("password_file: {why}"))?;
        let (url, deadline) = (settings.url.clone(), settings.deadline.get());
        Ok(Self { name: name.to_owned(), url, deadline, client, account })
    }

    /// Whose token this is; none if it is not good, or not any more.
    ///
    /// # Errors
    /// If Keystone did not say until then.
    pub async fn validate(&self, token: &str, until: Instant) -> Result<Option<Token>, Unavailable> {
        let asked = timeout_at(until, self.ask(token)).await;
        let answer = asked.unwrap_or_else(|_| Err(Unavailable("it does not answer in time".into())));
        self.account.note(&self.name, answer.as_ref().err());
        answer
    }

    /// The token of the service account, good for a while yet.
    ///
    /// # Errors
    /// If it cannot log in.
    pub async fn token(&self) -> Result<Arc<ServiceToken>, Unavailable> {
        let token = timeout(self.deadline, self.account.current(self)).await;
        let token = token.unwrap_or_else(|_| Err(Unavailable("it does not let us log in in time".into())));
        self.account.note(&self.name, token.as_ref().err());
        token
    }

    /// Another token of the service account, in place of one that somebody refused; none if one was made in place of
    /// a refused one only just now, so that whoever refuses every token does not make us log in without end.
    ///
    /// # Errors
    /// If it cannot log in.
    pub async fn token_in_place_of(&self, refused: &str) -> Result<Option<Arc<ServiceToken>>, Unavailable> {
        match self.account.forget(refused) {
            true => self.token().await.map(Some),
            false => Ok(None),
        }
    }

    async fn ask(&self, token: &str) -> Result<Option<Token>, Unavailable> {
        let mut own = self.account.current(self).await?;
        for again in [true, false] {
            let fetched = self.get_token(&own, token).await?;
            match fetched.status {
                StatusCode::OK => return answer::token(&fetched.body).map(Some),
                StatusCode::NOT_FOUND => return Ok(None),
                // It is our own token that is refused.
                StatusCode::UNAUTHORIZED if again && self.account.forget(own.value()) => {
                    own = self.account.current(self).await?;
                }
                StatusCode::UNAUTHORIZED => {
                    return Err(Unavailable("it refuses the token of the service account".into()));
                }
                StatusCode::FORBIDDEN => {
                    return Err(Unavailable("the service account is not allowed to validate tokens".into()));
                }
                status => return Err(Unavailable(format!("it answers {status} to a validation"))),
            }
        }
        Err(Unavailable("it refuses every token of the service account".into()))
    }

    async fn get_token(&self, own: &ServiceToken, token: &str) -> Result<Fetched, Unavailable> {
        let fields = [("accept", "application/json"), ("x-auth-token", own.value()), ("x-subject-token", token)];
        self.fetch(Request { method: "GET".into(), headers: headers(&fields), ..Request::default() }).await
    }

    async fn post_login(&self, body: &Value, password: Credential) -> Result<Fetched, Unavailable> {
        let fields = [("accept", "application/json"), ("content-type", "application/json")];
        let (headers, credential) = (headers(&fields), Some(password));
        let body = body.to_string().into();
        self.fetch(Request { method: "POST".into(), headers, body, credential, ..Request::default() }).await
    }

    /// A request to `/auth/tokens`.
    async fn fetch(&self, request: Request) -> Result<Fetched, Unavailable> {
        let url = format!("{}/auth/tokens?nocatalog", self.url);
        let fetched = self.client.fetch(&Request { url, limit: Some(MAX_ANSWER), ..request }).await;
        fetched.map_err(|error| Unavailable(error.to_string()))
    }
}

fn headers(fields: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

impl std::fmt::Debug for Keystone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystone").field("name", &self.name).field("url", &self.url).finish_non_exhaustive()
    }
}
