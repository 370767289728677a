//! Plugins: loading, checking, compiling, swapping, and calls into them within their limits.
//!
//! A [`Plugin`] is an identity the operator gave: it stays while its versions come and go, and owns
//! what they share: limits, key space, blobs, metrics. A [`Version`] is one component of it, with its
//! instances. The folder (`folder`) tells the loader (`load`) which files are there; the loader makes
//! versions; the registry (`registry`) holds what is loaded and publishes the route table.
//!
//! Invariants: loading is a transaction (a refused file changes nothing that runs); a plugin is known
//! by its configured name only; every call is bounded in memory, processors, time and number.

mod admission;
pub(crate) mod bindings;
mod breaker;
mod cache;
pub mod contract;
mod cpu;
mod digest;
pub mod engine;
mod folder;
mod instance;
mod linker;
mod load;
mod memory;
mod output;
mod registry;
pub mod signature;
mod state;
mod status;
mod surfaces;
mod table;
mod version;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::auth::{Identity, RateLimit, Scope};
use crate::blob::{Space, Staging};
use crate::capability::crypto::KeyRing;
use crate::capability::kv::KeySpace;
use crate::config::PluginConfig;
use crate::datagram::Datagrams;
use crate::jobs::Queue;
use crate::metrics::PluginMetrics;
use crate::outbound::Outbound;
use crate::program::Programs;
use crate::secret::Secrets;

pub use cache::CompileCache;
pub use digest::Digest;
pub use folder::Folder;
pub use instance::{Failure, Work};
pub use load::{LoadError, Loader};
pub use output::LogRate;
pub use registry::{Reason, Registry};
pub use state::GuestState;
pub use status::{State, Status};
pub use table::{OPERATOR_LISTENER, Target};
pub use version::{CallError, Version};

use admission::Admission;
use cpu::Processors;
use memory::MemoryBudget;

/// A plugin as the operator knows it, whichever version of it serves.
pub struct Plugin {
    /// Its identity: the configuration's name for it, or the file's stem.
    pub name: Arc<str>,
    /// What the operator decided.
    pub config: PluginConfig,
    /// Its settings as JSON.
    pub settings: String,
    /// Its keys.
    pub keys: KeySpace,
    /// Its pieces and blobs.
    pub blobs: Space,
    /// Its jobs.
    pub jobs: Queue,
    /// Keys that the host keeps for it.
    pub key_ring: Arc<KeyRing>,
    /// Its private directory, if it was granted one, or programs that work there.
    pub directory: Option<PathBuf>,
    /// Programs that it may run, if it may run any.
    pub programs: Option<Programs>,
    /// Where it may send datagrams.
    pub datagrams: Datagrams,
    /// Its requests to others.
    pub outbound: Option<Outbound>,
    /// Its secrets.
    pub secrets: Option<Secrets>,
    /// What is counted of it.
    pub metrics: PluginMetrics,
    /// Requests parked now may not exceed the operator's number.
    pub parking: Arc<Semaphore>,
    /// Bodies that are received or sent between calls.
    pub transfers: Arc<Semaphore>,
    /// Goes up with every version published, so that parked requests start afresh.
    pub generation: watch::Sender<u64>,
    held: watch::Sender<bool>,
    /// The same, for asking without a lock.
    is_held: AtomicBool,
    pub(crate) log_rate: Arc<LogRate>,
    pub(crate) lookup_rate: RateLimit,
    /// The call of instances that wait for one.
    nobody: Arc<Call>,
    processors: Arc<Processors>,
    memory: Arc<MemoryBudget>,
    admission: Admission,
}

/// What a plugin was granted of this machine and of the world.
#[derive(Default)]
pub struct Place {
    /// Its private directory.
    pub directory: Option<PathBuf>,
    /// The programs that run there.
    pub programs: Option<Programs>,
    /// Its requests to others.
    pub outbound: Option<Outbound>,
    /// Its secrets.
    pub secrets: Option<Secrets>,
}

