//! What the operator decided: the plugin's `config` table.

use serde::Deserialize;

/// The `config` table. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The base directory that the controller writes into configurations (its `[haproxy_amphora] base_path`). Where it is
    /// not the private directory, programs are given copies in which it is.
    pub base_path: String,
    /// The same for certificates (`base_cert_dir`).
    pub base_cert_dir: String,
    /// Refuse requests that came without a client certificate. The listener verifies it: `client_auth = "required"`.
    pub require_client_certificate: bool,
    /// Commands that a configuration may name in `external-check command`, as PING monitors do. None by default.
    pub external_checks: Vec<String>,
    /// Group that haproxy changes to, where it may; without one, `user` is left out and haproxy runs as it was started.
    pub haproxy_group: Option<String>,
    /// Bound of every `maxconn`, for machines whose limit of descriptors is below what the controller assumes.
    pub max_connections: Option<u64>,
    /// Commands that a keepalived configuration may name beside the two of the agent itself.
    pub keepalived_scripts: Vec<String>,
    /// The shell by which keepalived runs the agent's own checks, one of the files that its entry may execute. Without
    /// one, configurations that name those checks are refused.
    pub keepalived_shell: Option<String>,
    /// Network namespace of the load balancers, into which ports are moved: that of the programs `haproxy` and `ip-inside`.
    /// Without one, interfaces are the operator's.
    pub network_namespace: Option<String>,
    /// What is so before the controller sends an agent configuration.
    pub agent: Agent,
}

/// The options of the agent that matter here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Id of this amphora.
    pub amphora_id: String,
    /// Key of the heartbeats; without one none are sent.
    pub heartbeat_key: String,
    /// Seconds between heartbeats.
    pub heartbeat_interval: u64,
    /// Where heartbeats go, `address:port` or `[address]:port`, in turn.
    pub controller_ip_port_list: Vec<String>,
    /// `SINGLE` or `ACTIVE_STANDBY`.
    pub loadbalancer_topology: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            base_path: "/var/lib/octavia".to_owned(),
            base_cert_dir: "/var/lib/octavia/certs".to_owned(),
            require_client_certificate: true,
            external_checks: Vec::new(),
            haproxy_group: None,
            max_connections: None,
            keepalived_scripts: Vec::new(),
            keepalived_shell: None,
            network_namespace: None,
            agent: Agent::default(),
        }
    }
}

impl Default for Agent {
    fn default() -> Agent {
        Agent {
            amphora_id: String::new(),
            heartbeat_key: String::new(),
            heartbeat_interval: 10,
            controller_ip_port_list: Vec::new(),
            loadbalancer_topology: "SINGLE".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_a_default_and_what_is_unknown_is_refused() {
        let settings: Settings = serde_json::from_str(r#"{"base_path": "/srv"}"#).unwrap();
        assert_eq!(settings, Settings { base_path: "/srv".into(), ..Settings::default() });
        assert!(serde_json::from_str::<Settings>(r#"{"basepath": ""}"#).is_err());
        assert!(serde_json::from_str::<Settings>(r#"{"agent": {"key": ""}}"#).is_err());
    }
}
