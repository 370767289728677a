//! Which plugins are loaded, and the route table made of them.
//!
//! Owns the swap: the table is rebuilt from all versions and replaced at once, requests under way go on
//! with the version they found, and the replaced version drains. A change of schema holds the plugin's
//! new requests back until the old version is empty and the upgrade job is done. Plugins are loaded one
//! beside another, each one load at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bindings::job_runner::{Job, Outcome, Trigger};
use super::folder::Event;
use super::status::{State, Status};
use super::table::{self, Table};
use super::{Call, LoadError, Loader, Plugin, Version};
use crate::auth::Providers;
use crate::config::{Config, PluginConfig};
use crate::services::Services;

/// All plugins of the host.
pub struct Registry {
    config: Arc<Config>,
    services: Services,
    loader: Loader,
    providers: Providers,
    table: ArcSwap<Table>,
    entries: Mutex<Entries>,
    tasks: TaskTracker,
    stop: CancellationToken,
    complete: watch::Sender<bool>,
}

type Entries = BTreeMap<String, Arc<Entry>>;

struct Entry {
    plugin: Arc<Plugin>,
    /// One load at a time.
    loading: tokio::sync::Mutex<()>,
    now: Mutex<Now>,
    newest: watch::Sender<Option<Arc<Version>>>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Now {
    version: Option<Arc<Version>>,
    tried: bool,
    last_error: Option<String>,
}

/// Why a file is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The folder changed. The same content again changes nothing.
    Changed,
    /// The operator asks. The same content again is a version of its own, without instances, breaker and jobs of the
    /// one before.
    Asked,
}

impl Registry {
    /// An empty registry.
    pub fn new(config: Arc<Config>, services: Services, loader: Loader, providers: Providers) -> Arc<Self> {
        Arc::new(Self {
            config,
            services,
            loader,
            providers,
            table: ArcSwap::default(),
            entries: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            complete: watch::Sender::new(false),
        })
    }

