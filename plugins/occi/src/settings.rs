//! What the operator decided: the plugin's `config` table.

use plugbay_sdk::config;
use serde::Deserialize;

use crate::{
    fault::Fault,
    model::templates::{Flavor, Image},
};

/// The `config` table. Every key has a default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What runs the machines.
    pub backend: Backend,
    /// Who sees whose entities.
    pub space: SpaceRule,
    /// What machines boot from.
    pub images: Vec<Image>,
    /// Sizes beside the standard ones.
    pub flavors: Vec<Flavor>,
    /// Most entities of one page.
    pub page_limit: usize,
    /// Most bytes of a data object that come in one CDMI document.
    pub cdmi_value_limit: usize,
    /// Where CDMI is mounted, for storage that is a container: a URL, or a path below the server's root.
    pub cdmi: String,
}

/// What runs the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Nothing does: states change as if.
    Embedded,
}

/// Who sees whose entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpaceRule {
    /// Each project has a name space of its own; so has each user without one.
    Project,
    /// All callers have one name space.
    Shared,
}

impl Default for Settings {
    fn default() -> Settings {
        let image = |id: &str, name: &str| Image { id: id.to_owned(), name: name.to_owned() };
        let flavor = |name: &str, cores, memory, disk| Flavor { name: name.to_owned(), cores, memory, disk };
        Settings {
            backend: Backend::Embedded,
            space: SpaceRule::Project,
            images: vec![image("empty", "An empty disk")],
            flavors: vec![flavor("m1.tiny", 1, 0.5, 0.0), flavor("m1.small", 1, 2.0, 20.0)],
            page_limit: 1_000,
            cdmi_value_limit: 1 << 20,
            cdmi: "/cdmi".to_owned(),
        }
    }
}

impl Settings {
    /// The settings as they are now. What is wrong with them is logged for the operator.
    ///
    /// # Errors
    /// 500 if they do not read.
    pub fn load() -> Result<Settings, Fault> {
        config::load().map_err(Fault::internal)
    }
}
