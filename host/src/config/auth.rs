//! `[auth.NAME]`: who callers are, chosen by each mount.
//!
//! The keys of all providers stand in one table; `check.rs` knows which of them go together.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::units::Period;

/// One way of telling callers apart.
///
/// Two exist without being written: `dev`, the tokens of `tokens.toml` below `data_dir`, which
/// mounts use unless they say otherwise; and `none`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Default `tokens`.
    pub provider: Provider,
    /// Provider `tokens`: the file. Default `tokens.toml` below `data_dir`. If there is no such
    /// file, no token is valid.
    pub file: PathBuf,
    /// Provider `none`: has to be true where a listener is open to strangers, since every request
    /// is then obeyed. Default false.
    pub anyone_on_the_network_may_call: bool,

    // The rest is provider `keystone`.
    /// Version 3 of its API: `https://keystone.example.org:5000/v3`. Has to be written.
    pub url: String,
    /// Where clients are told to log in, in `WWW-Authenticate`. Default: `url`.
    pub public_url: Option<String>,
    /// The service account, which is allowed to validate tokens of others. Has to be written.
    pub user: String,
    /// Name of the domain of the user. Default `Default`.
    pub user_domain: String,
    /// The project it logs in to. Has to be written.
    pub project: String,
    /// Name of the domain of the project. Default `Default`.
    pub project_domain: String,
    /// File of its password, read at each login. Has to be written.
    pub password_file: PathBuf,
    /// File of PEM certificates of authorities that are trusted beside those of the system.
    pub ca: Option<PathBuf>,
    /// The most that a caller waits for Keystone's word, a login included. Default 10 s.
    pub deadline: Period,
    /// Tokens that Keystone is asked about at once; eight times as many wait for their turn. Default 32.
    pub validations: u32,
    /// What is remembered of its answers.
    pub cache: TokenCache,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            provider: Provider::Tokens,
            file: PathBuf::new(),
            anyone_on_the_network_may_call: false,
            url: String::new(),
            public_url: None,
            user: String::new(),
            user_domain: "Default".to_owned(),
            project: String::new(),
            project_domain: "Default".to_owned(),
            password_file: PathBuf::new(),
            ca: None,
            deadline: Period::secs(10),
            validations: 32,
            cache: TokenCache::default(),
        }
    }
}

/// What is remembered of tokens, by their hashes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenCache {
    /// Good tokens, and as many bad ones. Default 10,000.
    pub entries: u32,
    /// How long a good token is believed in without asking again: so long it may work after it was revoked.
    /// Never longer than it lives. Default 1 min.
    pub good: Period,
    /// How long a bad token is refused without asking again. Default 5 s.
    pub bad: Period,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self { entries: 10_000, good: Period::secs(60), bad: Period::secs(5) }
    }
}

/// How callers are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Provider {
    /// Not at all: every caller is the operator, with every role.
    None,
    /// By tokens whose hashes stand in a file.
    #[default]
    Tokens,
    /// By tokens that Keystone, the identity service of OpenStack, says are good.
    Keystone,
}

impl TryFrom<String> for Provider {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "none" => Ok(Self::None),
            "tokens" => Ok(Self::Tokens),
            "keystone" => Ok(Self::Keystone),
            "client-cert" => {
                Err(format!("provider `{name}` is not served yet; write \"tokens\", \"keystone\" or \"none\""))
            }
            _ => {
                let known = ["none", "tokens", "keystone"].into_iter();
                Err(format!("unknown provider `{name}`{}", super::error::hint(&name, known)))
            }
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Tokens => "tokens",
            Self::Keystone => "keystone",
        })
    }
}
