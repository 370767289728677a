//! Node provisioners: what installs operating systems, and knows the machines there are.

pub mod builtin;
mod devices;
pub mod maas;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Call, Machine, Progress, Verdict};
use crate::design::effective::Shared;
use crate::fault::Broken;
use crate::settings::{self, Settings};
use crate::task::Action;
use crate::validation::Offer;
use crate::world::World;

/// Where a node is in its life, in the words of MaaS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are the API's")]
pub enum NodeStatus {
    New,
    Commissioning,
    #[serde(rename = "Failed commissioning")]
    FailedCommissioning,
    Testing,
    #[serde(rename = "Failed testing")]
    FailedTesting,
    Ready,
    Allocated,
    Deploying,
    Deployed,
    #[serde(rename = "Failed deployment")]
    FailedDeployment,
    Releasing,
    Broken,
}

/// A node as `GET /nodes` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the API's")]
pub struct NodeView {
    pub hostname: Option<String>,
    pub memory: u64,
    pub cpu_count: u64,
    pub status_name: String,
    pub boot_mac: Option<String>,
    pub power_state: String,
    pub power_address: Option<String>,
    pub boot_ip: Option<String>,
}

/// A node provisioner. Trouble with it is a verdict or a sentence; an error is of the plugin's own store.
pub trait Provisioner {
    /// Whether it works: reachable, accepts us, has images, has a healthy rack controller.
    ///
    /// # Errors
    /// Those of the store.
    fn services(&self, world: &World) -> Result<Verdict, Broken>;

    /// What images it has.
    fn offer(&self, world: &World) -> Offer;

    /// The nodes it knows; a sentence if it cannot be asked.
    ///
    /// # Errors
    /// Those of the store.
    fn nodes(&self, world: &World) -> Result<Result<Vec<NodeView>, String>, Broken>;

    /// Whether it knows a machine already.
    ///
    /// # Errors
    /// Those of the store.
    fn knows(&self, machine: &Machine<'_>, world: &World) -> Result<bool, Broken>;

    /// Prepare the site.
    ///
    /// # Errors
    /// Those of the store.
    fn site(&self, action: Action, shared: &Shared, left: Option<Value>, call: &Call<'_>) -> Result<Progress, Broken>;

    /// Do something to a machine.
    ///
    /// # Errors
    /// Those of the store.
    fn act(
        &self,
        action: Action,
        machine: &Machine<'_>,
        left: Option<Value>,
        call: &Call<'_>,
    ) -> Result<Progress, Broken>;
}

/// The provisioner that the operator chose.
pub fn driver(settings: &Settings) -> Box<dyn Provisioner> {
    match &settings.provisioner {
        settings::Provisioner::Builtin(settings) => Box::new(builtin::Inventory { settings: settings.clone() }),
        settings::Provisioner::Maas(settings) => Box::new(maas::Maas { settings: settings.clone() }),
    }
}
