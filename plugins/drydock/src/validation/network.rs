//! Rules about networks, links and addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Context, Findings, of_link, of_network, of_node};
use crate::design::DocumentRef;
use crate::design::address::Cidr;
use crate::design::kinds::{BondingMode, TrunkingMode};

/// Frames of links and networks.
const MTU: std::ops::RangeInclusive<i64> = 1_280..=65_536;

/// DD2006: networks have no host bits.
pub(super) fn cidr(context: &Context<'_>, findings: &mut Findings) {
    let networks = &context.site.shared.networks;
    if networks.is_empty() {
        findings.warn([], "the design has no networks".to_owned());
    }
    for (name, network) in networks {
        let text = network.cidr.as_deref().unwrap_or_default();
        match Cidr::parse(text) {
            None => findings.error(of_network(name), format!("{text:?} of network {name} is not a network")),
            Some(cidr) if cidr.has_host_bits() => {
                findings.error(of_network(name), format!("{text} of network {name} has host bits set"));
            }
            Some(_) => {}
        }
    }
}

/// DD2002: gateways and addresses are in their networks.
pub(super) fn locality(context: &Context<'_>, findings: &mut Findings) {
    let networks = &context.site.shared.networks;
    if networks.is_empty() {
        findings.warn([], "the design has no networks".to_owned());
    }
    let cidr = |name: &str| networks.get(name).and_then(|network| Cidr::parse(network.cidr.as_deref()?));
    let inside = |name: &str, text: &str| {
        let address = text.parse::<IpAddr>().ok();
        address.zip(cidr(name)).is_some_and(|(address, cidr)| cidr.contains(address))
    };
    for (name, network) in networks {
        for route in &network.routes {
            match &route.gateway {
                None => findings.error(of_network(name), format!("a route of network {name} has no gateway")),
                Some(gateway) if !inside(name, gateway) => {
                    findings.error(of_network(name), format!("gateway {gateway} is outside network {name}"));
                }
                Some(_) => {}
            }
        }
    }
    if context.site.nodes.is_empty() {
        findings.warn([], "the design has no nodes".to_owned());
    }
    for node in &context.site.nodes {
        for address in node.addressing.iter().filter(|address| !address.is_dhcp()) {
            let (network, ip) = (&address.network, &address.address);
            if !networks.contains_key(network) {
                findings.error(of_node(node), format!("{ip} of node {} is on an unknown network {network}", node.name));
            } else if !inside(network, ip) {
                findings.error(of_node(node), format!("{ip} of node {} is outside network {network}", node.name));
            }
        }
    }
}

/// DD2003: frames fit.
pub(super) fn mtu(context: &Context<'_>, findings: &mut Findings) {
    let shared = &context.site.shared;
    for (name, link) in &shared.links {
        let Some(mtu) = link.mtu else { continue };
        if !MTU.contains(&mtu) {
            findings.error(of_link(name), format!("an MTU of {mtu} on link {name}"));
        }
        let native = link.trunking.default_network.as_ref();
        if let Some((network, larger)) = native.and_then(|native| Some((native, shared.networks.get(native)?.mtu?)))
            && larger > mtu
        {
            let text = format!("network {network} has an MTU of {larger}, its link {name} one of {mtu}");
            findings.error(of_network(network).into_iter().chain(of_link(name)), text);
        }
    }
    for (name, network) in &shared.networks {
        if let Some(mtu) = network.mtu.filter(|mtu| !MTU.contains(mtu)) {
            findings.error(of_network(name), format!("an MTU of {mtu} on network {name}"));
        }
    }
}

/// DD2004: a link without tags has one network, and that has no tag.
pub(super) fn trunking(context: &Context<'_>, findings: &mut Findings) {
    let shared = &context.site.shared;
    for (name, link) in shared.links.iter().filter(|(_, link)| link.trunking.mode == TrunkingMode::Disabled) {
        if link.allowed_networks.len() > 1 {
            findings.error(of_link(name), format!("link {name} allows several networks without trunking"));
        }
        match &link.trunking.default_network {
            None => findings.error(of_link(name), format!("link {name} has neither trunking nor a default network")),
            Some(network) => {
                let vlan = shared.networks.get(network).and_then(|network| network.vlan.as_deref());
                if let Some(vlan) = vlan {
                    let text = format!("network {network} has VLAN tag {vlan}, its link {name} has no trunking");
                    findings.error(of_link(name).into_iter().chain(of_network(network)), text);
                }
            }
        }
    }
}

/// DD2005: no address is on two nodes.
pub(super) fn duplicates(context: &Context<'_>, findings: &mut Findings) {
    if context.site.nodes.is_empty() {
        findings.warn([], "the design has no nodes".to_owned());
    }
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for node in &context.site.nodes {
        for address in node.addressing.iter().filter(|address| !address.is_dhcp()) {
            match seen.insert(&address.address, &node.name) {
                Some(other) if other != node.name => {
                    let text = format!("{} is on nodes {other} and {}", address.address, node.name);
                    findings.error([DocumentRef::of("BaremetalNode", other)].into_iter().chain(of_node(node)), text);
                }
                _ => {}
            }
        }
    }
}

/// DD1006: options of bonds fit the mode.
pub(super) fn bonding(context: &Context<'_>, findings: &mut Findings) {
    for (name, link) in &context.site.shared.links {
        let bond = &link.bonding;
        match bond.mode {
            BondingMode::Disabled => {
                let options = bond.hash.is_some()
                    || bond.peer_rate.is_some()
                    || bond.mon_rate.is_some()
                    || bond.up_delay.is_some()
                    || bond.down_delay.is_some();
                if options {
                    findings.error(of_link(name), format!("bonding is disabled on link {name} and has options"));
                }
            }
            BondingMode::Lacp => {
                let rate = bond.mon_rate.unwrap_or_default();
                for (what, delay) in [("up", bond.up_delay), ("down", bond.down_delay)] {
                    if delay.is_some_and(|delay| delay < rate) {
                        let text = format!("the {what} delay on link {name} is under the monitor rate of {rate}");
                        findings.error(of_link(name), text);
                    }
                }
            }
            BondingMode::ActiveBackup | BondingMode::BalanceRoundRobin => {}
        }
    }
}

/// DD1007: a network is on one link, and interfaces keep to what their link allows.
pub(super) fn allowed(context: &Context<'_>, findings: &mut Findings) {
    let links = &context.site.shared.links;
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, link) in links {
        for network in &link.allowed_networks {
            match seen.insert(network, name) {
                Some(other) if other != name => {
                    let text = format!("network {network} is allowed on links {other} and {name}");
                    findings.error(of_network(network).into_iter().chain(of_link(other)).chain(of_link(name)), text);
                }
                _ => {}
            }
        }
    }
    for node in &context.site.nodes {
        for (name, interface) in &node.interfaces {
            let link_name = interface.device_link.as_deref().unwrap_or_default();
            let Some(link) = links.get(link_name) else {
                let text = format!("interface {name} of node {} is on an unknown link {link_name:?}", node.name);
                findings.error(of_node(node), text);
                continue;
            };
            for network in interface.networks.iter().filter(|network| !link.allowed_networks.contains(network)) {
                let text = format!(
                    "interface {name} of node {} is on network {network}, not allowed on {link_name}",
                    node.name
                );
                findings.error(of_node(node), text);
            }
        }
    }
}
