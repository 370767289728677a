//! What all plugins share: the store, the blobs, the metrics, the host's directory.
//!
//! Owns what the host remembers of a plugin across restarts (its schema), and the making of a
//! [`Plugin`] out of its configuration. Names no plugin.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::blob::Blobs;
use crate::capability::crypto::KeyRing;
use crate::capability::kv::KeySpace;
use crate::config::PluginConfig;
use crate::jobs::Queue;
use crate::keystone::Keystones;
use crate::layout::{Area, Prefix};
use crate::metrics::Metrics;
use crate::outbound::{Outbound, SystemResolver};
use crate::plugin::{LoadError, Place, Plugin};
use crate::program::{Adopted, Programs};
use crate::secret::Secrets;
use crate::store::{Commit, Op, Store};

/// The rest of the key under which a plugin's schema is kept.
const SCHEMA: &[u8] = b"schema";

/// The parts of the host that plugins use.
#[derive(Clone)]
pub struct Services {
    /// Keys, jobs, names of blobs.
    pub store: Store,
    /// Bytes of blobs.
    pub blobs: Blobs,
    /// Keys that the host keeps for plugins.
    pub keys: Arc<KeyRing>,
    /// Everything counted.
    pub metrics: Metrics,
    /// Where the private directories of plugins are.
    pub directories: PathBuf,
    /// Where the host keeps what it knows of programs, a directory for each plugin.
    pub programs: PathBuf,
    /// Identity services that secrets of plugins may come from.
    pub keystones: Keystones,
    /// Sockets of the host that no plugin may reach, whatever its table says.
    pub unreachable: Vec<SocketAddr>,
}

impl Services {
    /// The plugin of this configuration.
    pub async fn plugin(&self, config: PluginConfig) -> Result<Plugin, LoadError> {
        let name = config.name.clone();
        let failed = |why: String| LoadError::Store(why);
        let keys = KeySpace::new(self.store.clone(), &name, &config.limits);
        let blobs =
            self.blobs.space(&name, config.limits.staged_bytes.get()).map_err(|error| failed(error.to_string()))?;
        let jobs = Queue::open(self.store.clone(), &name, config.limits.jobs)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let place = self.place(&config).await?;
        let metrics = self.metrics.plugin(&name.as_str().into());
        Ok(Plugin::new(config, keys, blobs, jobs, self.keys.clone(), place, metrics))
    }

    /// What it was granted of the machine and of the world. Programs found running are known from then on.
    async fn place(&self, config: &PluginConfig) -> Result<Place, LoadError> {
        let mut place = Place::default();
        if config.grants("http-client") {
            let resolver = Arc::new(SystemResolver::default());
            place.outbound = Some(Outbound::open(&config.outbound, self.unreachable.clone(), resolver)?);
        }
        if config.grants("secrets") {
            let (store, ring) = (self.store.clone(), self.keys.clone());
            let (name, given, keystones) = (config.name.clone(), config.secrets.clone(), self.keystones.clone());
            let open = move || Secrets::open(store, ring, &name, &given, keystones);
            let opened = tokio::task::spawn_blocking(open).await.map_err(|_| LoadError::Stopping)?;
            place.secrets = Some(opened?);
        }
        let runs = config.grants("process");
        if !runs && !config.grants("filesystem") {
            return Ok(place);
        }
        let directory = self.directories.join(&config.name);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let directory = directory.canonicalize()?;
        if runs {
            let folder = self.programs.join(&config.name);
            let programs = Programs::open(&config.name, &directory, &folder, &config.programs)?;
            let adopted = programs.adopt().await?;
            if adopted != Adopted::default() {
                let Adopted { running, ended, unreadable } = adopted;
                tracing::info!(plugin = config.name, ?running, ?ended, ?unreadable, "programs of an earlier host");
            }
            place.programs = Some(programs);
        }
        place.directory = Some(directory);
        Ok(place)
    }

    /// The schema of what the plugin keeps; none if it never ran.
    pub async fn schema(&self, plugin: &str) -> Result<Option<u32>, LoadError> {
        let key = Prefix::new(Area::Plugin, plugin).key(SCHEMA);
        let entry = self.store.get(&key).await.map_err(|error| LoadError::Store(error.to_string()))?;
        let Some(entry) = entry else { return Ok(None) };
        let text = std::str::from_utf8(&entry.value).ok();
        match text.and_then(|text| text.parse().ok()) {
            Some(schema) => Ok(Some(schema)),
            None => Err(LoadError::Store(format!("the schema kept for {plugin} cannot be read"))),
        }
    }

    /// Remember the schema of what the plugin keeps.
    pub async fn set_schema(&self, plugin: &str, schema: u32) -> Result<(), LoadError> {
        let key = Prefix::new(Area::Plugin, plugin).key(SCHEMA);
        let ops = vec![Op::Put { key, value: schema.to_string().into() }];
        let commit = Commit { ops, ..Commit::default() };
        self.store.commit(commit).await.map(drop).map_err(|error| LoadError::Store(error.to_string()))
    }
}
