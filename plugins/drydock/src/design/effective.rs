//! The effective design: each node with all that it inherits, routes between domains, and the targets of boot actions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bootaction::BootAction;
use super::document::Design;
use super::filter::{NodeFilter, Subject};
use super::kinds::{DeviceAlias, HardwareProfile, Labels, Network, NetworkLink, Rack, Region, Route};
use super::merging;
use super::profile::{Address, Interface, Profile, Storage};

/// Profiles above each other; more are a circle.
const GENERATIONS: usize = 64;

/// The design does not come to anything: a profile is not defined, or inherits from itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CompileError {
    /// What is wrong.
    pub text: String,
    /// With which node.
    pub node: String,
}

/// A node with all that it inherits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its hardware profile.
    pub hardware_profile: Option<String>,
    /// The network that its name is in.
    pub primary_network: Option<String>,
    /// Type of its management controller.
    pub oob_type: Option<String>,
    /// Parameters of its management controller.
    pub oob: BTreeMap<String, String>,
    /// Its disks.
    pub storage: Storage,
    /// Its image.
    pub image: Option<String>,
    /// Its kernel.
    pub kernel: Option<String>,
    /// Parameters of the kernel.
    pub kernel_params: BTreeMap<String, String>,
    /// Its interfaces.
    pub interfaces: BTreeMap<String, Interface>,
    /// Devices that aliases among the interfaces' slaves and the disks stand for.
    pub aliases: BTreeMap<String, DeviceAlias>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its labels.
    pub labels: Labels,
    /// Its rack.
    pub rack: Option<String>,
    /// Address of the interface that boots from the network.
    pub boot_mac: Option<String>,
    /// Its addresses.
    pub addressing: Vec<Address>,
    /// Its domain.
    pub domain: String,
}

impl Node {
    /// Its address on a network, if it is a fixed one.
    pub fn address_on(&self, network: &str) -> Option<&str> {
        let found = self.addressing.iter().find(|address| address.network == network && !address.is_dhcp());
        found.map(|address| address.address.as_str())
    }

    /// What filters ask.
    pub fn subject(&self) -> Subject<'_> {
        Subject { name: &self.name, tags: &self.tags, labels: &self.labels, rack: self.rack.as_deref() }
    }
}

/// A boot action and the nodes it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Targeted {
    /// Its name.
    pub name: String,
    /// The action.
    pub action: BootAction,
    /// Names of nodes, in the design's order.
    pub nodes: Vec<String>,
}

/// What nodes share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    /// The region.
    pub region: Region,
    /// Racks.
    pub racks: BTreeMap<String, Rack>,
    /// Links.
    pub links: BTreeMap<String, NetworkLink>,
    /// Networks, with the routes that their domains bring.
    pub networks: BTreeMap<String, Network>,
    /// Hardware profiles.
    pub hardware: BTreeMap<String, HardwareProfile>,
}

/// The effective design.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Site {
    /// What nodes share.
    pub shared: Shared,
    /// The nodes, in the design's order.
    pub nodes: Vec<Node>,
    /// The boot actions.
    pub boot_actions: Vec<Targeted>,
}

