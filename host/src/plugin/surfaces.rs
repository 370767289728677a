//! What a plugin described, checked and made ready for requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::bindings::handler::Descriptor;
use super::bindings::plugbay::plugin::descriptor as wit;
use crate::metrics::{OperationMetrics, PluginMetrics};
use crate::routing::{Access, BodyMode, ErrorTemplate, Route, Rule, Surface, SurfaceError, Table};

/// Most periodic jobs of a plugin.
const MAX_PERIODIC: usize = 64;

/// Why a description is refused.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    /// A surface, route or rule.
    #[error(transparent)]
    Surface(#[from] SurfaceError),
    /// A periodic job.
    #[error(
        "periodic job {0:?}: its interval is at least 1 second, its name unique, and there are at most {MAX_PERIODIC}"
    )]
    Periodic(String),
}

/// The surfaces of a version.
pub struct Surfaces {
    /// In the order of the descriptor.
    pub all: Vec<Served>,
    /// Names and intervals of periodic jobs.
    pub periodic: Vec<(String, Duration)>,
    /// Access rules with their default roles.
    pub rules: Vec<Rule>,
}

/// One surface.
pub struct Served {
    /// Its routes.
    pub table: Table,
    /// By position of the route.
    pub operations: Vec<Operation>,
}

/// What is known of a route's operation.
#[derive(Clone)]
pub struct Operation {
    /// Its name.
    pub name: Arc<str>,
    /// Its counters.
    pub metrics: OperationMetrics,
}

impl Surfaces {
    /// Check a descriptor's tables.
    pub fn new(descriptor: Descriptor, metrics: &PluginMetrics) -> Result<Self, DescriptorError> {
        let rules: Vec<Rule> =
            descriptor.rules.into_iter().map(|rule| Rule { name: rule.name, roles: rule.roles }).collect();
        let mut periodic: Vec<(String, Duration)> = Vec::new();
        for job in descriptor.periodic {
            let twice = periodic.iter().any(|(name, _)| *name == job.name);
            if twice || job.every == 0 || periodic.len() == MAX_PERIODIC {
                return Err(DescriptorError::Periodic(job.name));
            }
            periodic.push((job.name, Duration::from_secs(u64::from(job.every))));
        }
        let surfaces = descriptor.surfaces.into_iter().map(Surface::from).collect();
        let mut known: HashMap<String, Operation> = HashMap::new();
        let mut all = Vec::new();
        for table in Table::compile_all(surfaces, &rules)? {
            let operation = |route: &Route| {
                let made = || Operation {
                    name: route.operation.as_str().into(),
                    metrics: metrics.operation(&route.operation),
                };
                known.entry(route.operation.clone()).or_insert_with(made).clone()
            };
            let operations = table.surface().routes.iter().map(operation).collect();
            all.push(Served { table, operations });
        }
        Ok(Self { all, periodic, rules })
    }

    /// The position of the surface of this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|served| served.table.surface().name == name)
    }

    /// The names of all surfaces.
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|served| served.table.surface().name.as_str()).collect()
    }
}

impl From<wit::Surface> for Surface {
    fn from(surface: wit::Surface) -> Self {
        let template =
            |errors: wit::ErrorTemplate| ErrorTemplate { content_type: errors.content_type, body: errors.body };
        Self {
            name: surface.name,
            routes: surface.routes.into_iter().map(Route::from).collect(),
            errors: surface.errors.map(template),
            headers: surface.headers,
            optional_trailing_slash: surface.optional_trailing_slash,
            double_slash_root: surface.double_slash_root,
            auto_head: surface.auto_head,
            auto_options: surface.auto_options,
        }
    }
}

impl From<wit::Route> for Route {
    fn from(route: wit::Route) -> Self {
        Self {
            method: route.method,
            path: route.path,
            operation: route.operation,
            access: match route.access {
                wit::Access::Open => Access::Open,
                wit::Access::Authenticated => Access::Authenticated,
                wit::Access::RoleRule(rule) => Access::RoleRule(rule),
                wit::Access::Plugin => Access::Plugin,
            },
            body: match route.body {
                wit::BodyMode::None => BodyMode::None,
                wit::BodyMode::Buffered(limit) => BodyMode::Buffered(limit),
                wit::BodyMode::Staged => BodyMode::Staged,
            },
        }
    }
}
