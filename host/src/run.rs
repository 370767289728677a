//! The life of the host: open, listen, load, serve, drain.
//!
//! Owns the order. Listeners are bound before anything is loaded, so that an address in use is found
//! out at once, and accept when the plugins that were in the folder have been tried, so that a client
//! never meets a host that is not up. Stopping goes the other way.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::auth::{Provider, Providers};
use crate::blob::{Blobs, PieceId};
use crate::capability::blobs::Attached;
use crate::capability::crypto::KeyRing;
use crate::config::{self, Config};
use crate::dispatch::Dispatcher;
use crate::keystone::{self, Keystones};
use crate::layout::{Area, Prefix};
use crate::listener::{self, ListenerConfig, Listening, Shutdown};
use crate::metrics::Metrics;
use crate::plugin::{CompileCache, Folder, Loader, Registry, engine, signature::PublicKey};
use crate::services::Services;
use crate::store::{Commit, Op, Scan, Store, StoreConfig, StoreError};

/// How often gauges are read and idle instances looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Why the host did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory or file of the host's own.
    #[error("{what}: {source}")]
    Files {
        /// Which.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::OpenError),
    /// The blob store.
    #[error(transparent)]
    Blobs(#[from] crate::blob::OpenError),
    /// Reading it.
    #[error(transparent)]
    Read(#[from] StoreError),
    /// Somebody else's blobs.
    #[error(
        "the blob folder {} belongs to another store: its blobs would be removed as unknown. \
         Point blobs.url at this store's folder, or data_dir at that folder's store", .0.display()
    )]
    ForeignBlobs(PathBuf),
    /// Keys that the host keeps.
    #[error(transparent)]
    KeyRing(#[from] crate::capability::crypto::OpenError),
    /// The host key does not fit the store.
    #[error(transparent)]
    HostKey(crate::capability::crypto::KeyError),
    /// A token file.
    #[error("auth.{name}: {source}")]
    Auth {
        /// Name of the table.
        name: String,
        /// Why.
        source: crate::auth::TokenFileError,
    },
    /// A table with provider `keystone`.
    #[error(transparent)]
    Keystone(#[from] keystone::OpenError),
    /// A plugin key.
    #[error("plugins.keys: {0}")]
    Keys(String),
    /// A listener.
    #[error(transparent)]
    Listener(#[from] crate::listener::ListenError),
    /// The request id's header.
    #[error("server.request_id: {0:?} is not a header name")]
    RequestId(String),
    /// wasmtime.
    #[error("the WebAssembly engine: {0:#}")]
    Engine(wasmtime::Error),
}

/// A host that serves.
pub struct Host {
    registry: Arc<Registry>,
    services: Services,
    listening: Vec<(String, Listening)>,
    admin: crate::admin::Running,
    shutdown: Shutdown,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Host {
    /// Start a host. When this returns, every plugin that was in the folder has been tried and the
    /// listeners accept.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let files = |what: &str, source| StartError::Files { what: what.to_owned(), source };
        std::fs::create_dir_all(&config.data_dir).map_err(|error| files("data_dir", error))?;
        std::fs::create_dir_all(&config.plugins_dir).map_err(|error| files("plugins_dir", error))?;
        let id_header = HeaderName::try_from(&config.server.request_id)
            .map_err(|_| StartError::RequestId(config.server.request_id.clone()))?;
        let mut bound = Vec::new();
        let directories = config.plugin_directories();
        for listener in &config.listeners {
            let config = ListenerConfig::configured(listener, &directories);
            bound.push((listener.name.clone(), listener::bind(config).await?));
        }
        let metrics = Metrics::new();
        let keystones = keystone::open(&config)?;
        let providers = open_providers(&config, &keystones, &metrics)?;
        let services = open_services(&config, metrics.clone(), keystones).await?;
        let loader = open_loader(&config)?;
        metrics.register(crate::admin::pool(loader.engine().clone()));
        let registry = Registry::new(config.clone(), services.clone(), loader, providers);
        let dispatcher = Arc::new(Dispatcher::new(registry.clone(), metrics.clone(), id_header));
        let stop = CancellationToken::new();
        let shutdown = Shutdown::new(config.server.drain.get());
        let admin = crate::admin::start(&config, &registry, &services, &dispatcher, &shutdown).await?;
        let mut tasks = follow(&config, &registry, &stop);
        tasks.push(tokio::spawn(keep_house(registry.clone(), stop.clone())));
        // The sender lives as long as the registry, so this ends when the loads have.
        let _ = registry.complete().wait_for(|complete| *complete).await;
        let mut listening = Vec::new();
        for (name, bound) in bound {
            let serving = bound.serve(dispatcher.clone(), shutdown.clone());
            admin.show(&name, serving.metrics());
            listening.push((name, serving));
        }
        Ok(Self { registry, services, listening, admin, shutdown, stop, tasks })
    }

    /// Where a listener is bound; none if there is none of this name, or it is a unix socket.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        let (_, listening) = self.listening.iter().find(|(name, _)| name == listener)?;
        listening.local_address()
    }

    /// Where the read-only admin listener is bound, if it is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.address
    }

    /// The plugins.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Stop: no new connections, requests under way end or are ended by the drain deadline, the
    /// store is closed. Returns how many connections were cut.
    pub async fn stop(self) -> usize {
        self.shutdown.begin();
        let mut aborted = 0;
        for (_, listening) in self.listening {
            aborted += listening.stopped().await.aborted;
        }
        self.stop.cancel();
        self.registry.shut_down().await;
        for task in self.tasks {
            let _ = task.await;
        }
        self.admin.stopped().await;
        self.services.blobs.settle().await;
        if let Err(error) = self.services.store.close().await {
            tracing::error!(%error, "the store did not close in order; what was acknowledged is on disk");
        }
        aborted
    }
}

async fn open_services(config: &Config, metrics: Metrics, keystones: Keystones) -> Result<Services, StartError> {
    let kind = match config.store.engine {
        config::Engine::Sled => crate::store::EngineKind::Sled,
        config::Engine::Memory => crate::store::EngineKind::Memory,
    };
    let store_config =
        StoreConfig { engine: kind, path: config.data_dir.join("store"), cache: config.store.cache.get() };
    let opened = tokio::task::spawn_blocking(move || crate::store::open(&store_config)).await;
    let store =
        opened.map_err(|error| StartError::Files { what: "store".into(), source: std::io::Error::other(error) })??;
    let config::BlobUrl::File(directory) = &config.blobs.url;
    let blobs = Blobs::open(&format!("file:{}", directory.display())).await?;
    belong_together(&store, directory).await?;
    tokio::spawn(sweep(blobs.clone(), store.clone()));
    let keys = Arc::new(KeyRing::open(&config.data_dir.join("host.key"))?);
    keys.check(&store).await.map_err(StartError::HostKey)?;
    let (directories, programs) = (config.plugin_directories(), config.data_dir.join("programs"));
    let unreachable = match config.admin.bind {
        config::AdminBind::Tcp(address) => vec![address],
        config::AdminBind::Off => Vec::new(),
    };
    Ok(Services { store, blobs, keys, metrics, directories, programs, keystones, unreachable })
}

/// See that the blob folder is the one of this store, before the sweep removes what the store does not
/// know. Both carry the same random id from their first use on.
async fn belong_together(store: &Store, blobs: &Path) -> Result<(), StartError> {
    let files = |source| StartError::Files { what: "the blob folder".into(), source };
    let key = Prefix::new(Area::Plugin, "").key(b"store-id");
    let kept = store.get(&key).await?.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
    let file = blobs.join("store-id");
    let marked = match std::fs::read_to_string(&file) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(files(error)),
    };
    let id = match (kept, marked) {
        (Some(kept), Some(marked)) if kept == marked => return Ok(()),
        (_, Some(_)) => return Err(StartError::ForeignBlobs(blobs.to_owned())),
        (Some(kept), None) => kept,
        (None, None) => {
            let id = uuid::Uuid::new_v4().to_string();
            let ops = vec![Op::Put { key, value: id.clone().into() }];
            store
                .commit(Commit { ops, ..Commit::default() })
                .await
                .map_err(|error| files(std::io::Error::other(error)))?;
            id
        }
    };
    std::fs::write(&file, id).map_err(files)
}

