//! `[plugin.NAME]`: where a plugin is served, what it may use, and how much.
//!
//! A plugin found in the folder without a table has the defaults of everything here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::units::{Period, Size};
use crate::datagram::Destination;
use crate::outbound::OutboundConfig;
use crate::program::Program;
use crate::secret::Given;

/// All that the operator decides about one plugin.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PluginConfig {
    /// Its identity: key space, directory, secrets, metrics. The table's name, or the file's stem.
    #[serde(skip)]
    pub name: String,
    /// Default `NAME.wasm`. A relative path starts at `plugins_dir`.
    pub file: PathBuf,
    /// False: not loaded, as if the file were not there. Default true.
    pub enabled: bool,
    /// Filled in when the file is read; see [`PluginConfig::mounts`].
    pub(super) mounts: Option<Vec<Mount>>,
    /// Default `reuse`.
    pub isolation: Isolation,
    /// When a reused instance is thrown away.
    pub reuse: Reuse,
    /// How much of everything.
    pub limits: Limits,
    /// What happens when it traps again and again.
    pub breaker: Breaker,
    /// Interfaces it gets beside those that every plugin has.
    pub grants: Vec<String>,
    /// Interfaces whose functions answer `denied`, although it imports them.
    pub deny: Vec<String>,
    /// Programs it may run with the grant `process`, by the name it uses.
    pub programs: BTreeMap<String, Program>,
    /// Where it may send datagrams with the grant `udp`.
    pub udp: Vec<Destination>,
    /// Where it may send requests with the grant `http-client`, and how much of that.
    pub outbound: OutboundConfig,
    /// What the operator gives it with the grant `secrets`: used by name, never read.
    pub secrets: BTreeMap<String, Given>,
    /// Roles that satisfy its access rules, in place of its own default for that rule.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Its own settings, as JSON. Dates become strings.
    #[serde(deserialize_with = "json_object")]
    pub config: serde_json::Map<String, Value>,
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            file: PathBuf::new(),
            enabled: true,
            mounts: None,
            isolation: Isolation::Reuse,
            reuse: Reuse::default(),
            limits: Limits::default(),
            breaker: Breaker::default(),
            grants: Vec::new(),
            deny: Vec::new(),
            programs: BTreeMap::new(),
            udp: Vec::new(),
            outbound: OutboundConfig::default(),
            secrets: BTreeMap::new(),
            roles: BTreeMap::new(),
            config: serde_json::Map::new(),
        }
    }
}

impl PluginConfig {
    /// Whether the operator granted this interface.
    #[must_use]
    pub fn grants(&self, interface: &str) -> bool {
        self.grants.iter().any(|grant| grant == interface)
    }

    /// Where it is served. Without `mounts` in its table: at `/NAME/` on the listener called
    /// `default`, or nowhere if there is no such listener.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        self.mounts.as_deref().unwrap_or_default()
    }

    /// `reuse.memory`, by default half of `limits.memory`.
    #[must_use]
    pub fn reuse_memory(&self) -> Size {
        self.reuse.memory.unwrap_or(Size::bytes(self.limits.memory.get() / 2))
    }
}

/// A place where one surface of the plugin is served.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mount {
    /// Name of the listener. Default `default`.
    pub listener: String,
    /// Serve requests for this host only, written without port, in lower case. Default: any.
    pub host: Option<String>,
    /// Prefix taken off the path: empty for the root, else `/name` without a final slash. The
    /// operator may write a final slash. Default: the root.
    #[serde(deserialize_with = "prefix")]
    pub path: String,
    /// Base URL that clients know this mount by, without a final slash, for links in answers.
    #[serde(deserialize_with = "base_url")]
    pub public_url: Option<String>,
    /// Name of the surface. Default `main`.
    pub surface: String,
    /// Name of the `[auth.NAME]` table. Default `dev`.
    pub auth: String,
}

impl Default for Mount {
    fn default() -> Self {
        Self {
            listener: super::DEFAULT_LISTENER.to_owned(),
            host: None,
            path: String::new(),
            public_url: None,
            surface: "main".to_owned(),
            auth: super::DEFAULT_AUTH.to_owned(),
        }
    }
}

/// What requests share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// One instance serves request after request, one at a time.
    Reuse,
    /// A fresh instance for every call; `reuse` has no effect.
    Request,
}

/// Bounds of a reused instance; past any of them it is thrown away between requests.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reuse {
    /// Calls it has answered. Default 10,000.
    pub requests: u32,
    /// Time since it was made. Default 10 min.
    pub age: Period,
    /// Its linear memory. Default: half of `limits.memory`.
    pub memory: Option<Size>,
}

impl Default for Reuse {
    fn default() -> Self {
        Self { requests: 10_000, age: Period::secs(600), memory: None }
    }
}

