//! Ports of virtual machines on their way into the load balancers' namespace.
//!
//! Owns the order: find the link by its hardware address, move it, give it addresses, and only then write down that it is plugged. So a
//! port whose setting up failed is set up again by the next call instead of being taken for done.

use super::address::same_mac;
use super::interface::{Interface, moving};
use crate::context::Context;
use crate::haproxy::store::PROGRAM;
use crate::machine::{Fault, Network};

/// The program that sets links in the host's own namespace.
pub const IP: &str = "ip";

/// The same in the namespace of the load balancers.
pub const IP_INSIDE: &str = "ip-inside";

/// Hardware address and name of each port, a line each.
const PLUGGED: &str = "plugged_interfaces";

const RUN_MS: u32 = 10_000;

fn path(name: &str) -> String {
    format!("run/interfaces/{name}.json")
}

/// The interfaces where the load balancers are.
///
/// # Errors
/// If the machine does not tell.
pub fn inside(context: Context<'_>) -> Result<Vec<Network>, Fault> {
    context.machine.networks(Some(PROGRAM))
}

/// The one with a hardware address.
pub fn with_mac(networks: Vec<Network>, mac: &str) -> Option<Network> {
    let matching = |network: &Network| network.mac.as_deref().is_some_and(|known| same_mac(known, mac));
    networks.into_iter().find(matching)
}

/// What was set up under a name; none if nothing was, or for another port.
///
/// # Errors
/// If the directory cannot be read.
pub fn plugged(context: Context<'_>, name: &str, mac: &str) -> Result<Option<Interface>, Fault> {
    let bytes = context.files.read(&path(name))?;
    let kept: Option<Interface> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(kept.filter(|kept| same_mac(&kept.mac, mac)))
}

/// Move a link into the namespace.
///
/// # Errors
/// In `ip`'s words.
pub fn take_in(context: Context<'_>, link: &Network, namespace: &str, name: &str) -> Result<(), Fault> {
    run(context, IP, &moving(&link.name, namespace, name), "")
}

/// Give a link in the namespace what it is to have, and write down that it has it.
///
/// # Errors
/// In `ip`'s words.
pub fn set_up(context: Context<'_>, interface: &Interface) -> Result<(), Fault> {
    let before = plugged(context, &interface.name, &interface.mac)?;
    for (args, lines) in interface.clearing(before.as_ref()).runs(true) {
        // What is not there cannot be deleted, and need not be.
        context.machine.run(IP_INSIDE, &args, lines, RUN_MS)?;
    }
    for (args, lines) in interface.setting_up().runs(false) {
        run(context, IP_INSIDE, &args, lines)?;
    }
    let kept = serde_json::to_vec(interface).map_err(|error| Fault::Failed(error.to_string()))?;
    context.files.write(&path(&interface.name), &kept)?;
    let known = context.files.text(PLUGGED)?.unwrap_or_default();
    Ok(context.files.write(PLUGGED, with_line(&known, interface).as_bytes())?)
}

/// The list with the line of an interface in it once.
fn with_line(known: &str, interface: &Interface) -> String {
    let others = known.lines().filter(|line| {
        let mac = line.split_whitespace().next();
        mac.is_some_and(|mac| !same_mac(mac, &interface.mac))
    });
    let others = others.fold(String::new(), |text, line| text + line + "\n");
    format!("{others}{} {}\n", interface.mac, interface.name)
}

/// Run a program that has to succeed.
///
/// # Errors
/// In its words.
pub fn run(context: Context<'_>, program: &str, args: &[String], stdin: &str) -> Result<(), Fault> {
    let output = context.machine.run(program, args, stdin, RUN_MS)?;
    match output.status {
        Some(0) => Ok(()),
        Some(_) => Err(Fault::Failed(output.text)),
        None => Err(Fault::Failed(format!("{program} was killed: {}", output.text))),
    }
}

/// Set the ports up again whose links are outside: after a start of the machine they are.
///
/// # Errors
/// If the machine does not tell which there are.
pub fn restore(context: Context<'_>) -> Result<(), Fault> {
    let Some(namespace) = &context.settings.network_namespace else { return Ok(()) };
    let names = context.files.names("run/interfaces")?;
    for name in names.iter().filter_map(|name| name.strip_suffix(".json")) {
        let bytes = context.files.read(&path(name))?;
        let Some(kept) = bytes.and_then(|bytes| serde_json::from_slice::<Interface>(&bytes).ok()) else { continue };
        if with_mac(inside(context)?, &kept.mac).is_some() {
            continue;
        }
        let Some(link) = with_mac(context.machine.networks(None)?, &kept.mac) else { continue };
        let restored = take_in(context, &link, namespace, name).and_then(|()| set_up(context, &kept));
        if let Err(fault) = restored {
            plugbay_sdk::error!("{name} cannot be plugged again: {fault}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_line() {
        let interface = Interface {
            name: "eth2".into(),
            mac: "fa:16:3e:00:00:02".into(),
            mtu: None,
            addresses: vec![],
            routes: vec![],
            rules: vec![],
        };
        let known = "fa:16:3e:00:00:01 eth1\nFA:16:3E:00:00:02 eth9\n\n";
        assert_eq!(with_line(known, &interface), "fa:16:3e:00:00:01 eth1\nfa:16:3e:00:00:02 eth2\n");
    }
}
