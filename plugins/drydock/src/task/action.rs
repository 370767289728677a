//! Actions: which may be posted, under which rule, in which steps, within which time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::settings::{Minutes, minutes};

/// What a task does. The first eight may be posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the API's and say it")]
pub enum Action {
    ValidateDesign,
    VerifySite,
    PrepareSite,
    VerifyNodes,
    PrepareNodes,
    DeployNodes,
    DestroyNodes,
    RelabelNodes,
    ValidateNodeServices,
    CreateNetworkTemplate,
    ConfigureUserCredentials,
    ConfigureNodeProvisioner,
    InterrogateOob,
    SetNodeBoot,
    PowerCycleNode,
    IdentifyNode,
    ConfigureHardware,
    ApplyNodeNetworking,
    ApplyNodeStorage,
    ApplyNodePlatform,
    DeployNode,
    BootactionReport,
    DestroyNode,
    RelabelNode,
}

/// Actions that may be posted, and the rule that each asks for beside `create_task`.
pub const POSTED: &[(&str, Action, &str)] = &[
    ("validate_design", Action::ValidateDesign, "physical_provisioner:validate_design"),
    ("verify_site", Action::VerifySite, "physical_provisioner:verify_site"),
    ("prepare_site", Action::PrepareSite, "physical_provisioner:prepare_site"),
    ("verify_nodes", Action::VerifyNodes, "physical_provisioner:verify_nodes"),
    ("prepare_nodes", Action::PrepareNodes, "physical_provisioner:prepare_nodes"),
    ("deploy_nodes", Action::DeployNodes, "physical_provisioner:deploy_nodes"),
    ("destroy_nodes", Action::DestroyNodes, "physical_provisioner:destroy_nodes"),
    ("relabel_nodes", Action::RelabelNodes, "physical_provisioner:relabel_nodes"),
];

/// A step of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One call for the site.
    Site(Action),
    /// A stage for the nodes of each type of controller.
    PerType(Action),
    /// A stage for all nodes.
    Nodes(Action),
    /// The same, not shown as a part of the task.
    Hidden(Action),
    /// A flow for each node.
    Each(Action),
    /// One call for all nodes.
    Together(Action),
}

impl Step {
    /// What its parts do.
    pub fn action(self) -> Action {
        match self {
            Step::Site(action)
            | Step::PerType(action)
            | Step::Nodes(action)
            | Step::Hidden(action)
            | Step::Each(action)
            | Step::Together(action) => action,
        }
    }
}

use Step::{Each, Hidden, Nodes, PerType, Site, Together};

const PREPARE_ONE: &[Step] = &[
    PerType(Action::SetNodeBoot),
    PerType(Action::PowerCycleNode),
    Nodes(Action::IdentifyNode),
    Nodes(Action::ConfigureHardware),
];

const DEPLOY: &[Step] = &[
    Nodes(Action::ApplyNodeNetworking),
    Hidden(Action::ApplyNodeStorage),
    Nodes(Action::ApplyNodePlatform),
    Nodes(Action::DeployNode),
    Together(Action::BootactionReport),
];

const PREPARE_SITE: &[Step] = &[
    Site(Action::CreateNetworkTemplate),
    Site(Action::ConfigureUserCredentials),
    Site(Action::ConfigureNodeProvisioner),
];

impl Action {
    /// The steps of a posted action for that many nodes.
    pub fn steps(self, nodes: usize) -> &'static [Step] {
        match self {
            Action::VerifySite => &[Site(Action::ValidateNodeServices)],
            Action::PrepareSite => PREPARE_SITE,
            Action::VerifyNodes => &[PerType(Action::InterrogateOob)],
            Action::PrepareNodes if nodes > 1 => &[Each(Action::PrepareNodes)],
            Action::PrepareNodes => PREPARE_ONE,
            Action::DeployNodes => DEPLOY,
            Action::DestroyNodes => &[Nodes(Action::DestroyNode)],
            Action::RelabelNodes => &[Nodes(Action::RelabelNode)],
            _ => &[],
        }
    }

    /// Whether it is about nodes rather than about the site.
    pub fn is_of_nodes(self) -> bool {
        matches!(
            self,
            Action::VerifyNodes
                | Action::PrepareNodes
                | Action::DeployNodes
                | Action::DestroyNodes
                | Action::RelabelNodes
        )
    }

    /// The step whose successes are those of the whole; none: the whole names none.
    pub fn counts(self) -> Option<Action> {
        match self {
            Action::PrepareNodes => Some(Action::ConfigureHardware),
            Action::DeployNodes => Some(Action::BootactionReport),
            Action::DestroyNodes => Some(Action::DestroyNode),
            Action::RelabelNodes => Some(Action::RelabelNode),
            _ => None,
        }
    }

    /// How often a node is tried before it has failed.
    pub fn attempts(self) -> u32 {
        match self {
            Action::DeployNode | Action::DestroyNode | Action::ConfigureHardware => 3,
            _ => 1,
        }
    }

    /// How long one attempt may take.
    pub fn limit(self, of: &Minutes) -> Duration {
        minutes(match self {
            Action::CreateNetworkTemplate => of.create_network_template,
            Action::ConfigureUserCredentials => of.configure_user_credentials,
            Action::IdentifyNode => of.identify_node,
            Action::ConfigureHardware => of.configure_hardware,
            Action::ApplyNodeNetworking => of.apply_node_networking,
            Action::ApplyNodeStorage => of.apply_node_storage,
            Action::ApplyNodePlatform => of.apply_node_platform,
            Action::DeployNode => of.deploy_node,
            Action::BootactionReport => of.bootaction_final_status,
            Action::DestroyNode => of.destroy_node,
            Action::RelabelNode => of.relabel_node,
            _ => of.drydock_timeout,
        })
    }

    /// As the API spells it.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}
