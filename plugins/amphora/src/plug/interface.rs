//! What an interface in the load balancers' namespace is to be: addresses, routes and rules, and the commands for it.
//!
//! Pure: bodies in, text for `ip -batch` out. Addresses and prefixes are parsed values and names come from the kernel, so nothing
//! of a request gets into a command as it was sent.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::address::Subnet;
use super::body::{Address, NetworkPlug, VipPlug};

/// The routing table for what goes out from a VIP.
const VIP_TABLE: u32 = 1;

/// An interface as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name in the namespace, `eth1` for VIPs.
    pub name: String,
    /// Hardware address of the port.
    pub mac: String,
    /// MTU, unless it is to stay.
    pub mtu: Option<u64>,
    /// Addresses, with the length of the prefix that is on the link.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Addresses from which [`VIP_TABLE`] is looked up.
    pub rules: Vec<IpAddr>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// To where.
    pub to: (IpAddr, u8),
    /// By which router; none: it is on the link.
    pub via: Option<IpAddr>,
    /// From which address.
    pub source: Option<IpAddr>,
    /// In which table; none: the main one.
    pub table: Option<u32>,
}

fn prefix(subnet: Subnet) -> (IpAddr, u8) {
    (masked(subnet.address, subnet.prefix), subnet.prefix)
}

/// The address without its host bits.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

/// Length of the prefix that is one address.
fn whole(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn everywhere(ip: IpAddr) -> (IpAddr, u8) {
    (masked(ip, 0), 0)
}

impl Interface {
    /// The interface of the VIP's port. In an active-standby pair keepalived has the VIPs and their rules.
    pub fn of_vip(name: &str, plug: &VipPlug, fixed: &[Address], active_standby: bool) -> Interface {
        let mut this = Interface::bare(name, &plug.mac, plug.mtu);
        if let (Some(ip), Some(vip)) = (plug.vrrp_ip, plug.vips.first()) {
            this.addresses.push((ip, vip.subnet.prefix));
        }
        for vip in &plug.vips {
            let mut tables = vec![None];
            if !active_standby {
                tables.push(Some(VIP_TABLE));
                this.addresses.push((vip.ip, whole(vip.ip)));
                this.routes.push(Route {
                    to: prefix(vip.subnet),
                    via: None,
                    source: Some(vip.ip),
                    table: Some(VIP_TABLE),
                });
                this.rules.push(vip.ip);
            }
            for table in tables {
                if let Some(gateway) = vip.gateway {
                    this.routes.push(Route { to: everywhere(vip.ip), via: Some(gateway), source: None, table });
                }
                this.add_host_routes(vip, table);
            }
        }
        this.add_fixed(fixed);
        this
    }

    /// The interface of a member network's port.
    pub fn of_network(name: &str, plug: &NetworkPlug) -> Interface {
        let mut this = Interface::bare(name, &plug.mac, plug.mtu);
        this.add_fixed(&plug.addresses);
        this
    }

    fn bare(name: &str, mac: &str, mtu: Option<u64>) -> Interface {
        let (name, mac) = (name.to_owned(), mac.to_owned());
        Interface { name, mac, mtu, addresses: Vec::new(), routes: Vec::new(), rules: Vec::new() }
    }

    fn add_fixed(&mut self, fixed: &[Address]) {
        for address in fixed {
            self.addresses.push((address.ip, address.subnet.prefix));
            self.add_host_routes(address, None);
        }
    }

    fn add_host_routes(&mut self, address: &Address, table: Option<u32>) {
        let route = |&(to, via): &(Subnet, IpAddr)| Route { to: prefix(to), via: Some(via), source: None, table };
        self.routes.extend(address.routes.iter().map(route));
    }

    /// What makes it so in the namespace. The link is there.
    pub fn setting_up(&self) -> Batches {
        let name = &self.name;
        let mtu = self.mtu.map_or_else(String::new, |mtu| format!(" mtu {mtu}"));
        let mut batches = Batches::default();
        batches.main(&format!("link set dev {name}{mtu} up"));
        for (ip, length) in &self.addresses {
            // Duplicate address detection would keep haproxy from binding for a second.
            let no_detection = if ip.is_ipv6() { " nodad" } else { "" };
            batches.main(&format!("address replace {ip}/{length} dev {name}{no_detection}"));
        }
        self.routes.iter().for_each(|route| batches.main(&route.adding(name)));
        self.rules.iter().for_each(|ip| batches.rule("add", *ip));
        batches
    }

    /// What takes away what was so before and is not to be any more, and all rules, which cannot be replaced. Each
    /// line may fail: it need not be there.
    pub fn clearing(&self, before: Option<&Interface>) -> Batches {
        let name = &self.name;
        let mut batches = Batches::default();
        let mut rules = self.rules.clone();
        if let Some(before) = before {
            rules.extend(before.rules.iter().filter(|ip| !self.rules.contains(ip)));
            let gone = before.routes.iter().filter(|route| !self.routes.contains(route));
            gone.for_each(|route| batches.main(&route.deleting(name)));
            let gone = before.addresses.iter().filter(|address| !self.addresses.contains(address));
            gone.for_each(|(ip, length)| batches.main(&format!("address delete {ip}/{length} dev {name}")));
        }
        rules.into_iter().for_each(|ip| batches.rule("delete", ip));
        batches
    }
}

/// Lines for `ip -batch`. Rules are taken for IPv4 unless `ip` is told otherwise, everything else says its family itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batches {
    main: String,
    ipv6_rules: String,
}

