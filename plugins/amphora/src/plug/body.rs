//! The bodies of the plug calls.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::address::{Subnet, address, subnet};
use crate::refusal::Refusal;

/// An address to bring up, with its subnet and the way out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Its subnet.
    pub subnet: Subnet,
    /// Its gateway, if it has one.
    pub gateway: Option<IpAddr>,
    /// Destination and next hop of further routes.
    pub routes: Vec<(Subnet, IpAddr)>,
}

/// A VIP to plug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipPlug {
    /// The VIP, then the additional ones.
    pub vips: Vec<Address>,
    /// Hardware address of the port.
    pub mac: String,
    /// The port's own address.
    pub vrrp_ip: Option<IpAddr>,
    /// MTU of the interface.
    pub mtu: Option<u64>,
    /// Whether the port is a virtual function.
    pub is_sriov: bool,
}

/// A network to plug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPlug {
    /// Hardware address of the port.
    pub mac: String,
    /// Addresses of the port.
    pub addresses: Vec<Address>,
    /// MTU of the interface.
    pub mtu: Option<u64>,
    /// Whether the port is a virtual function.
    pub is_sriov: bool,
    /// The VIP, if it is its port that gets a further subnet.
    pub vip: Option<VipPlug>,
}

fn object(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key)?.as_str()
}

/// An optional list of objects; none if it is something else.
fn objects<'a>(map: &'a Map<String, Value>, key: &str) -> Option<Vec<&'a Map<String, Value>>> {
    match map.get(key) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(Value::as_object).collect(),
        Some(_) => None,
    }
}

fn required<'a>(map: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    text(map, key).ok_or_else(|| format!("{key} is missing"))
}

/// The address of an object whose `key` is the address itself.
fn place(map: &Map<String, Value>, ip: &str) -> Result<Address, String> {
    let ip = address(ip)?;
    let subnet = subnet(required(map, "subnet_cidr")?)?;
    if subnet.address.is_ipv4() != ip.is_ipv4() {
        return Err(format!("{ip} is not of the kind of its subnet"));
    }
    let gateway = match map.get("gateway") {
        None | Some(Value::Null) => None,
        Some(value) => Some(address(value.as_str().ok_or("gateway is no text")?)?),
    };
    let mut routes = Vec::new();
    for route in objects(map, "host_routes").ok_or("host_routes is no list of objects")? {
        let destination = super::address::subnet(required(route, "destination")?)?;
        routes.push((destination, address(required(route, "nexthop")?)?));
    }
    Ok(Address { ip, subnet, gateway, routes })
}

/// The body of `POST /1.0/plug/vip/{ip}`.
///
/// # Errors
/// The 400s of that call.
pub fn vip(ip: &str, body: &[u8]) -> Result<VipPlug, Refusal> {
    let incomplete = || Refusal::routing(400, "Invalid subnet information");
    vip_of(ip, &object(body).ok_or_else(incomplete)?)
}

fn vip_of(ip: &str, map: &Map<String, Value>) -> Result<VipPlug, Refusal> {
    let incomplete = || Refusal::routing(400, "Invalid subnet information");
    let mac = text(map, "mac_address").ok_or_else(incomplete)?.to_owned();
    if text(map, "subnet_cidr").is_none() || !map.contains_key("gateway") {
        return Err(incomplete());
    }
    let invalid = |why: String| Refusal::fault(400, format!("Invalid VIP: {why}"));
    let mut vips = vec![place(map, ip).map_err(invalid)?];
    for additional in objects(map, "additional_vips").ok_or_else(incomplete)? {
        let place = required(additional, "ip_address").and_then(|ip| place(additional, ip));
        vips.push(place.map_err(invalid)?);
    }
    let vrrp_ip = match map.get("vrrp_ip") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let parsed = value.as_str().ok_or_else(|| "vrrp_ip is no text".to_owned()).and_then(address);
            Some(parsed.map_err(|why| Refusal::fault(400, format!("Invalid VRRP Address: {why}")))?)
        }
    };
    Ok(VipPlug { vips, mac, vrrp_ip, mtu: mtu(map), is_sriov: is_sriov(map) })
}

