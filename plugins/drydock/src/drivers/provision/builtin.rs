//! The built-in provisioner: an inventory in the plugin's store.
//!
//! It walks nodes through their statuses, keeps what each is to be installed with for whoever installs it, stores build
//! data, and is where boot data and keys are taken from by way of the `operator` surface. It has no DHCP, no TFTP
//! and no installer: machines are booted and installed by something else, which says so when `wait_for_nodes` is set. Without that
//! every step is taken for done at once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{NodeStatus, NodeView, Provisioner, devices};
use crate::bootaction::asset;
use crate::design::Node;
use crate::design::effective::Shared;
use crate::design::profile::Storage;
use crate::drivers::{Call, Machine, Progress, Verdict};
use crate::fault::Broken;
use crate::settings::Builtin;
use crate::store::{builddata, inventory, plan, site};
use crate::task::Action;
use crate::validation::Offer;
use crate::world::World;

/// Between two looks at a node that somebody else is busy with.
const LOOK: Duration = Duration::from_secs(5);

/// The inventory.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The operator's settings.
    pub settings: Builtin,
}

impl Provisioner for Inventory {
    fn services(&self, _world: &World) -> Result<Verdict, Broken> {
        let mut verdict = Verdict::good("the built-in provisioner is ready");
        if self.settings.images.as_ref().is_some_and(BTreeMap::is_empty) {
            verdict = Verdict::bad("the built-in provisioner has no images");
        }
        Ok(verdict)
    }

    fn offer(&self, _world: &World) -> Offer {
        self.settings.images.clone().map_or(Offer::Any, Offer::Images)
    }

    fn nodes(&self, _world: &World) -> Result<Result<Vec<NodeView>, String>, Broken> {
        Ok(Ok(inventory::all()?.into_iter().map(|(name, machine)| view(name, machine)).collect()))
    }

    fn knows(&self, machine: &Machine<'_>, _world: &World) -> Result<bool, Broken> {
        Ok(inventory::get(&machine.node.name)?.is_some())
    }

    fn site(&self, action: Action, shared: &Shared, _left: Option<Value>, call: &Call<'_>) -> Result<Progress, Broken> {
        let region = &shared.region;
        let (part, value, count) = match action {
            Action::CreateNetworkTemplate => {
                let value = json!({"networks": shared.networks, "links": shared.links});
                ("networks", value, shared.networks.len())
            }
            Action::ConfigureUserCredentials => ("keys", json!(region.authorized_keys), region.authorized_keys.len()),
            _ => ("repositories", json!(region.repositories), region.repositories.listed.len()),
        };
        site::keep(part, &value, call.world.now())?;
        Ok(Verdict::good(format!("{count} {part} are kept for whoever installs nodes")).into())
    }

    fn act(
        &self,
        action: Action,
        machine: &Machine<'_>,
        _left: Option<Value>,
        call: &Call<'_>,
    ) -> Result<Progress, Broken> {
        let (node, wait) = (machine.node, self.settings.wait_for_nodes);
        let name = &node.name;
        let known = inventory::get(name)?;
        match (action, known) {
            (Action::IdentifyNode, Some(_)) => Ok(Verdict::good(format!("{name} is in the inventory")).into()),
            (Action::IdentifyNode, None) if wait => Ok(Progress::Wait(LOOK, Value::Null)),
            (Action::IdentifyNode, None) => {
                let address = node.oob.get("network").and_then(|network| node.address_on(network)).map(str::to_owned);
                inventory::change(name, |machine| {
                    machine.get_or_insert_with(|| inventory::Machine {
                        boot_mac: node.boot_mac.clone(),
                        power_address: address.clone(),
                        ..inventory::Machine::default()
                    });
                })?;
                Ok(Verdict::good(format!("{name} was enrolled from the design")).into())
            }
            (Action::DestroyNode, _) => {
                inventory::change(name, |machine| *machine = None)?;
                Ok(Verdict::good(format!("{name} was removed from the inventory")).into())
            }
            (_, None) => Ok(Verdict::bad(format!("{name} is not in the inventory; prepare it first")).into()),
            (Action::ConfigureHardware, Some(kept)) => hardware(name, kept, wait, call),
            (Action::ApplyNodeNetworking, _) => {
                let part = json!({
                    "interfaces": node.interfaces,
                    "addressing": node.addressing,
                    "domain": node.domain,
                    "primary_network": node.primary_network,
                    "devices": devices(node)?,
                });
                configure(name, "network", part, Some(NodeStatus::Allocated))
            }
            (Action::ApplyNodeStorage, _) => {
                let Storage { physical_devices, volume_groups } = &node.storage;
                let part = json!({
                    "physical_devices": physical_devices,
                    "volume_groups": volume_groups,
                    "devices": devices(node)?,
                });
                configure(name, "storage", part, None)
            }
            (Action::ApplyNodePlatform, _) => {
                let mut packages = BTreeMap::new();
                for of in plan::actions_of(&call.task.root, name)? {
                    packages.extend(plan::action(&of.digest)?.iter().flat_map(asset::packages));
                }
                let part = json!({
                    "image": node.image,
                    "kernel": node.kernel,
                    "kernel_params": node.kernel_params,
                    "packages": packages,
                    "tags": node.tags,
                    "labels": node.labels,
                });
                configure(name, "platform", part, None)
            }
            (Action::DeployNode, Some(kept)) => deploy(node, &kept, wait),
            (other, _) => Ok(Verdict::bad(format!("{} is not for the node provisioner", other.name())).into()),
        }
    }
}

