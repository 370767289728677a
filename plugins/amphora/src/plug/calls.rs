//! The network calls: plug a VIP, plug a network, find an interface, set its rules.

use std::net::IpAddr;

use plugbay_sdk::Answer;
use serde_json::json;

use super::address::{same_address, same_mac};
use super::{body, rules};
use crate::context::Context;
use crate::machine::Network;
use crate::refusal::{Refusal, failed, ok, ok_with};

/// Text that has the controller try again for ten minutes: the port may still be on its way.
const NO_INTERFACE: &str = "No suitable network interface found";

fn with_mac(context: Context<'_>, mac: &str) -> Result<Network, Refusal> {
    let networks = context.machine.networks()?;
    let matching = |network: &Network| network.mac.as_deref().is_some_and(|known| same_mac(known, mac));
    networks.into_iter().find(matching).ok_or_else(|| Refusal::Details(404, NO_INTERFACE.to_owned()))
}

fn has(network: &Network, ip: IpAddr) -> bool {
    network.addresses.iter().any(|known| same_address(known, &ip.to_string()))
}

/// `POST /1.0/plug/vip/{ip}`.
///
/// # Errors
/// 409 if it is there already, which the controller takes as done; 404 if there is no such port; 500 if it cannot be done.
pub fn vip(context: Context<'_>, ip: &str, text: &[u8]) -> Result<Answer, Refusal> {
    let plug = body::vip(ip, text)?;
    let network = with_mac(context, &plug.mac)?;
    // keepalived brings VIPs up by itself where the port has an address of its own.
    if plug.vrrp_ip.is_some_and(|ip| has(&network, ip)) || plug.vips.iter().all(|vip| has(&network, vip.ip)) {
        return Err(Refusal::fault(409, "Interface already exists"));
    }
    context.machine.plug_vip(&network.name, &plug).map_err(failed("Error plugging VIP"))?;
    let vips: Vec<String> = plug.vips.iter().map(|vip| vip.ip.to_string()).collect();
    Ok(ok_with(202, format!("VIPs plugged on interface {}: {}", network.name, vips.join(", "))))
}

/// `POST /1.0/plug/network`.
///
/// # Errors
/// 404 if there is no such port, 500 if it cannot be done.
pub fn network(context: Context<'_>, text: &[u8]) -> Result<Answer, Refusal> {
    let plug = body::network(text)?;
    let network = with_mac(context, &plug.mac)?;
    if plug.addresses.iter().all(|address| has(&network, address.ip)) {
        return Ok(ok_with(202, format!("Updated existing interface {}", network.name)));
    }
    context.machine.plug_network(&network.name, &plug).map_err(failed("Error plugging network"))?;
    Ok(ok_with(202, format!("Plugged on interface {}", network.name)))
}

/// The interface with an address.
///
/// # Errors
/// 400 if it is no address, 404 if no interface has it.
fn with_address(context: Context<'_>, ip: &str) -> Result<String, Refusal> {
    let ip: IpAddr = ip.parse().map_err(|_| Refusal::fault(400, "Invalid IP address"))?;
    let networks = context.machine.networks()?;
    let name = networks.into_iter().find(|network| has(network, ip)).map(|network| network.name);
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
    let rules = rules::parse(text)?;
    context.machine.set_rules(&name, &rules)?;
    context.files.write("nftables-vip.rules", rules::nftables(&name, &rules).as_bytes())?;
    Ok(ok(200))
}
