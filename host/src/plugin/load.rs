//! Loading a component: read, hash, verify, compile, check, describe. A transaction: whatever fails,
//! nothing that runs is touched, and the reason says in words what to do.
//!
//! Publishing what was loaded, and draining what it replaces, is the registry's part.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::bindings::handler::Descriptor;
use super::contract::{self, Decisions};
use super::instance::{Failure, Returned, Template, Work, within};
use super::signature::{self, PublicKey, SignatureError};
use super::surfaces::{DescriptorError, Surfaces};
use super::{Call, CompileCache, Digest, Plugin, Version, linker};

/// Largest component file, in bytes.
const MAX_FILE: u64 = 256 * 1024 * 1024;
/// How long `describe` may take.
const DESCRIBE: Duration = Duration::from_secs(10);

/// Why a component was refused. What ran before still runs.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file.
    #[error("the file cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Too long.
    #[error("the file has {0} bytes; a plugin has at most {MAX_FILE}")]
    TooLarge(u64),
    /// Not a component.
    #[error("the file {0}")]
    NotAComponent(String),
    /// Not signed as the operator demands.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The compiler refused it.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// Imports and exports.
    #[error("{}", .0.join("; "))]
    Contract(Vec<String>),
    /// The types of an interface differ.
    #[error("an interface it uses differs from this host's {package} {version}: {0}; build it against that contract", package = contract::PACKAGE, version = contract::VERSION)]
    Types(String),
    /// `describe` did not return.
    #[error("`describe` failed: {0}")]
    Describe(String),
    /// What it described.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// The operator's configuration asks for what the plugin does not have, or clashes.
    #[error("{0}")]
    Configuration(String),
    /// The programs that the operator listed cannot be offered.
    #[error(transparent)]
    Programs(#[from] crate::program::OpenError),
    /// The secrets that the operator gives cannot be used.
    #[error(transparent)]
    Secrets(#[from] crate::secret::GivenError),
    /// The authorities that the operator trusts cannot be read.
    #[error(transparent)]
    Outbound(#[from] crate::outbound::OpenError),
    /// The store has data of a newer version.
    #[error(
        "it has schema {new}, but what the plugin keeps was last written by schema {kept}: going back is not possible; load a version with schema {kept} or later"
    )]
    SchemaGoesBack {
        /// Of this component.
        new: u32,
        /// Of the data.
        kept: u32,
    },
    /// The upgrade job.
    #[error("the upgrade from schema {from} to {to} failed: {why}")]
    Upgrade {
        /// Of the data.
        from: u32,
        /// Of this component.
        to: u32,
        /// What went wrong.
        why: String,
    },
    /// The host's own store.
    #[error("the store failed: {0}")]
    Store(String),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}

/// Makes versions of plugins out of files.
#[derive(Clone)]
pub struct Loader {
    engine: Engine,
    cache: CompileCache,
    keys: Arc<[PublicKey]>,
}

impl Loader {
    /// A loader that demands a signature by one of `keys`, if there are any.
    pub fn new(engine: Engine, cache: CompileCache, keys: Vec<PublicKey>) -> Self {
        Self { engine, cache, keys: keys.into() }
    }

    /// The engine versions run on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Load the component in `path` as a version of `plugin`, which serves nobody yet.
    pub async fn load(&self, plugin: &Arc<Plugin>, path: &Path) -> Result<Version, LoadError> {
        let loader = self.clone();
        let (name, path) = (plugin.name.clone(), path.to_owned());
        let compiled = tokio::task::spawn_blocking(move || loader.compile(&name, &path));
        let (digest, component) = compiled.await.map_err(|_| LoadError::Stopping)??;
        let decisions = Decisions::of(&plugin.config);
        let refusals = contract::refusals(&self.engine, &component, &decisions);
        if !refusals.is_empty() {
            return Err(LoadError::Contract(refusals));
        }
        let linker = linker::serving(&self.engine, &component, &decisions).map_err(types)?;
        let template = linker.instantiate_pre(&component).and_then(Template::new).map_err(types)?;
        let descriptor = self.describe(plugin, &component).await?;
        let (label, schema) = (descriptor.version.clone(), descriptor.schema);
        let surfaces = Surfaces::new(descriptor, &plugin.metrics)?;
        Ok(Version::new(plugin.clone(), digest, label, schema, surfaces, template))
    }

    fn compile(&self, name: &str, path: &Path) -> Result<(Digest, Component), LoadError> {
        let wasm = read(path)?;
        let digest = Digest::of(&wasm);
        if !self.keys.is_empty() {
            let file = match std::fs::read_to_string(signature_path(path)) {
                Ok(text) => Some(text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(error.into()),
            };
            signature::verify(&self.keys, name, &digest, file.as_deref())?;
        }
        let (component, cached) = self
            .cache
            .component(&self.engine, &digest, &wasm)
            .map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        tracing::debug!(plugin = name, %digest, cached, "compiled");
        Ok((digest, component))
    }

    async fn describe(&self, plugin: &Arc<Plugin>, component: &Component) -> Result<Descriptor, LoadError> {
        let linker = linker::describing(&self.engine, component).map_err(types)?;
        let template = linker.instantiate_pre(component).and_then(Template::new).map_err(types)?;
        let call = Arc::new(Call::describe());
        let describe = async {
            let mut instance = template.instantiate(plugin, &call).await.map_err(failed)?;
            instance.begin(&call);
            instance.cpu().acquire().await;
            let result = instance.run(&template, &Work::Describe).await;
            result.map_err(|error| LoadError::Describe(instance.diagnose(&error).report))
        };
        match within(DESCRIBE, &CancellationToken::new(), pin!(describe)).await {
            Ok(Ok(Returned::Descriptor(descriptor))) => Ok(*descriptor),
            Ok(Ok(Returned::Step(_) | Returned::Outcome(_))) => {
                Err(LoadError::Describe("it returned something else".into()))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(LoadError::Describe(format!("it took longer than {} s", DESCRIBE.as_secs()))),
        }
    }
}

fn failed(error: wasmtime::Error) -> LoadError {
    LoadError::Describe(Failure::of(&error, false, String::new()).report)
}

fn types(error: wasmtime::Error) -> LoadError {
    LoadError::Types(format!("{error:#}"))
}

/// The bytes of a component file, refused early if they cannot be a component.
pub fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let mut file = std::fs::File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(LoadError::NotAComponent("is not a regular file".into()));
    }
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start)?;
    if let Some(reason) = contract::refuse_bytes(&start) {
        return Err(LoadError::NotAComponent(reason));
    }
    if metadata.len() > MAX_FILE {
        return Err(LoadError::TooLarge(metadata.len()));
    }
    let mut wasm = start;
    file.take(MAX_FILE).read_to_end(&mut wasm)?;
    Ok(wasm)
}

/// Where the signature of a component file is.
pub fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}