/// The devices that the node's design has names for.
fn devices(node: &Node) -> Result<Value, Broken> {
    if node.aliases.is_empty() {
        return Ok(json!({}));
    }
    let lshw = builddata::newest(&node.name, "lshw")?;
    Ok(json!(devices::named(&node.aliases, lshw.as_deref())))
}

fn hardware(name: &str, kept: inventory::Machine, wait: bool, call: &Call<'_>) -> Result<Progress, Broken> {
    match kept.status {
        NodeStatus::Commissioning | NodeStatus::Testing if wait => return Ok(Progress::Wait(LOOK, Value::Null)),
        NodeStatus::FailedCommissioning | NodeStatus::FailedTesting if wait => {
            return Ok(Verdict::bad(format!("commissioning of {name} failed")).into());
        }
        _ => {}
    }
    let facts = json!({"boot_mac": kept.boot_mac, "memory": kept.memory, "cpu_count": kept.cpu_count}).to_string();
    let new = builddata::New {
        node: name,
        task: Some(&call.task.id),
        generator: "inventory",
        format: "application/json",
        data: &facts,
    };
    builddata::add(new, call.world.now())?;
    set_status(name, NodeStatus::Ready)?;
    Ok(Verdict::good(format!("{name} is ready")).into())
}

fn configure(name: &str, part: &str, value: Value, status: Option<NodeStatus>) -> Result<Progress, Broken> {
    inventory::change(name, |machine| {
        if let Some(machine) = machine {
            machine.configuration.insert(part.to_owned(), value.clone());
            machine.status = status.unwrap_or(machine.status);
        }
    })?;
    Ok(Verdict::good(format!("the {part} of {name} is kept for its installation")).into())
}

fn deploy(node: &Node, kept: &inventory::Machine, wait: bool) -> Result<Progress, Broken> {
    let name = &node.name;
    if !kept.configuration.contains_key("platform") {
        return Ok(Verdict::bad(format!("{name} has no platform to be installed with")).into());
    }
    match kept.status {
        NodeStatus::FailedDeployment => {
            set_status(name, NodeStatus::Allocated)?;
            Ok(Verdict::bad(format!("the installation of {name} failed")).into())
        }
        NodeStatus::Deployed if wait => Ok(Verdict::good(format!("{name} is deployed")).into()),
        NodeStatus::Deploying => Ok(Progress::Wait(LOOK, Value::Null)),
        _ if wait => {
            set_status(name, NodeStatus::Deploying)?;
            Ok(Progress::Wait(LOOK, Value::Null))
        }
        _ => {
            let address = node.primary_network.as_ref().and_then(|network| node.address_on(network)).map(str::to_owned);
            // Also if an attempt that was cut off did it already: the same is said.
            inventory::change(name, |machine| {
                if let Some(machine) = machine {
                    machine.status = NodeStatus::Deployed;
                    machine.boot_ip = address.clone().or_else(|| machine.boot_ip.clone());
                }
            })?;
            Ok(Verdict::good(format!("{name} is taken for deployed")).into())
        }
    }
}

fn set_status(name: &str, status: NodeStatus) -> Result<(), Broken> {
    inventory::change(name, |machine| {
        if let Some(machine) = machine {
            machine.status = status;
        }
    })
}

/// A node as `GET /nodes` shows it.
fn view(name: String, machine: inventory::Machine) -> NodeView {
    let status = serde_json::to_value(machine.status).ok();
    NodeView {
        hostname: Some(name),
        memory: machine.memory.unwrap_or_default(),
        cpu_count: machine.cpu_count.unwrap_or_default(),
        status_name: status.and_then(|status| status.as_str().map(str::to_owned)).unwrap_or_default(),
        boot_mac: machine.boot_mac,
        power_state: machine.power_state,
        power_address: machine.power_address,
        boot_ip: machine.boot_ip,
    }
}