/// The body of `POST /1.0/plug/network`.
///
/// # Errors
/// The 400s of that call.
pub fn network(body: &[u8]) -> Result<NetworkPlug, Refusal> {
    let incomplete = || Refusal::routing(400, "Invalid port information");
    let map = object(body).ok_or_else(incomplete)?;
    let mac = text(&map, "mac_address").ok_or_else(incomplete)?.to_owned();
    let fixed = objects(&map, "fixed_ips").ok_or_else(incomplete)?;
    let address = |fixed: &&Map<String, Value>| place(fixed, required(fixed, "ip_address")?);
    let addresses: Result<Vec<_>, String> = fixed.iter().map(address).collect();
    let addresses = addresses.map_err(|_| Refusal::fault(400, "Invalid network port"))?;
    let vip = match map.get("vip_net_info") {
        None | Some(Value::Null) => None,
        Some(Value::Object(info)) => Some(vip_of(text(info, "vip").ok_or_else(incomplete)?, info)?),
        Some(_) => return Err(incomplete()),
    };
    Ok(NetworkPlug { mac, addresses, mtu: mtu(&map), is_sriov: is_sriov(&map), vip })
}

fn mtu(map: &Map<String, Value>) -> Option<u64> {
    map.get("mtu").and_then(Value::as_u64)
}

fn is_sriov(map: &Map<String, Value>) -> bool {
    map.get("is_sriov").and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vip_of_json(ip: &str, body: &Value) -> Result<VipPlug, Refusal> {
        vip(ip, body.to_string().as_bytes())
    }

    fn complete() -> Value {
        json!({"subnet_cidr": "10.0.0.0/24", "gateway": null, "mac_address": "fa:16:3e:00:00:01"})
    }

    #[test]
    fn a_vip_needs_subnet_gateway_and_mac() {
        assert_eq!(vip_of_json("10.0.0.5", &complete()).unwrap().vips.len(), 1);
        let refusal = Err(Refusal::routing(400, "Invalid subnet information"));
        for key in ["subnet_cidr", "gateway", "mac_address"] {
            let mut body = complete();
            body.as_object_mut().unwrap().remove(key);
            assert_eq!(vip_of_json("10.0.0.5", &body), refusal, "{key}");
        }
        assert_eq!(vip("10.0.0.5", b"not json"), refusal);
        assert_eq!(vip("10.0.0.5", b"[]"), refusal);
    }

    #[test]
    fn addresses_that_are_none_are_named() {
        let with = |key: &str, value: Value| {
            let mut body = complete();
            body[key] = value;
            body
        };
        let text = |result: Result<VipPlug, Refusal>| result.unwrap_err().document()["message"].to_string();
        assert!(text(vip_of_json("10.0.0", &complete())).starts_with("\"Invalid VIP: '10.0.0'"));
        assert!(text(vip_of_json("10.0.0.5", &with("subnet_cidr", json!("x")))).starts_with("\"Invalid VIP: "));
        let additional = json!([{"ip_address": "x", "subnet_cidr": "10.0.0.0/8", "gateway": null}]);
        assert!(text(vip_of_json("10.0.0.5", &with("additional_vips", additional))).starts_with("\"Invalid VIP: "));
        assert!(text(vip_of_json("10.0.0.5", &with("vrrp_ip", json!("x")))).starts_with("\"Invalid VRRP Address: "));
    }

    #[test]
    fn a_network_needs_a_mac_and_addresses_that_are_some() {
        assert_eq!(network(b"{}"), Err(Refusal::routing(400, "Invalid port information")));
        let body = json!({"mac_address": "m", "fixed_ips": [{"ip_address": "x", "subnet_cidr": "10.0.0.0/8"}]});
        assert_eq!(network(body.to_string().as_bytes()), Err(Refusal::fault(400, "Invalid network port")));
        assert!(network(br#"{"mac_address": "m", "mtu": 1450}"#).is_ok_and(|port| port.mtu == Some(1450)));
    }
}