impl Site {
    /// Names of the nodes that pass a filter; none: all.
    ///
    /// # Errors
    /// A sentence if the filter cannot be applied.
    pub fn select(&self, filter: Option<&NodeFilter>) -> Result<Vec<String>, String> {
        match filter {
            Some(filter) => filter.apply(self.nodes.iter().map(Node::subject), &self.shared.racks),
            None => Ok(self.nodes.iter().map(|node| node.name.clone()).collect()),
        }
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

/// Give every node what it inherits.
///
/// # Errors
/// See [`CompileError`].
pub fn compile(design: Design) -> Result<Site, CompileError> {
    let mut known: BTreeMap<String, Node> = BTreeMap::new();
    let mut nodes = Vec::with_capacity(design.nodes.len());
    for (name, own) in &design.nodes {
        nodes.push(node(&design, name, own, &mut known)?);
    }
    let Design { region, racks, links, mut networks, hardware, boot_actions, .. } = design;
    add_domain_routes(&mut networks);
    let shared = Shared { region: region.unwrap_or_default(), racks, links, networks, hardware };
    let mut site = Site { shared, nodes, boot_actions: Vec::new() };
    for (name, action) in boot_actions {
        let nodes = site
            .select(action.node_filter.as_ref())
            .map_err(|text| CompileError { text: format!("Boot action {name}: {text}"), node: String::new() })?;
        site.boot_actions.push(Targeted { name, action, nodes });
    }
    Ok(site)
}

fn node(design: &Design, name: &str, own: &Profile, known: &mut BTreeMap<String, Node>) -> Result<Node, CompileError> {
    let fail = |text: String| CompileError { text, node: name.to_owned() };
    let inherited = match &own.host_profile {
        Some(profile) => inherited(design, profile, known).map_err(fail)?,
        None => Node::default(),
    };
    let mut node = inherit(own, inherited);
    node.name = name.to_owned();
    node.addressing = own.addressing.clone();
    node.boot_mac = own.metadata.boot_mac.clone();
    node.storage.fill();
    node.domain = node
        .primary_network
        .as_ref()
        .and_then(|network| design.networks.get(network)?.dns.domain.clone())
        .unwrap_or_else(|| "local".to_owned());
    if let Some(profile) = &node.hardware_profile {
        let hardware = design
            .hardware
            .get(profile)
            .ok_or_else(|| fail(format!("Node {name}: hardware profile {profile} is not defined")))?;
        node.aliases = hardware.device_aliases.clone();
        for value in node.kernel_params.values_mut() {
            if let Some(real) = from_hardware(hardware, value) {
                *value = real;
            }
        }
    }
    Ok(node)
}

/// What a profile gives to its children. `known` has those that were worked out already.
fn inherited(design: &Design, name: &str, known: &mut BTreeMap<String, Node>) -> Result<Node, String> {
    let mut chain: Vec<&Profile> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let mut next = Some(name);
    let mut base = Node::default();
    while let Some(name) = next {
        if let Some(ready) = known.get(name) {
            base = ready.clone();
            break;
        }
        if chain.len() >= GENERATIONS || names.contains(&name) {
            return Err(format!("Host profile {name} inherits from itself"));
        }
        let profile = design.profiles.get(name).ok_or_else(|| format!("Host profile {name} is not defined"))?;
        chain.push(profile);
        names.push(name);
        next = profile.host_profile.as_deref();
    }
    for (profile, name) in chain.into_iter().zip(names).rev() {
        base = inherit(profile, base);
        known.insert(name.to_owned(), base.clone());
    }
    Ok(base)
}

fn inherit(child: &Profile, parent: Node) -> Node {
    let mut oob = merging::map(&child.oob, parent.oob);
    let oob_type = merging::single(oob.remove("type").as_ref(), parent.oob_type);
    Node {
        hardware_profile: merging::single(child.hardware_profile.as_ref(), parent.hardware_profile),
        primary_network: merging::single(child.primary_network.as_ref(), parent.primary_network),
        oob_type,
        oob,
        storage: merging::storage(&child.storage, parent.storage),
        image: merging::single(child.platform.image.as_ref(), parent.image),
        kernel: merging::single(child.platform.kernel.as_ref(), parent.kernel),
        kernel_params: merging::map(&child.platform.kernel_params, parent.kernel_params),
        interfaces: merging::interfaces(&child.interfaces, parent.interfaces),
        tags: merging::list(&child.metadata.tags, &parent.tags),
        labels: merging::map(&child.metadata.owner_data, parent.labels),
        rack: merging::single(child.metadata.rack.as_ref(), parent.rack),
        ..Node::default()
    }
}

/// What a kernel parameter that refers to the hardware profile stands for.
fn from_hardware(hardware: &HardwareProfile, value: &str) -> Option<String> {
    let reference = value.strip_prefix("hardwareprofile:")?;
    if let Some(name) = reference.strip_prefix("cpuset.") {
        return hardware.cpu_sets.get(name).cloned();
    }
    let (name, field) = reference.strip_prefix("hugepages.")?.rsplit_once('.')?;
    let pages = hardware.hugepages.get(name)?;
    match field {
        "size" => Some(pages.size.clone()),
        "count" => Some(pages.count.clone()),
        _ => None,
    }
}

/// A route to a domain becomes one to each other network of the domain.
fn add_domain_routes(networks: &mut BTreeMap<String, Network>) {
    let members: Vec<(String, String, String)> = networks
        .iter()
        .filter_map(|(name, network)| Some((network.routedomain.clone()?, name.clone(), network.cidr.clone()?)))
        .collect();
    for (name, network) in networks {
        let mut added = Vec::new();
        for route in &network.routes {
            let Some(domain) = &route.routedomain else { continue };
            let others = members.iter().filter(|(of, member, _)| of == domain && member != name);
            added.extend(others.map(|(_, _, subnet)| Route {
                subnet: Some(subnet.clone()),
                gateway: route.gateway.clone(),
                metric: route.metric,
                routedomain: None,
            }));
        }
        network.routes.retain(|route| route.routedomain.is_none());
        network.routes.extend(added);
    }
}
