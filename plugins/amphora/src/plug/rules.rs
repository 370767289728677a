//! Packet rules of an SR-IOV VIP: the schema of the body, and nftables' text.

use std::fmt::Write as _;

use serde::Deserialize;

use super::address::{Subnet, subnet};
use crate::refusal::Refusal;

/// The packet filter's program, in the namespace of the load balancers.
pub const NFT: &str = "nft";

/// The rules that are in force.
pub const FILE: &str = "run/nftables-vip.rules";

/// Arguments of [`NFT`]: rules come on its standard input, all of them or none.
pub fn args() -> Vec<String> {
    ["-o", "-f", "-"].map(str::to_owned).into()
}

/// A protocol that a rule lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// VRRP, which has no ports.
    Vrrp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    protocol: Protocol,
    #[serde(deserialize_with = "present")]
    cidr: Option<String>,
    port: u16,
}

/// A key that has to be there, null or not.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// What is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// By which protocol.
    pub protocol: Protocol,
    /// From where; none: from anywhere.
    pub from: Option<Subnet>,
    /// To which port, 1 at least.
    pub port: u16,
}

/// The body of `PUT /1.0/interface/{ip}/rules`.
///
/// # Errors
/// 400 if it is not exactly a list of rules.
pub fn parse(body: &[u8]) -> Result<Vec<Rule>, Refusal> {
    let invalid = || Refusal::routing(400, "Invalid rules information");
    let wires: Vec<Wire> = serde_json::from_slice(body).map_err(|_| invalid())?;
    let rule = |wire: Wire| {
        let from = wire.cidr.map(|cidr| subnet(&cidr)).transpose().map_err(|_| invalid())?;
        if wire.port == 0 { Err(invalid()) } else { Ok(Rule { protocol: wire.protocol, from, port: wire.port }) }
    };
    wires.into_iter().map(rule).collect()
}

/// The text that nftables loads for an interface: what the rules and the network itself need comes in, the rest does not.
pub fn nftables(interface: &str, rules: &[Rule]) -> String {
    let mut text = format!(
        "table inet amphora_vip\nflush table inet amphora_vip\ntable inet amphora_vip {{\n  chain input {{\n    \
         type filter hook input priority filter; policy accept;\n    iifname != \"{interface}\" accept\n    \
         ct state established,related accept\n    ip protocol icmp accept\n    ip6 nexthdr ipv6-icmp accept\n"
    );
    for rule in rules {
        let from = rule.from.map_or_else(String::new, |from| {
            let family = if from.address.is_ipv4() { "ip" } else { "ip6" };
            format!("{family} saddr {}/{} ", from.address, from.prefix)
        });
        let what = match rule.protocol {
            Protocol::Tcp => format!("tcp dport {}", rule.port),
            Protocol::Udp => format!("udp dport {}", rule.port),
            Protocol::Sctp => format!("sctp dport {}", rule.port),
            Protocol::Vrrp => "meta l4proto vrrp".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "    {from}{what} accept");
    }
    text.push_str("    drop\n  }\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_exactly_three_keys() {
        let one = |text: &str| parse(format!("[{text}]").as_bytes());
        assert_eq!(parse(b"[]").unwrap(), []);
        assert!(one(r#"{"protocol": "TCP", "cidr": null, "port": 80}"#).is_ok());
        assert!(one(r#"{"protocol": "VRRP", "cidr": "10.0.0.0/24", "port": 112}"#).is_ok());
        let invalid = Err(Refusal::routing(400, "Invalid rules information"));
        for text in [
            r#"{"protocol": "TCP", "port": 80}"#,
            r#"{"protocol": "tcp", "cidr": null, "port": 80}"#,
            r#"{"protocol": "TCP", "cidr": null, "port": 0}"#,
            r#"{"protocol": "TCP", "cidr": null, "port": 65536}"#,
            r#"{"protocol": "TCP", "cidr": null, "port": 80, "x": 1}"#,
            r#"{"protocol": "TCP", "cidr": "x; drop", "port": 80}"#,
        ] {
            assert_eq!(one(text), invalid, "{text}");
        }
        assert_eq!(parse(b"{}"), invalid);
    }

    #[test]
    fn rules_become_lines_of_nftables() {
        let rules = parse(br#"[{"protocol": "UDP", "cidr": "2001:db8::/32", "port": 53}]"#).unwrap();
        assert!(nftables("eth1", &rules).contains("    ip6 saddr 2001:db8::/32 udp dport 53 accept\n"));
    }
}