    /// The route table now.
    pub fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.table.load()
    }

    /// Follow the plugin folder until `stop`.
    pub async fn follow(self: Arc<Self>, mut events: mpsc::Receiver<Event>) {
        let mut first = TaskTracker::new();
        loop {
            let event = tokio::select! {
                () = self.stop.cancelled() => return,
                event = events.recv() => event,
            };
            let Some(event) = event else { return };
            let registry = self.clone();
            match event {
                Event::Present(path) => {
                    for config in self.config.plugins_of(&path) {
                        first.spawn(registry.clone().load(config, path.clone(), Reason::Changed));
                    }
                }
                Event::Gone(path) => {
                    for config in self.config.plugins_of(&path) {
                        first.spawn(registry.clone().unload(config.name, path.clone()));
                    }
                }
                Event::Complete => {
                    let loads = std::mem::take(&mut first);
                    loads.close();
                    self.tasks.spawn(async move {
                        loads.wait().await;
                        registry.complete.send_replace(true);
                    });
                }
            }
        }
    }

    /// Whether everything that was in the folder at the start has been tried.
    pub fn complete(&self) -> watch::Receiver<bool> {
        self.complete.subscribe()
    }

    /// The plugins that keep the host from being ready, with the reason.
    pub fn unready(&self) -> Vec<String> {
        let serving: BTreeMap<_, _> = self.statuses().into_iter().map(|status| (status.name.clone(), status)).collect();
        let configured = self.config.configured().map(|plugin| plugin.name.clone());
        let missing = configured.filter(|name| serving.get(name).is_none_or(|status| status.state != State::Serving));
        missing
            .map(|name| match serving.get(&name).and_then(|status| status.last_error.clone()) {
                Some(reason) => format!("{name}: {reason}"),
                None => format!("{name}: not loaded"),
            })
            .collect()
    }

    /// How every plugin is doing: those found, and those configured and absent.
    pub fn statuses(&self) -> Vec<Status> {
        let mut all: BTreeMap<String, Status> =
            self.config.configured().map(|plugin| (plugin.name.clone(), Status::absent(&plugin.name))).collect();
        for (name, entry) in self.entries.lock().iter() {
            all.insert(name.clone(), entry.status());
        }
        all.into_values().collect()
    }

    /// The version of a plugin that serves now.
    pub fn version(&self, name: &str) -> Option<Arc<Version>> {
        self.entries.lock().get(name)?.now.lock().version.clone()
    }

    /// Bring all gauges up to date, and throw away idle instances past their bounds.
    pub fn observe(&self) {
        let entries: Vec<_> = self.entries.lock().values().cloned().collect();
        for entry in entries {
            entry.plugin.observe();
            let version = entry.now.lock().version.clone();
            if let Some(version) = version {
                version.trim();
            }
        }
    }

    /// Load the file at `path` as the plugin of `config`, or say why not.
    pub async fn load(self: Arc<Self>, config: PluginConfig, path: PathBuf, reason: Reason) {
        let name = config.name.clone();
        let entry = match self.entry(config).await {
            Ok(entry) => entry,
            Err(error) => return tracing::error!(plugin = name, %error, "the plugin was refused"),
        };
        let _one = entry.loading.lock().await;
        let result = self.try_load(&entry, &path, reason).await;
        let mut now = entry.now.lock();
        now.tried = true;
        match result {
            Ok(()) => now.last_error = None,
            Err(error) => {
                let kept = now.version.as_ref().map(|version| version.digest.to_string());
                tracing::error!(plugin = name, file = %path.display(), %error, still_serving = kept, "the plugin was refused");
                now.last_error = Some(error.to_string());
            }
        }
        entry.plugin.metrics.loaded(if now.last_error.is_none() { "ok" } else { "refused" });
        report(&path, now.last_error.as_deref());
    }

    async fn entry(self: &Arc<Self>, config: PluginConfig) -> Result<Arc<Entry>, LoadError> {
        if let Some(entry) = self.entries.lock().get(&config.name) {
            return Ok(entry.clone());
        }
        let name = config.name.clone();
        let plugin = Arc::new(self.services.plugin(config).await?);
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(&name) {
            return Ok(entry.clone());
        }
        let entry = Arc::new(Entry {
            newest: watch::Sender::new(None),
            stop: self.stop.child_token(),
            loading: tokio::sync::Mutex::default(),
            now: Mutex::default(),
            plugin,
        });
        let jobs = crate::jobs::run(entry.plugin.clone(), entry.newest.subscribe(), entry.stop.clone());
        self.tasks.spawn(jobs);
        entries.insert(name, entry.clone());
        Ok(entry)
    }

    async fn try_load(self: &Arc<Self>, entry: &Arc<Entry>, path: &Path, reason: Reason) -> Result<(), LoadError> {
        let version = Arc::new(self.loader.load(&entry.plugin, path).await?);
        let old = entry.now.lock().version.clone();
        if reason == Reason::Changed && old.as_ref().is_some_and(|old| old.digest == version.digest) {
            return Ok(());
        }
        // Found out before anything is held back or upgraded.
        self.build(&self.entries.lock(), Some((entry, &version)))?;
        let kept = self.services.schema(&entry.plugin.name).await?;
        match kept {
            Some(kept) if version.schema < kept => {
                return Err(LoadError::SchemaGoesBack { new: version.schema, kept });
            }
            Some(kept) if version.schema > kept => self.upgrade(entry, old.as_ref(), &version, kept).await?,
            Some(_) => {}
            None => self.services.set_schema(&entry.plugin.name, version.schema).await?,
        }
        self.publish(entry, &version)?;
        let plugin = &entry.plugin;
        tracing::info!(
            plugin = %plugin.name, version = version.label, digest = %version.digest,
            mounts = ?entry.status().mounts, "the plugin serves"
        );
        if let Some(old) = old {
            self.retire(old);
        }
        Ok(())
    }

    /// Make `version` the one that serves, at once.
    fn publish(&self, entry: &Arc<Entry>, version: &Arc<Version>) -> Result<(), LoadError> {
        // Under the lock, so that two plugins published together both end up in the table.
        let entries = self.entries.lock();
        let table = self.build(&entries, Some((entry, version)))?;
        self.table.store(Arc::new(table));
        let old = entry.now.lock().version.replace(version.clone());
        drop(entries);
        entry.newest.send_replace(Some(version.clone()));
        entry.supersede(old.as_deref());
        entry.plugin.release();
        Ok(())
    }

    /// The table of all serving versions, with one of them replaced.
    fn build(&self, entries: &Entries, with: Option<(&Arc<Entry>, &Arc<Version>)>) -> Result<Table, LoadError> {
        let versions = entries.values().filter_map(|entry| match with {
            Some((replaced, version)) if Arc::ptr_eq(replaced, entry) => Some(version.clone()),
            _ => entry.now.lock().version.clone(),
        });
        table::build(&self.config, &self.providers, versions)
    }

    async fn upgrade(
        &self,
        entry: &Arc<Entry>,
        old: Option<&Arc<Version>>,
        version: &Arc<Version>,
        from: u32,
    ) -> Result<(), LoadError> {
        let plugin = &entry.plugin;
        plugin.hold();
        entry.newest.send_replace(None);
        entry.supersede(old.map(|old| &**old));
        if let Some(old) = old {
            let cancelled = old.drain(self.drain()).await;
            tracing::info!(plugin = %plugin.name, cancelled, "the old version is empty, upgrading");
        }
        let result = match run_upgrade(version, from).await {
            Ok(()) => self.services.set_schema(&plugin.name, version.schema).await,
            Err(why) => Err(LoadError::Upgrade { from, to: version.schema, why }),
        };
        if result.is_err()
            && let Some(old) = old
        {
            // The old version was emptied for good; an equal one takes its place.
            self.publish(entry, &Arc::new(old.renewed()))?;
        }
        plugin.release();
        result
    }

    /// Remove a plugin: its routes at once, its version when it is empty.
    async fn unload(self: Arc<Self>, name: String, path: PathBuf) {
        let Some(entry) = self.entries.lock().get(&name).cloned() else { return };
        let _one = entry.loading.lock().await;
        report(&path, None);
        let mut entries = self.entries.lock();
        entries.remove(&name);
        match self.build(&entries, None) {
            Ok(table) => self.table.store(Arc::new(table)),
            Err(error) => tracing::error!(plugin = name, %error, "the route table could not be rebuilt"),
        }
        drop(entries);
        entry.newest.send_replace(None);
        entry.stop.cancel();
        let version = std::mem::take(&mut *entry.now.lock()).version;
        entry.supersede(version.as_deref());
        tracing::info!(plugin = name, "the plugin was removed");
        if let Some(version) = version {
            self.retire(version);
        }
    }

    fn retire(&self, version: Arc<Version>) {
        let deadline = self.drain();
        self.tasks.spawn(async move {
            let cancelled = version.drain(deadline).await;
            tracing::info!(plugin = %version.plugin.name, digest = %version.digest, cancelled, "the old version is gone");
        });
    }

    fn drain(&self) -> Duration {
        self.config.server.drain.get()
    }

    /// Stop: no more loads, jobs or routes; wait for what is under way, at most the drain deadline.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        let entries: Vec<_> = std::mem::take(&mut *self.entries.lock()).into_values().collect();
        for entry in entries {
            entry.newest.send_replace(None);
            let version = entry.now.lock().version.take();
            if let Some(version) = version {
                self.retire(version);
            }
        }
        self.tasks.close();
        let deadline = self.drain() + Duration::from_secs(1);
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_err() {
            tracing::warn!("jobs were still running when the host stopped; they will run again");
        }
    }
}