impl Batches {
    fn main(&mut self, line: &str) {
        self.main.push_str(line);
        self.main.push('\n');
    }

    fn rule(&mut self, verb: &str, ip: IpAddr) {
        let lines = if ip.is_ipv4() { &mut self.main } else { &mut self.ipv6_rules };
        lines.push_str(&format!("rule {verb} from {ip}/{} table {VIP_TABLE}\n", whole(ip)));
    }

    /// Arguments of `ip` and its standard input, a run each; `force` goes on after a line that fails.
    pub fn runs(&self, force: bool) -> Vec<(Vec<String>, &str)> {
        let both = [(&[][..], &self.main), (&["-6"][..], &self.ipv6_rules)];
        let args = |family: &[&str]| {
            let force = if force { &["-force"][..] } else { &[][..] };
            family.iter().chain(force).chain(&["-batch", "-"]).map(|&arg| arg.to_owned()).collect()
        };
        both.into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(family, text)| (args(family), text.as_str()))
            .collect()
    }
}

impl Route {
    fn adding(&self, name: &str) -> String {
        let via = self.via.map_or_else(|| " scope link".to_owned(), |via| format!(" via {via}"));
        let onlink = if self.via.is_some() { " onlink" } else { "" };
        let source = self.source.map_or_else(String::new, |ip| format!(" src {ip}"));
        format!("route replace {}{via} dev {name}{onlink}{source}{}", self.to_text(), self.table_text())
    }

    fn deleting(&self, name: &str) -> String {
        format!("route delete {} dev {name}{}", self.to_text(), self.table_text())
    }

    fn to_text(&self) -> String {
        format!("{}/{}", self.to.0, self.to.1)
    }

    fn table_text(&self) -> String {
        self.table.map_or_else(String::new, |table| format!(" table {table}"))
    }
}

/// Arguments of `ip` outside that move a link into a namespace under another name.
pub fn moving(link: &str, namespace: &str, name: &str) -> Vec<String> {
    ["link", "set", "dev", link, "down", "netns", namespace, "name", name].map(str::to_owned).into()
}

