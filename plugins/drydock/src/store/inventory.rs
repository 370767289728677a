//! The inventory of the built-in provisioner.

use plugbay_sdk::kv;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::keys;
use crate::drivers::provision::NodeStatus;
use crate::fault::Broken;

/// A node of the inventory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Machine {
    /// Address of the interface it boots from.
    pub boot_mac: Option<String>,
    /// Address it has there.
    pub boot_ip: Option<String>,
    /// Address of its controller.
    pub power_address: Option<String>,
    /// MiB.
    pub memory: Option<u64>,
    /// Processors.
    pub cpu_count: Option<u64>,
    /// `on`, `off`, `unknown` or `error`.
    pub power_state: String,
    /// Where it is in its life.
    pub status: NodeStatus,
    /// What it is to be installed with.
    pub configuration: Map<String, Value>,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine {
            boot_mac: None,
            boot_ip: None,
            power_address: None,
            memory: None,
            cpu_count: None,
            power_state: "unknown".to_owned(),
            status: NodeStatus::New,
            configuration: Map::new(),
        }
    }
}

/// A node.
///
/// # Errors
/// Those of the store.
pub fn get(name: &str) -> Result<Option<Machine>, Broken> {
    Ok(kv::get_json(&keys::inventory(name))?.map(|stored| stored.value))
}

/// All nodes with their names, in the order of names.
///
/// # Errors
/// Those of the store.
pub fn all() -> Result<Vec<(String, Machine)>, Broken> {
    let read = |entry: Result<kv::Entry, kv::Error>| {
        let entry = entry?;
        let name = entry.key.strip_prefix(keys::INVENTORY).unwrap_or_default().to_owned();
        Ok((name, entry.json()?.value))
    };
    kv::prefix(keys::INVENTORY).iter().map(read).collect()
}

/// Change a node, or make one; what the closure returns is whether it is kept.
///
/// # Errors
/// Those of the store.
pub fn change<T>(name: &str, change: impl Fn(&mut Option<Machine>) -> T) -> Result<T, Broken> {
    let key = keys::inventory(name);
    let changed = kv::transact(|tx| {
        let before = tx.get_json::<Machine>(&key)?.map(|stored| stored.value);
        let mut machine = before.clone();
        let value = change(&mut machine);
        match &machine {
            Some(machine) if before.as_ref() != Some(machine) => drop(tx.put_json(&*key, machine)?),
            None if before.is_some() => drop(tx.delete(&*key)),
            _ => {}
        }
        Ok::<_, Broken>(value)
    })?;
    Ok(changed.value)
}