impl Entry {
    /// Send the requests parked on `old` to what serves now.
    fn supersede(&self, old: Option<&Version>) {
        if let Some(old) = old {
            old.retired.store(true, Ordering::Release);
        }
        self.plugin.generation.send_modify(|generation| *generation += 1);
    }

    fn status(&self) -> Status {
        let now = self.now.lock();
        let state = match (&now.version, now.tried) {
            (Some(_), _) => State::Serving,
            (None, false) => State::Loading,
            (None, true) => State::Refused,
        };
        let version = now.version.as_ref();
        let config = &self.plugin.config;
        let mounts = config.mounts().iter().map(|mount| {
            let host = mount.host.as_deref().unwrap_or("");
            format!("{}:{host}{}/ ({})", mount.listener, mount.path, mount.surface)
        });
        Status {
            name: self.plugin.name.to_string(),
            state,
            version: version.map(|version| version.label.clone()),
            digest: version.map(|version| version.digest.to_string()),
            schema: version.map(|version| version.schema),
            mounts: mounts.collect(),
            resting: version.is_some_and(|version| version.resting()),
            last_error: now.last_error.clone(),
        }
    }
}

async fn run_upgrade(version: &Arc<Version>, from: u32) -> Result<(), String> {
    if !version.runs_jobs() {
        return Ok(());
    }
    let call = Call::job("upgrade", "upgrade");
    let job = Job { id: "upgrade", name: "upgrade", attempt: 1, trigger: Trigger::Upgrade(from), payload: &[] };
    match version.run_job(&call, job).await {
        Ok(Outcome::Done) => Ok(()),
        Ok(Outcome::Failed(why)) => Err(why),
        Ok(Outcome::RetryIn(_) | Outcome::Park(_)) => Err("an upgrade has to end in `done` or `failed`".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Leave the reason of a refusal beside the file, or take an old one away.
fn report(path: &Path, error: Option<&str>) {
    let mut name = path.as_os_str().to_owned();
    name.push(".error");
    let file = PathBuf::from(name);
    let result = match error {
        Some(reason) => std::fs::write(&file, format!("{reason}\n")),
        None if file.exists() => std::fs::remove_file(&file),
        None => Ok(()),
    };
    if let Err(error) = result {
        tracing::debug!(file = %file.display(), %error, "the reason could not be left beside the plugin");
    }
}
