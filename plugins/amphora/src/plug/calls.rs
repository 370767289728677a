//! The network calls: plug a VIP, plug a network, find an interface, set its rules.

use std::net::IpAddr;

use plugbay_sdk::Answer;
use serde_json::json;

use super::address::same_address;
use super::body::{NetworkPlug, VipPlug};
use super::interface::{Interface, free_name};
use super::{announce, body, ports, rules};
use crate::agent_conf;
use crate::context::Context;
use crate::machine::{Fault, Network};
use crate::refusal::{Refusal, failed, ok, ok_with};

/// Text that has the controller try again for ten minutes: the port may still be on its way.
const NO_INTERFACE: &str = "No suitable network interface found";

/// The interface of the VIPs.
const VIP_INTERFACE: &str = "eth1";

fn has(network: &Network, ip: IpAddr) -> bool {
    network.addresses.iter().any(|known| same_address(known, &ip.to_string()))
}

fn not_found() -> Refusal {
    Refusal::Details(404, NO_INTERFACE.to_owned())
}

/// `POST /1.0/plug/vip/{ip}`.
///
/// # Errors
/// 409 if it is there already, which the controller takes as done; 404 if there is no such port; 500 if it cannot be done.
pub fn vip(context: Context<'_>, ip: &str, text: &[u8]) -> Result<Answer, Refusal> {
    let plug = body::vip(ip, text)?;
    let failed = failed("Error plugging VIP");
    let name = match ports::with_mac(ports::inside(context)?, &plug.mac) {
        Some(network) => {
            if is_plugged(context, &network, &plug).map_err(&failed)? {
                return Err(Refusal::fault(409, "Interface already exists"));
            }
            namespace(context, &network).map_err(&failed)?;
            network.name
        }
        None => take_in(context, &plug.mac, |_| VIP_INTERFACE.to_owned(), &failed)?,
    };
    let interface = of_vip(context, &name, &plug, &[])?;
    ports::set_up(context, &interface).map_err(&failed)?;
    let vips: Vec<String> = plug.vips.iter().map(|vip| vip.ip.to_string()).collect();
    Ok(ok_with(202, format!("VIPs plugged on interface {name}: {}", vips.join(", "))))
}

/// Whether a port inside is the VIP's already. A port that is there and was never set up to the end is not.
fn is_plugged(context: Context<'_>, network: &Network, plug: &VipPlug) -> Result<bool, Fault> {
    if context.settings.network_namespace.is_some() {
        return Ok(ports::plugged(context, &network.name, &plug.mac)?.is_some());
    }
    // keepalived brings VIPs up by itself where the port has an address of its own.
    Ok(plug.vrrp_ip.is_some_and(|ip| has(network, ip)) || plug.vips.iter().all(|vip| has(network, vip.ip)))
}

/// `POST /1.0/plug/network`.
///
/// # Errors
/// 404 if there is no such port, 500 if it cannot be done.
pub fn network(context: Context<'_>, text: &[u8]) -> Result<Answer, Refusal> {
    let plug = body::network(text)?;
    let failed = failed("Error plugging network");
    let (name, done) = match ports::with_mac(ports::inside(context)?, &plug.mac) {
        Some(network) => {
            let done = format!("Updated existing interface {}", network.name);
            let there = |network: &Network| plug.addresses.iter().all(|address| has(network, address.ip));
            if context.settings.network_namespace.is_none() && there(&network) {
                return Ok(ok_with(202, done));
            }
            namespace(context, &network).map_err(&failed)?;
            (network.name, done)
        }
        None => {
            let free = |taken: &[Network]| free_name(taken.iter().map(|network| network.name.as_str()));
            let name = take_in(context, &plug.mac, free, &failed)?;
            (name.clone(), format!("Plugged on interface {name}"))
        }
    };
    let interface = of_network(context, &name, &plug)?;
    ports::set_up(context, &interface).map_err(&failed)?;
    let fixed: Vec<IpAddr> = plug.addresses.iter().map(|address| address.ip).collect();
    announce::later(&fixed);
    Ok(ok_with(202, done))
}

fn of_vip(context: Context<'_>, name: &str, plug: &VipPlug, fixed: &[body::Address]) -> Result<Interface, Refusal> {
    let topology = agent_conf::in_force(context)?.loadbalancer_topology;
    Ok(Interface::of_vip(name, plug, fixed, topology == agent_conf::ACTIVE_STANDBY))
}

fn of_network(context: Context<'_>, name: &str, plug: &NetworkPlug) -> Result<Interface, Refusal> {
    match &plug.vip {
        Some(vip) => of_vip(context, name, &VipPlug { mac: plug.mac.clone(), ..vip.clone() }, &plug.addresses),
        None => Ok(Interface::of_network(name, plug)),
    }
}

/// The namespace that the operator names for ports. Without one, interfaces are the operator's.
fn namespace<'a>(context: Context<'a>, network: &Network) -> Result<&'a str, Fault> {
    context.settings.network_namespace.as_deref().ok_or_else(|| {
        Fault::Failed(format!(
            "no network_namespace is configured for the plugin, so the operator has to add the addresses to {}",
            network.name
        ))
    })
}

/// Move the link with a hardware address in, under the name that `choose` finds for what is there. The name.
fn take_in(
    context: Context<'_>,
    mac: &str,
    choose: impl Fn(&[Network]) -> String,
    failed: impl Fn(Fault) -> Refusal,
) -> Result<String, Refusal> {
    if context.settings.network_namespace.is_none() {
        return Err(not_found());
    }
    let link = ports::with_mac(context.machine.networks(None)?, mac).ok_or_else(not_found)?;
    let namespace = namespace(context, &link).map_err(&failed)?;
    // Another call may take the name between the look and the move.
    let mut name = choose(&ports::inside(context)?);
    loop {
        let Err(fault) = ports::take_in(context, &link, namespace, &name) else { return Ok(name) };
        let next = choose(&ports::inside(context)?);
        if next == name {
            return Err(failed(fault));
        }
        name = next;
    }
}

/// The interface with an address.
///
/// # Errors
/// 400 if it is no address, 404 if no interface has it.
fn with_address(context: Context<'_>, ip: &str) -> Result<String, Refusal> {
    let ip: IpAddr = ip.parse().map_err(|_| Refusal::fault(400, "Invalid IP address"))?;
    let name = ports::inside(context)?.into_iter().find(|network| has(network, ip)).map(|network| network.name);
    name.ok_or_else(|| Refusal::fault(404, "Error interface not found for IP address"))
}

/// `GET /1.0/interface/{ip}`.
///
/// # Errors
/// 400 if it is no address, 404 if no interface has it.
pub fn interface(context: Context<'_>, ip: &str) -> Result<Answer, Refusal> {
    let name = with_address(context, ip)?;
    Ok(Answer::json(200, &json!({"message": "OK", "interface": name})))
}

/// `PUT /1.0/interface/{ip}/rules`.
///
/// # Errors
/// Those of [`interface`], then 400 for a body that is no list of rules, 500 if they cannot be set.
pub fn set_rules(context: Context<'_>, ip: &str, text: &[u8]) -> Result<Answer, Refusal> {
    let name = with_address(context, ip)?;
    let rules = rules::nftables(&name, &rules::parse(text)?);
    let failed = |fault: Fault| Refusal::routing(500, fault.to_string());
    ports::run(context, rules::NFT, &rules::args(), &rules).map_err(failed)?;
    context.files.write(rules::FILE, rules.as_bytes())?;
    Ok(ok(200))
}
