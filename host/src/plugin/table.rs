//! The route table made of all serving versions.

use std::sync::Arc;

use super::{LoadError, Version};
use crate::auth::{Providers, Rules, Scope};
use crate::config::Config;
use crate::routing::{Mount, Routes};

/// The surface that only the operator reaches, through the admin socket.
const OPERATOR: &str = "operator";
/// The listener that such surfaces are mounted on, below `/NAME`. No configured listener can have
/// this name.
pub const OPERATOR_LISTENER: &str = "operator:";

/// What a mount leads to.
#[derive(Clone)]
pub struct Target {
    /// The version that serves.
    pub version: Arc<Version>,
    /// Position of the surface.
    pub surface: usize,
    /// The base URL clients know it by, if configured.
    pub public_url: Option<Arc<str>>,
    /// Who is who here, and what roles are needed.
    pub scope: Arc<Scope>,
}

/// The route table of the host.
pub type Table = Routes<Target>;

/// The table in which exactly these versions are mounted.
pub fn build(
    config: &Config,
    providers: &Providers,
    versions: impl IntoIterator<Item = Arc<Version>>,
) -> Result<Table, LoadError> {
    let mut mounts = Vec::new();
    for version in versions {
        mounts.extend(mounts_of(config, providers, &version)?);
    }
    Routes::build(mounts).map_err(|error| LoadError::Configuration(error.to_string()))
}

fn mounts_of(config: &Config, providers: &Providers, version: &Arc<Version>) -> Result<Vec<Mount<Target>>, LoadError> {
    let plugin = &version.plugin;
    let mut mounts = Vec::new();
    for mount in plugin.config.mounts() {
        let wrong =
            |why: String| LoadError::Configuration(format!("its mount at {}{}/ {why}", mount.listener, mount.path));
        let surface = version.surfaces.position(&mount.surface).ok_or_else(|| {
            let names = version.surfaces.names().join(", ");
            wrong(format!("names the surface {:?}, but the plugin has {names}", mount.surface))
        })?;
        if !config.listeners.iter().any(|listener| listener.name == mount.listener) {
            return Err(wrong("names a listener that is not configured".into()));
        }
        let provider = providers
            .get(&mount.auth)
            .ok_or_else(|| wrong(format!("names the auth table {:?}, which is not there", mount.auth)))?;
        let declared = version.surfaces.rules.iter().map(|rule| (rule.name.clone(), rule.roles.clone()));
        let rules =
            Rules::new(declared, &plugin.config.roles).map_err(|error| LoadError::Configuration(error.to_string()))?;
        mounts.push(Mount {
            listener: mount.listener.clone(),
            host: mount.host.clone(),
            prefix: mount.path.clone(),
            owner: plugin.name.to_string(),
            target: Target {
                version: version.clone(),
                surface,
                public_url: mount.public_url.as_deref().map(Into::into),
                scope: Arc::new(Scope { provider: provider.clone(), rules }),
            },
        });
    }
    if let Some(surface) = version.surfaces.position(OPERATOR) {
        let provider = providers.get(crate::config::NO_AUTH).cloned();
        let provider = provider.ok_or_else(|| LoadError::Configuration("the auth table `none` is missing".into()))?;
        let declared = version.surfaces.rules.iter().map(|rule| (rule.name.clone(), rule.roles.clone()));
        let rules =
            Rules::new(declared, &plugin.config.roles).map_err(|error| LoadError::Configuration(error.to_string()))?;
        mounts.push(Mount {
            listener: OPERATOR_LISTENER.to_owned(),
            host: None,
            prefix: format!("/{}", plugin.name),
            owner: plugin.name.to_string(),
            target: Target {
                version: version.clone(),
                surface,
                public_url: None,
                scope: Arc::new(Scope { provider, rules }),
            },
        });
    }
    Ok(mounts)
}