/// Remove the pieces that no blob's name leads to: what an earlier process had under way.
async fn sweep(blobs: Blobs, store: Store) {
    match blobs.sweep(|owner, asked| attached(store.clone(), owner, asked)).await {
        Ok(swept) => tracing::debug!(?swept, "blobs were swept"),
        Err(error) => tracing::error!(%error, "blobs were not swept"),
    }
}

/// Which of these pieces are behind names of the plugin's blobs. What is attached later is younger than
/// this process, and no sweep touches it.
async fn attached(store: Store, plugin: String, asked: Vec<PieceId>) -> Result<HashSet<PieceId>, StoreError> {
    let asked: HashSet<_> = asked.into_iter().collect();
    let mut found = HashSet::new();
    let mut scan = Scan::prefix(Prefix::new(Area::Blobs, &plugin).bytes().clone());
    loop {
        let page = store.scan(scan.clone()).await?;
        let pieces = page.entries.iter().filter_map(|entry| Some(Attached::decode(&entry.value)?.piece));
        found.extend(pieces.filter(|piece| asked.contains(piece)));
        match page.entries.last() {
            Some(last) if page.more => scan.start = [&last.key[..], &[0]].concat().into(),
            _ => return Ok(found),
        }
    }
}

fn open_providers(config: &Config, keystones: &Keystones, metrics: &Metrics) -> Result<Providers, StartError> {
    let mut providers = Providers::new();
    for (name, settings) in &config.auth {
        let provider = match keystones.get(name) {
            Some(keystone) => Provider::keystone(Arc::clone(keystone), settings, metrics.token_checks(name)),
            None => Provider::open(settings).map_err(|source| StartError::Auth { name: name.clone(), source })?,
        };
        providers.insert(name.clone(), Arc::new(provider));
    }
    Ok(providers)
}

fn open_loader(config: &Config) -> Result<Loader, StartError> {
    let keys = config.plugins.keys.iter().map(|key| key.read().map(PublicKey::from));
    let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|error| StartError::Keys(error.to_string()))?;
    let cache = CompileCache::open(config.data_dir.join("compiled"));
    let cache = cache.map_err(|source| StartError::Files { what: "the compile cache".into(), source })?;
    let engine = engine::build(&config.instances).map_err(StartError::Engine)?;
    Ok(Loader::new(engine, cache, keys))
}

fn follow(config: &Config, registry: &Arc<Registry>, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let (events, following) = mpsc::channel(64);
    let others = config.configured().map(|plugin| plugin.file.clone());
    let others = others.filter(|file| file.parent() != Some(&config.plugins_dir)).collect();
    let folder = Folder::new(config.plugins_dir.clone(), others, config.plugins.quiet.get(), config.plugins.watch);
    vec![tokio::spawn(folder.run(events, stop.clone())), tokio::spawn(registry.clone().follow(following))]
}

async fn keep_house(registry: Arc<Registry>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => registry.observe(),
        }
    }
}
