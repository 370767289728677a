//! The OpenAPI document of a plugin's surface, with the places where it is mounted.

use serde_json::Value;

use super::front::CALL;
use crate::plugin::{OPERATOR_LISTENER, Registry, Version};
use crate::routing::Rule;
use crate::routing::openapi::{Subject, document as make};

/// The document of the surface of this name, or of the first one; none if there is none.
pub(super) fn document(registry: &Registry, version: &Version, surface: Option<&str>) -> Option<Value> {
    let position = surface.map_or(Some(0), |name| version.surfaces.position(name))?;
    let served = version.surfaces.all.get(position)?;
    let plugin = &version.plugin;
    let rules: Vec<Rule> = version
        .surfaces
        .rules
        .iter()
        .map(|rule| Rule {
            name: rule.name.clone(),
            roles: plugin.config.roles.get(&rule.name).unwrap_or(&rule.roles).clone(),
        })
        .collect();
    let table = registry.table();
    let mounts = table.mounts().filter(|mount| mount.owner == *plugin.name && mount.target.surface == position);
    let mut servers: Vec<String> = mounts
        .map(|mount| match &mount.target.public_url {
            Some(url) => url.to_string(),
            None if mount.listener == OPERATOR_LISTENER => format!("{CALL}{}", mount.prefix),
            None => mount.prefix.clone(),
        })
        .collect();
    servers.sort_unstable();
    servers.dedup();
    let subject = Subject { plugin: &plugin.name, version: &version.label, rules: &rules, servers: &servers };
    Some(make(&subject, &served.table))
}
