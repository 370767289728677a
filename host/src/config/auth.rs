//! `[auth.NAME]`: who callers are, chosen by each mount.

use std::path::PathBuf;

use serde::Deserialize;

/// One way of telling callers apart.
///
/// Two exist without being written: `dev`, the tokens of `tokens.toml` below `data_dir`, which
/// mounts use unless they say otherwise; and `none`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
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
}

impl TryFrom<String> for Provider {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "none" => Ok(Self::None),
            "tokens" => Ok(Self::Tokens),
            "keystone" | "client-cert" => {
                Err(format!("provider `{name}` is not served yet; write \"tokens\" or \"none\""))
            }
            _ => Err(format!("unknown provider `{name}`{}", super::error::hint(&name, ["none", "tokens"].into_iter()))),
        }
    }
}