impl Plugin {
    /// The plugin of this configuration, with nothing loaded yet.
    pub fn new(
        config: PluginConfig,
        keys: KeySpace,
        blobs: Space,
        jobs: Queue,
        key_ring: Arc<KeyRing>,
        place: Place,
        metrics: PluginMetrics,
    ) -> Self {
        let limits = &config.limits;
        Self {
            name: config.name.as_str().into(),
            settings: serde_json::Value::Object(config.config.clone()).to_string(),
            parking: Arc::new(Semaphore::new(limits.parked as usize)),
            transfers: Arc::new(Semaphore::new(limits.transfers as usize)),
            generation: watch::Sender::new(0),
            held: watch::Sender::new(false),
            is_held: AtomicBool::new(false),
            lookup_rate: RateLimit::new(limits.lookup_rate, limits.lookup_rate.saturating_mul(2)),
            log_rate: Arc::new(LogRate::new(limits.log_rate)),
            nobody: Call::job("", ""),
            processors: Processors::new((limits.executing > 0).then_some(limits.executing as usize)),
            memory: MemoryBudget::new(limits.memory_total.get()),
            admission: Admission::new(limits.concurrency as usize, limits.queue as usize, limits.queue_wait.get()),
            keys,
            blobs,
            jobs,
            key_ring,
            directory: place.directory,
            programs: place.programs,
            datagrams: Datagrams::new(config.udp.clone()),
            outbound: place.outbound,
            secrets: place.secrets,
            metrics,
            config,
        }
    }

    /// Its private directory, if it may use files there.
    pub fn files(&self) -> Option<&Path> {
        self.directory.as_deref().filter(|_| self.config.grants("filesystem"))
    }

    /// The deadline of one call for a request.
    pub fn deadline(&self) -> Duration {
        self.config.limits.deadline.get()
    }

    /// Hold new requests back until [`Plugin::release`].
    fn hold(&self) {
        self.is_held.store(true, Ordering::SeqCst);
        self.held.send_replace(true);
    }

    fn release(&self) {
        self.is_held.store(false, Ordering::SeqCst);
        self.held.send_replace(false);
    }

    /// Whether new requests are held back, while the plugin's data is being upgraded.
    pub fn held(&self) -> watch::Receiver<bool> {
        self.held.subscribe()
    }

    /// The same, asked in passing.
    pub fn is_held(&self) -> bool {
        self.is_held.load(Ordering::SeqCst)
    }

    /// Bring the gauges up to date that nothing on the hot path keeps.
    pub fn observe(&self) {
        self.metrics.memory.set(i64::try_from(self.memory.used()).unwrap_or(i64::MAX));
        let parked = (self.config.limits.parked as usize).saturating_sub(self.parking.available_permits());
        self.metrics.parked.set(i64::try_from(parked).unwrap_or(i64::MAX));
    }
}

/// On whose behalf a guest runs: one request, one run of a job, or a load.
pub struct Call {
    /// The request's or job's id.
    pub id: Arc<str>,
    /// The operation or the job's name.
    pub operation: Arc<str>,
    /// Who is calling.
    pub caller: Identity,
    /// The mount's provider and rules; none for jobs.
    pub scope: Option<Arc<Scope>>,
    /// Whether the request was made on this machine.
    pub local: bool,
    /// True while `describe` runs.
    pub describing: bool,
    staging: OnceLock<Staging>,
}

impl Call {
    /// A call for a request by `caller`.
    pub fn request(id: Arc<str>, operation: Arc<str>, caller: Identity, scope: Arc<Scope>, local: bool) -> Arc<Self> {
        let scope = Some(scope);
        Arc::new(Self { id, operation, caller, scope, local, describing: false, staging: OnceLock::new() })
    }

    /// A call for a job.
    pub fn job(id: &str, name: &str) -> Arc<Self> {
        Arc::new(Self {
            id: id.into(),
            operation: name.into(),
            caller: Identity::Anonymous,
            scope: None,
            local: false,
            describing: false,
            staging: OnceLock::new(),
        })
    }

    /// The call on whose behalf `describe` runs.
    fn describe() -> Self {
        Self {
            id: "describe".into(),
            operation: "describe".into(),
            caller: Identity::Anonymous,
            scope: None,
            local: false,
            describing: true,
            staging: OnceLock::new(),
        }
    }

    /// The pieces of this call, which end with it unless a commit attaches them.
    pub fn staging(&self, plugin: &Plugin) -> &Staging {
        self.staging.get_or_init(|| plugin.blobs.staging())
    }

    /// The pieces of this call, if it has any.
    pub fn staged(&self) -> Option<&Staging> {
        self.staging.get()
    }
}