/// The first free name from `eth2` on.
pub fn free_name<'a>(taken: impl Iterator<Item = &'a str>) -> String {
    let taken: Vec<&str> = taken.collect();
    let mut number = 2_u64;
    loop {
        let name = format!("eth{number}");
        if !taken.contains(&&*name) {
            return name;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::body;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn vip(gateway: Option<&str>) -> VipPlug {
        let document = json!({
            "subnet_cidr": "10.0.0.0/24", "gateway": gateway, "mac_address": "fa:16:3e:00:00:01", "vrrp_ip": "10.0.0.7",
            "mtu": 1450, "host_routes": [{"destination": "10.9.0.1/16", "nexthop": "10.0.0.2"}],
            "additional_vips": [{"ip_address": "2001:db8::5", "subnet_cidr": "2001:db8::/64", "gateway": "2001:db8::1"}],
        });
        body::vip("10.0.0.5", document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_vip_of_a_single_amphora_has_a_table_of_its_own() {
        let batches = Interface::of_vip("eth1", &vip(Some("10.0.0.1")), &[], false).setting_up();
        let expected = "link set dev eth1 mtu 1450 up
address replace 10.0.0.7/24 dev eth1
address replace 10.0.0.5/32 dev eth1
address replace 2001:db8::5/128 dev eth1 nodad
route replace 10.0.0.0/24 scope link dev eth1 src 10.0.0.5 table 1
route replace 0.0.0.0/0 via 10.0.0.1 dev eth1 onlink
route replace 10.9.0.0/16 via 10.0.0.2 dev eth1 onlink
route replace 0.0.0.0/0 via 10.0.0.1 dev eth1 onlink table 1
route replace 10.9.0.0/16 via 10.0.0.2 dev eth1 onlink table 1
route replace 2001:db8::/64 scope link dev eth1 src 2001:db8::5 table 1
route replace ::/0 via 2001:db8::1 dev eth1 onlink
route replace ::/0 via 2001:db8::1 dev eth1 onlink table 1
rule add from 10.0.0.5/32 table 1
";
        assert_eq!(batches.main, expected);
        assert_eq!(batches.ipv6_rules, "rule add from 2001:db8::5/128 table 1\n");
        let args: Vec<String> = batches.runs(true).into_iter().map(|(args, _)| args.join(" ")).collect();
        assert_eq!(args, ["-force -batch -", "-6 -force -batch -"]);
    }

    #[test]
    fn in_an_active_standby_pair_vips_are_keepaliveds() {
        let interface = Interface::of_vip("eth1", &vip(Some("10.0.0.1")), &[], true);
        assert_eq!(interface.addresses, [("10.0.0.7".parse().unwrap(), 24)]);
        assert!(interface.rules.is_empty() && interface.routes.iter().all(|route| route.table.is_none()));
    }

    #[test]
    fn what_is_not_to_be_any_more_is_taken_away() {
        let before = Interface::of_vip("eth1", &vip(Some("10.0.0.1")), &[], false);
        let after = Interface::of_vip("eth1", &vip(None), &[], true);
        let text = after.clearing(Some(&before)).main;
        for line in [
            "rule delete from 10.0.0.5/32 table 1",
            "address delete 10.0.0.5/32 dev eth1",
            "route delete 0.0.0.0/0 dev",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("10.0.0.7"));
        assert_eq!(before.clearing(None).runs(true).len(), 2);
        assert!(Interface::bare("eth2", "m", None).clearing(None).runs(true).is_empty());
    }

    #[test]
    fn names_are_given_from_eth2_on() {
        assert_eq!(free_name(["lo", "eth1"].into_iter()), "eth2");
        assert_eq!(free_name(["eth2", "eth4", "eth3"].into_iter()), "eth5");
    }

    proptest! {
        #[test]
        fn prefixes_have_no_host_bits(bits: u128, length in 0u8..=128) {
            let text = format!("{}/{length}", std::net::Ipv6Addr::from_bits(bits));
            let (ip, kept) = prefix(super::super::address::subnet(&text).unwrap());
            prop_assert_eq!(kept, length);
            let IpAddr::V6(ip) = ip else { unreachable!() };
            let low = if length == 0 { ip.to_bits() } else { ip.to_bits() & (u128::MAX.checked_shr(length.into()).unwrap_or(0)) };
            prop_assert_eq!(low, 0);
        }

        #[test]
        fn what_is_sent_never_becomes_a_line_of_its_own(text in "[0-9a-f:./\n ;a-z]{0,24}") {
            let document = json!({"mac_address": text, "fixed_ips": [{"ip_address": text, "subnet_cidr": text}]});
            if let Ok(plug) = body::network(document.to_string().as_bytes()) {
                let interface = Interface::of_network("eth2", &plug);
                prop_assert_eq!(interface.setting_up().main.lines().count(), 1 + interface.addresses.len());
            }
        }
    }
}