/// Bounds of one plugin. Each breach has its own status, metric and log line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of one instance. Default 64 MiB.
    pub memory: Size,
    /// Linear memory of all its instances together. Default 512 MiB.
    pub memory_total: Size,
    /// One call into the plugin, from its start to its end, host calls included. Default 30 s.
    pub deadline: Period,
    /// Calls at once, which is also instances at once. Default 64.
    pub concurrency: u32,
    /// Calls waiting for one of those. Default 256.
    pub queue: u32,
    /// How long a call waits there. Default 5 s.
    pub queue_wait: Period,
    /// Calls at once that compute, not counting those that wait for the host; 0: one less than
    /// there are cores, at least 1, and as many as come while they usually compute for less than
    /// half a millisecond at a time. Default 0.
    pub executing: u32,

    /// Bytes of keys and values. Default 1 GiB.
    pub store_bytes: Size,
    /// Keys. Default 1,000,000.
    pub store_keys: u64,
    /// Bytes of attached blobs. Default 16 GiB.
    pub blob_bytes: Size,
    /// Bytes of pieces not attached yet, all requests together. Default 4 GiB.
    pub staged_bytes: Size,

    /// Jobs waiting, parked or running. Default 10,000.
    pub jobs: u32,
    /// Jobs running at once. Default 4.
    pub job_concurrency: u32,
    /// One run of a job. Default 5 min.
    pub job_deadline: Period,
    /// Failed attempts after which a job is given up. Default 10.
    pub job_attempts: u32,

    /// Requests parked at once. Default 16,384.
    pub parked: u32,
    /// The longest a request may be parked. Default 10 min.
    pub park_max: Period,
    /// Bodies received or sent at once between calls. Default 4,096.
    pub transfers: u32,

    /// A body given to the plugin in memory. Default 4 MiB.
    pub body: Size,
    /// A body received into pieces. Default 2 GiB.
    pub upload: Size,
    /// Bytes of one answer that come out of the plugin's own memory. Default 16 MiB.
    pub answer_bytes: Size,

    /// Log lines a second; ten times as many in a burst. Default 50.
    pub log_rate: u32,
    /// Token look-ups a second; twice as many in a burst. Default 50.
    pub lookup_rate: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Size::mib(64),
            memory_total: Size::mib(512),
            deadline: Period::secs(30),
            concurrency: 64,
            queue: 256,
            queue_wait: Period::secs(5),
            executing: 0,
            store_bytes: Size::gib(1),
            store_keys: 1_000_000,
            blob_bytes: Size::gib(16),
            staged_bytes: Size::gib(4),
            jobs: 10_000,
            job_concurrency: 4,
            job_deadline: Period::secs(300),
            job_attempts: 10,
            parked: 16_384,
            park_max: Period::secs(600),
            transfers: 4_096,
            body: Size::mib(4),
            upload: Size::gib(2),
            answer_bytes: Size::mib(16),
            log_rate: 50,
            lookup_rate: 50,
        }
    }
}

/// When a plugin that keeps trapping is given a rest.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// That many traps within `within` open it; 0: never. Default 20.
    pub traps: u32,
    /// Default 10 s.
    pub within: Period,
    /// How long requests are answered 503 before one is tried again. Default 5 s.
    pub pause: Period,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { traps: 20, within: Period::secs(10), pause: Period::secs(5) }
    }
}

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let written = String::deserialize(deserializer)?;
    let form = |message: &str| Err(de::Error::custom(format!("`{written}` {message}")));
    let Some(path) = written.strip_prefix('/') else {
        return form("does not start with /");
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return if written == "/" { Ok(String::new()) } else { form("has an empty segment") };
    }
    for segment in path.split('/') {
        match segment {
            "" => return form("has an empty segment"),
            "." | ".." => return form("has a segment that clients take as relative"),
            _ => {}
        }
        // Requests are matched before decoding, so only what never needs encoding is safe here.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        if !segment.chars().all(plain) {
            return form("may only have letters, digits and -._~ between the slashes");
        }
    }
    Ok(format!("/{path}"))
}

fn base_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let written = String::deserialize(deserializer)?;
    let wrong = || {
        let message = format!("`{written}` is no base URL; write one such as https://api.example.org/images");
        de::Error::custom(message)
    };
    let url: http::Uri = written.parse().map_err(|_| wrong())?;
    let http = matches!(url.scheme_str(), Some("http" | "https"));
    if !http || url.query().is_some() || written.contains(['#', '@']) {
        return Err(wrong());
    }
    Ok(Some(written.trim_end_matches('/').to_owned()))
}

fn json_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<serde_json::Map<String, Value>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    table.into_iter().map(|(key, value)| Ok((key, json(value)?))).collect()
}

fn json<E: de::Error>(value: toml::Value) -> Result<Value, E> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Float(number) => match serde_json::Number::from_f64(number) {
            Some(number) => Value::Number(number),
            None => {
                return Err(E::custom(format!("{number} cannot be given to the plugin: JSON has no such number")));
            }
        },
        toml::Value::Array(values) => Value::Array(values.into_iter().map(json).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| Ok((key, json(value)?))).collect::<Result<_, E>>()?)
        }
    })
}
