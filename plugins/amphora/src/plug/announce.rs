//! Telling the neighbours where an address is now: gratuitous ARP, or an unsolicited neighbour advertisement.
//!
//! By the programs `arping` and `ndsend`, where the operator lists them, in a job, because they take a second each. Nothing
//! depends on it, so failures are passed over.

use std::net::IpAddr;

use plugbay_sdk::{NewJob, kv};

use super::address::same_address;
use super::ports::inside;
use crate::context::Context;

const RUN_MS: u32 = 2_000;

/// The job's name, and its key: one announcement at a time.
pub const JOB: &str = "announce";

/// Most addresses of one announcement.
const MOST: usize = 16;

/// Have these addresses announced.
pub fn later(addresses: &[IpAddr]) {
    if addresses.is_empty() {
        return;
    }
    let enqueued = NewJob::named(JOB).key(JOB).json(addresses).and_then(|job| {
        kv::transact(|tx| {
            tx.enqueue(job.clone());
            Ok::<_, kv::Error>(())
        })
    });
    if let Err(error) = enqueued {
        plugbay_sdk::warn!("addresses are not announced: {error}");
    }
}

/// Announce these addresses from the interfaces that have them.
pub fn announce(context: Context<'_>, addresses: &[IpAddr]) {
    let Ok(networks) = inside(context) else { return };
    for ip in addresses.iter().take(MOST) {
        let text = ip.to_string();
        let having = networks.iter().find(|network| network.addresses.iter().any(|known| same_address(known, &text)));
        if let Some(network) = having.filter(|network| network.name != "lo") {
            let (program, args) = command(*ip, &network.name);
            let _ = context.machine.run(program, &args, "", RUN_MS);
        }
    }
}

fn command(ip: IpAddr, interface: &str) -> (&'static str, Vec<String>) {
    let ip_text = ip.to_string();
    let owned = |args: &[&str]| args.iter().map(|&arg| arg.to_owned()).collect();
    match ip {
        IpAddr::V4(_) => ("arping", owned(&["-U", "-c", "1", "-w", "1", "-I", interface, &ip_text])),
        IpAddr::V6(_) => ("ndsend", owned(&[&ip_text, interface])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_program() {
        let (program, args) = command("10.0.0.5".parse().unwrap(), "eth1");
        assert_eq!((program, args.join(" ").as_str()), ("arping", "-U -c 1 -w 1 -I eth1 10.0.0.5"));
        assert_eq!(command("2001:db8::5".parse().unwrap(), "eth1").0, "ndsend");
    }
}
