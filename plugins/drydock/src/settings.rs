//! What the operator decided: the plugin's `config` table. Every key has a default.

use std::collections::BTreeMap;
use std::time::Duration;

use plugbay_sdk::config;
use serde::Deserialize;

/// The `config` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Most bytes of a design.
    pub design_limit: u64,
    /// Name of the credential that the host attaches when a `deckhand+` or `promenade+` reference is fetched.
    pub design_credential: Option<String>,
    /// Posted tasks at work at once; the others wait in the order they came.
    pub tasks_at_once: usize,
    /// Days for which the newest build data of a node that is in no inventory is kept after its task was deleted.
    pub build_data_days: u32,
    /// Where nodes report; the id of the boot action is put behind it.
    pub report_url: String,
    /// What `WWW-Authenticate` names as the identity service.
    pub identity_url: String,
    /// Minutes that steps may take.
    pub minutes: Minutes,
    /// Management controllers.
    pub oob: Oob,
    /// The node provisioner.
    pub provisioner: Provisioner,
    /// The Kubernetes provisioner, for labels of nodes.
    pub promenade: Option<Service>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            design_limit: 8 * 1024 * 1024,
            design_credential: None,
            tasks_at_once: 6,
            build_data_days: 365,
            report_url: "http://localhost:9000/api/v1.0/bootactions/".to_owned(),
            identity_url: "http://localhost:5000/v3".to_owned(),
            minutes: Minutes::default(),
            oob: Oob::default(),
            provisioner: Provisioner::Builtin(Builtin::default()),
            promenade: None,
        }
    }
}

/// Minutes that steps may take, named as Drydock's own settings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Minutes {
    /// Anything else.
    pub drydock_timeout: u32,
    /// Networks.
    pub create_network_template: u32,
    /// Keys of users.
    pub configure_user_credentials: u32,
    /// A node shows up.
    pub identify_node: u32,
    /// A node is commissioned.
    pub configure_hardware: u32,
    /// Networks of a node.
    pub apply_node_networking: u32,
    /// Disks of a node.
    pub apply_node_storage: u32,
    /// Operating system of a node.
    pub apply_node_platform: u32,
    /// A node is installed.
    pub deploy_node: u32,
    /// Boot actions report.
    pub bootaction_final_status: u32,
    /// A node is erased.
    pub destroy_node: u32,
    /// A node gets its labels.
    pub relabel_node: u32,
}

impl Default for Minutes {
    fn default() -> Minutes {
        Minutes {
            drydock_timeout: 5,
            create_network_template: 2,
            configure_user_credentials: 2,
            identify_node: 10,
            configure_hardware: 30,
            apply_node_networking: 5,
            apply_node_storage: 5,
            apply_node_platform: 5,
            deploy_node: 45,
            bootaction_final_status: 15,
            destroy_node: 30,
            relabel_node: 5,
        }
    }
}

/// How management controllers are reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Oob {
    /// `https`, or `http` where nothing else is spoken.
    pub redfish_scheme: String,
    /// Port; none: the scheme's.
    pub redfish_port: Option<u16>,
    /// Polls of the power state after it was to change.
    pub power_polls: u32,
    /// Seconds between them.
    pub power_interval: u32,
    /// Types that are answered without a controller, beside `noop`: for trying a design out.
    pub pretend: Vec<String>,
}

impl Default for Oob {
    fn default() -> Oob {
        Oob {
            redfish_scheme: "https".to_owned(),
            redfish_port: None,
            power_polls: 18,
            power_interval: 10,
            pretend: Vec::new(),
        }
    }
}

/// Which node provisioner there is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Provisioner {
    /// The plugin's own inventory.
    Builtin(Builtin),
    /// A MaaS region controller.
    Maas(Maas),
}

/// The built-in provisioner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Builtin {
    /// Images with their kernels; none: any is taken.
    pub images: Option<BTreeMap<String, Vec<String>>>,
    /// Whether a node is in the inventory only after somebody put it there. Otherwise it is enrolled from the design.
    pub wait_for_nodes: bool,
}

/// A MaaS region controller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maas {
    /// Up to and without `/api/2.0`.
    pub url: String,
    /// Name of the host's credential with the API key; what it attaches is the whole `Authorization` field.
    pub credential: Option<String>,
    /// The API key itself, `consumer:token:secret`, where there is no credential.
    pub api_key: Option<String>,
    /// Whether networks, interfaces and disks were configured in MaaS by hand, so that the steps that are about them have
    /// nothing to do. Otherwise they fail.
    #[serde(default)]
    pub configured_by_hand: bool,
}

/// Another service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its base URL.
    pub url: String,
    /// Name of the host's credential for it.
    #[serde(default)]
    pub credential: Option<String>,
}

impl Settings {
    /// The settings as they are now.
    ///
    /// # Errors
    /// If the table is not usable; the text is for the operator.
    pub fn load() -> Result<Settings, config::Error> {
        config::load()
    }
}

/// That many minutes.
pub fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_a_default_and_what_is_unknown_is_refused() {
        let some: Settings = serde_json::from_str(
            r#"{"minutes": {"deploy_node": 1}, "provisioner": {"type": "maas", "url": "http://m/MAAS", "api_key": "a:b:c"}}"#,
        )
        .unwrap();
        assert_eq!((some.minutes.deploy_node, some.minutes.identify_node), (1, 10));
        assert!(matches!(some.provisioner, Provisioner::Maas(_)));
        assert!(serde_json::from_str::<Settings>(r#"{"minute": {}}"#).is_err());
    }
}
