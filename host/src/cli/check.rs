//! Loading a plugin as the host would, up to what it describes, over an empty store in memory.
//!
//! Runs `describe` and nothing else of the component. The host's data is not opened, so this works
//! beside a running host; what depends on data (the schema) and on other plugins (clashes of mounts)
//! is not looked at.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::error::CliError;
use super::inspect::keys_of;
use super::{Subject, output, table, waiting};
use crate::auth::Rules;
use crate::blob::Blobs;
use crate::capability::crypto::KeyRing;
use crate::config::Config;
use crate::keystone;
use crate::metrics::Metrics;
use crate::plugin::{CompileCache, LoadError, Loader, Version, contract, engine};
use crate::services::Services;
use crate::store::{self, EngineKind, StoreConfig};

/// Say whether the file would be served. The reasons why not go to standard error.
pub(super) fn run(subject: &Subject, config: Config) -> Result<ExitCode, CliError> {
    let name = subject.name()?;
    let scratch = Scratch::make()?;
    let checked = waiting(check(&subject.file, &name, &config, &scratch.0))?;
    match checked {
        Ok(text) => {
            output::print(&text)?;
            if config.plugins.keys.is_empty() {
                output::say("nothing was verified: `[plugins] keys` is empty");
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(reasons) => {
            for reason in reasons {
                output::say(&format!("{}: {}", subject.file.display(), table::plain(&reason)));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

type Reasons = Vec<String>;

async fn check(file: &Path, name: &str, config: &Config, scratch: &Path) -> Result<Result<String, Reasons>, CliError> {
    let words = |error: &dyn std::fmt::Display| CliError::Words(error.to_string());
    let store = StoreConfig { engine: EngineKind::Memory, path: PathBuf::new(), cache: 0 };
    let services = Services {
        store: store::open(&store)?,
        blobs: Blobs::open(&format!("file:{}", scratch.join("blobs").display()))
            .await
            .map_err(|error| words(&error))?,
        keys: Arc::new(KeyRing::open(&scratch.join("host.key")).map_err(|error| words(&error))?),
        metrics: Metrics::new(),
        directories: scratch.join("plugins"),
        programs: scratch.join("programs"),
        keystones: keystone::open(config).map_err(|error| words(&error))?,
        unreachable: Vec::new(),
    };
    let cache = CompileCache::open(scratch.join("compiled"));
    let cache = cache.map_err(|error| CliError::file(scratch.display().to_string(), error))?;
    let engine = engine::build(&config.instances).map_err(|error| words(&error))?;
    let loader = Loader::new(engine, cache, keys_of(config)?);
    let plugin = services.plugin(config.plugin(name)).await.map_err(|error| words(&error))?;
    let loaded = loader.load(&Arc::new(plugin), file).await;
    services.blobs.settle().await;
    Ok(match loaded {
        Ok(version) => {
            let reasons = misconfigured(&version);
            if reasons.is_empty() { Ok(describe(&version)) } else { Err(reasons) }
        }
        Err(LoadError::Contract(reasons)) => Err(reasons),
        Err(error) => Err(vec![error.to_string()]),
    })
}

/// What the configuration says of the plugin and the plugin does not have.
fn misconfigured(version: &Version) -> Reasons {
    let config = &version.plugin.config;
    let surfaces = &version.surfaces;
    let mut reasons = Vec::new();
    for mount in config.mounts() {
        if surfaces.position(&mount.surface).is_none() {
            let names = surfaces.names().join(", ");
            let place = format!("{}:{}/", mount.listener, mount.path);
            reasons.push(format!(
                "its mount at {place} names the surface {:?}, but the plugin has {names}",
                mount.surface
            ));
        }
    }
    let declared = surfaces.rules.iter().map(|rule| (rule.name.clone(), rule.roles.clone()));
    if let Err(error) = Rules::new(declared, &config.roles) {
        reasons.push(error.to_string());
    }
    reasons
}

fn describe(version: &Version) -> String {
    let mut text = format!(
        "{}: would be served\n  version  {}\n  schema   {}\n  sha256   {}\n  contract {} {}\n",
        version.plugin.name,
        table::plain(&version.label),
        version.schema,
        version.digest,
        contract::PACKAGE,
        contract::VERSION
    );
    for served in &version.surfaces.all {
        let surface = served.table.surface();
        text += &format!("  surface  {}, {} routes\n", table::plain(&surface.name), surface.routes.len());
    }
    for mount in version.plugin.config.mounts() {
        let host = mount.host.as_deref().unwrap_or("");
        text +=
            &format!("  mount    {}:{host}{}/ ({}, auth {})\n", mount.listener, mount.path, mount.surface, mount.auth);
    }
    text
}

/// A private directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("plugbay-check-{}", uuid::Uuid::new_v4()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| CliError::file(path.display().to_string(), error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
