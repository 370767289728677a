//! Filling in what depends on other keys: absolute paths, the built-in listener and auth tables,
//! a plugin's file and mounts.

use std::path::{Path, PathBuf};

use super::auth::{Auth, Provider};
use super::key::KeySource;
use super::listener::{Bind, Listener};
use super::plugin::{Mount, PluginConfig};
use super::sections::BlobUrl;
use super::{Config, DEFAULT_AUTH, DEFAULT_LISTENER, NO_AUTH};
use crate::secret::Given;

/// Whether this can name a plugin, a listener or an auth table: 1 to 64 letters, digits, `-`, `_`
/// and `.`, starting with a letter or digit. Such a name is safe in paths, URLs and metrics.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(rest)
}

impl Config {
    pub(super) fn resolve(&mut self, dir: &Path) {
        self.data_dir = dir.join(&self.data_dir);
        self.plugins_dir = dir.join(&self.plugins_dir);
        let data = self.data_dir.clone();

        let BlobUrl::File(blobs) = &mut self.blobs.url;
        place(blobs, dir, || data.join("blobs"));
        place(&mut self.admin.socket, dir, || data.join("admin.sock"));
        for key in &mut self.plugins.keys {
            if let KeySource::File(file) = key {
                *file = dir.join(&file);
            }
        }

        let none = Auth { provider: Provider::None, ..Auth::default() };
        self.auth.entry(NO_AUTH.to_owned()).or_insert(none);
        self.auth.entry(DEFAULT_AUTH.to_owned()).or_default();
        for auth in self.auth.values_mut() {
            place(&mut auth.file, dir, || data.join("tokens.toml"));
            for file in std::iter::once(&mut auth.password_file).chain(&mut auth.ca) {
                *file = dir.join(&file);
            }
            auth.url.truncate(auth.url.trim_end_matches('/').len());
        }

        if self.listeners.is_empty() {
            self.listeners.push(Listener::default());
        }
        for listener in &mut self.listeners {
            if let Bind::Unix(socket) = &mut listener.bind {
                *socket = dir.join(&socket);
            }
            if let Some(tls) = &mut listener.tls {
                for file in std::iter::once(&mut tls.cert).chain(&mut tls.key).chain(&mut tls.client_ca) {
                    *file = dir.join(&file);
                }
            }
        }

        let tables = std::mem::take(&mut self.plugin);
        self.plugin = tables
            .into_iter()
            .map(|(name, plugin)| {
                let mut plugin = self.resolve_plugin(&name, plugin);
                for file in plugin.secrets.values_mut().flat_map(Given::files).chain(&mut plugin.outbound.ca) {
                    *file = dir.join(&file);
                }
                (name, plugin)
            })
            .collect();
    }

    pub(super) fn resolve_plugin(&self, name: &str, mut plugin: PluginConfig) -> PluginConfig {
        name.clone_into(&mut plugin.name);
        let own = || self.plugins_dir.join(format!("{name}.wasm"));
        place(&mut plugin.file, &self.plugins_dir, own);
        if plugin.mounts.is_none() {
            let served = self.listeners.iter().any(|listener| listener.name == DEFAULT_LISTENER);
            let mount = Mount { path: format!("/{name}"), ..Mount::default() };
            plugin.mounts = Some(if served { vec![mount] } else { Vec::new() });
        }
        plugin
    }
}

/// Make a path absolute, or put the default in place of an empty one.
fn place(path: &mut PathBuf, dir: &Path, default: impl FnOnce() -> PathBuf) {
    *path = if path.as_os_str().is_empty() { default() } else { dir.join(&path) };
}
