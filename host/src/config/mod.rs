//! What the operator wrote: one TOML file, every key with a default, no key without a meaning.
//!
//! Owns the shapes, the defaults and the checks that need nothing but the file (and the files of
//! public keys it names). Does not open sockets, stores, certificates or token files, and knows no
//! plugin by name.
//!
//! Invariant: a [`Config`] is sound. Paths are absolute, defaults that depend on other keys are
//! filled in, mounts name listeners and auth tables that exist, and no listener that is open to
//! strangers is served without authentication unless the file says so in words. Whatever is wrong
//! is reported with file, key and line, everything at once where the file has the right shape.

mod auth;
mod check;
mod convert;
mod error;
mod key;
mod listener;
mod locate;
mod plugin;
mod resolve;
mod sections;
#[cfg(test)]
mod tests;
mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use auth::{Auth, Provider, TokenCache};
pub use error::{ConfigError, Problem};
pub use key::{KeyError, KeySource};
pub use listener::{Bind, ClientAuth, HttpLimits, Listener, Tls, TlsVersion};
pub use plugin::{Breaker, Isolation, Limits, Mount, PluginConfig, Reuse};
pub use resolve::is_name;
pub use sections::{Admin, AdminBind, BlobUrl, Blobs, Engine, Instances, Log, LogFormat, Plugins, Server, Store};
pub use units::{Period, Size};

use error::Problems;
use locate::Locator;

/// The listener of mounts that name none.
pub const DEFAULT_LISTENER: &str = "default";
/// The auth table of mounts that name none: tokens in a file.
pub const DEFAULT_AUTH: &str = "dev";
/// The auth table that lets everybody in.
pub const NO_AUTH: &str = "none";

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Store, blobs, private directories, admin socket. Default `data`.
    pub data_dir: PathBuf,
    /// The folder plugins are dropped into. Default `plugins.d`.
    pub plugins_dir: PathBuf,
    /// `[store]`
    pub store: Store,
    /// `[blobs]`
    pub blobs: Blobs,
    /// `[plugins]`
    pub plugins: Plugins,
    /// `[auth.NAME]`, always with `dev` and `none`.
    pub auth: BTreeMap<String, Auth>,
    /// `[[listener]]`, at least one.
    #[serde(rename = "listener")]
    pub listeners: Vec<Listener>,
    /// `[admin]`
    pub admin: Admin,
    /// `[log]`
    pub log: Log,
    /// `[server]`
    pub server: Server,
    /// `[instances]`
    pub instances: Instances,
    plugin: BTreeMap<String, PluginConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            plugins_dir: "plugins.d".into(),
            store: Store::default(),
            blobs: Blobs::default(),
            plugins: Plugins::default(),
            auth: BTreeMap::new(),
            listeners: Vec::new(),
            admin: Admin::default(),
            log: Log::default(),
            server: Server::default(),
            instances: Instances::default(),
            plugin: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Read a file. Relative paths in it start at its directory.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Read { file: file.to_owned(), source };
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        let absolute = std::path::absolute(file).map_err(unreadable)?;
        let dir = absolute.parent().unwrap_or(Path::new("/"));
        Self::parse(&text, dir).map_err(|problems| ConfigError::Invalid { file: file.to_owned(), problems })
    }

    /// The folder of the plugins' private directories.
    pub(crate) fn plugin_directories(&self) -> PathBuf {
        self.data_dir.join("plugins")
    }

    /// The configuration without a file: everything at its default, relative paths from `dir`
    /// (which should be absolute).
    #[must_use]
    pub fn default_in(dir: &Path) -> Self {
        let mut config = Self::default();
        config.resolve(dir);
        config
    }

    /// Every key with its default, explained: a configuration that changes nothing.
    #[must_use]
    pub fn reference() -> &'static str {
        include_str!("reference.toml")
    }

    /// One plugin's configuration: its table, or the defaults if it has none.
    #[must_use]
    pub fn plugin(&self, name: &str) -> PluginConfig {
        match self.plugin.get(name) {
            Some(plugin) => plugin.clone(),
            None => self.resolve_plugin(name, PluginConfig::default()),
        }
    }

    /// The plugins that have a table and are enabled, in the order of their names.
    pub fn configured(&self) -> impl Iterator<Item = &PluginConfig> {
        self.plugin.values().filter(|plugin| plugin.enabled)
    }

    /// The plugins to load from a file of the plugin folder, given by its absolute path: those
    /// whose table names it; if none does, the one called as the file's stem, unless that name has
    /// a table of its own (which then names another file, or is disabled). Empty for a file that
    /// is not `NAME.wasm` with a [name](is_name).
    #[must_use]
    pub fn plugins_of(&self, file: &Path) -> Vec<PluginConfig> {
        let mut claimed = self.plugin.values().filter(|plugin| plugin.file == file).peekable();
        if claimed.peek().is_some() {
            return claimed.filter(|plugin| plugin.enabled).cloned().collect();
        }
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        match stem {
            Some(name)
                if file.extension().is_some_and(|extension| extension == "wasm")
                    && is_name(name)
                    && !self.plugin.contains_key(name) =>
            {
                vec![self.plugin(name)]
            }
            _ => Vec::new(),
        }
    }

    fn parse(text: &str, dir: &Path) -> Result<Self, Vec<Problem>> {
        let locator = Locator::new(text);
        let mut config: Self = toml::from_str(text).map_err(|error| vec![Problem::from_toml(&error, &locator)])?;
        let mut problems = Problems::default();
        // Before the defaults are filled in, some checks still see what was written and what not.
        check::written(&config, &mut problems);
        config.resolve(dir);
        check::resolved(&config, &mut problems);
        problems.finish(&locator)?;
        Ok(config)
    }
}
