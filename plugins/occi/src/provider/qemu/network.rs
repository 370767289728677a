//! Addresses of interfaces in QEMU's own networks, which the backend decides and therefore knows.
//!
//! On a bridge the operator's network decides, and what is not known is not said.

use std::net::Ipv4Addr;

use crate::{entity::Entity, model::TypeId, provider::Failure, settings};

/// What QEMU uses where the network names no range.
pub const RANGE: &str = "10.0.2.0/24";

/// Attribute of an interface.
pub const ADDRESS: &str = "occi.networkinterface.address";
/// Attribute of an interface.
pub const GATEWAY: &str = "occi.networkinterface.gateway";
/// Attribute of an interface.
pub const ALLOCATION: &str = "occi.networkinterface.allocation";

/// The address that a guest is given, if the link or the network says nothing else: as QEMU counts.
const GUEST: u32 = 15;
/// The gateway's.
const HOST: u32 = 2;

/// Range, address and gateway of an interface in QEMU's own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The guest's address.
    pub guest: Ipv4Addr,
    /// The gateway.
    pub host: Ipv4Addr,
}

/// The addresses of an interface.
///
/// # Errors
/// If what client or network say does not go together.
pub fn plan(link: &Entity, network: &Entity) -> Result<Plan, Failure> {
    let refused = |why: String| Failure::Refused(why);
    let range = network.text("occi.network.address").unwrap_or(RANGE);
    let wrong = || refused(format!("Machines here have no addresses of {range}, but of IPv4 ranges up to /28."));
    let (base, length) = range.split_once('/').ok_or_else(wrong)?;
    let (base, length) = (base.parse::<Ipv4Addr>().map_err(|_| wrong())?, length.parse::<u32>().map_err(|_| wrong())?);
    if !(8..=28).contains(&length) {
        return Err(wrong());
    }
    let mask = u32::MAX << (32 - length);
    let first = u32::from(base) & mask;
    let asked = link.text(ADDRESS).map(|text| text.parse::<Ipv4Addr>());
    // The last address of the shortest range is the broadcast's.
    let usual = if length == 28 { GUEST - 1 } else { GUEST };
    let guest = match asked {
        None => Ipv4Addr::from(first + usual),
        Some(Ok(address)) if u32::from(address) & mask == first && u32::from(address) > first + HOST + 1 => address,
        Some(_) => return Err(refused(format!("The interface cannot have that address in {range}."))),
    };
    let host = match network.text("occi.network.gateway").map(str::parse::<Ipv4Addr>) {
        Some(Ok(host)) if u32::from(host) & mask == first && host != guest => host,
        Some(_) => return Err(refused(format!("The gateway of the network is not in {range}."))),
        None => Ipv4Addr::from(first + HOST),
    };
    Ok(Plan { guest, host })
}

/// Whether a network is a bridge of the operator.
pub fn bridge<'a>(settings: &'a settings::Qemu, network: &Entity) -> Option<&'a String> {
    settings.bridges.get(network.text("occi.network.label")?)
}

/// Say which address an interface has.
///
/// # Errors
/// As [`plan`].
pub fn address(settings: &settings::Qemu, link: &mut Entity, network: &Entity) -> Result<(), Failure> {
    if bridge(settings, network).is_some() {
        return Ok(());
    }
    let plan = plan(link, network)?;
    let mixin = TypeId::known("http://schemas.ogf.org/occi/infrastructure/networkinterface#", "ipnetworkinterface");
    if !link.mixins.contains(&mixin) {
        link.mixins.push(mixin);
    }
    let mut say = |name: &str, value: String| link.attributes.insert(name.to_owned(), value.into());
    say(ADDRESS, plan.guest.to_string());
    say(GATEWAY, plan.host.to_string());
    say(ALLOCATION, "dynamic".to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{entity::Attributes, model::infrastructure::id};

    fn entity(kind: &str, pairs: &[(&str, &str)]) -> Entity {
        let attributes: Attributes = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let (seq, path) = ("0".repeat(32), format!("/{kind}/x"));
        Entity { seq, path, kind: id(kind), mixins: Vec::new(), attributes, links: Vec::new(), ends: None }
    }

    #[test]
    fn addresses_are_those_that_qemu_gives() {
        let plan_of = |range: Option<&str>, address: Option<&str>| {
            let network: Vec<_> = range.iter().map(|range| ("occi.network.address", *range)).collect();
            let link: Vec<_> = address.iter().map(|address| (ADDRESS, *address)).collect();
            plan(&entity("networkinterface", &link), &entity("network", &network))
                .ok()
                .map(|plan| (plan.guest.to_string(), plan.host.to_string()))
        };
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(plan_of(None, None), pair("10.0.2.15", "10.0.2.2"));
        assert_eq!(plan_of(Some("192.0.2.0/24"), Some("192.0.2.77")), pair("192.0.2.77", "192.0.2.2"));
        assert_eq!(plan_of(Some("192.0.2.0/24"), Some("198.51.100.1")), None);
        assert_eq!(plan_of(Some("2001:db8::/64"), None), None);
        assert_eq!(plan_of(Some("192.0.2.0/30"), None), None);
    }

    proptest! {
        #[test]
        fn both_addresses_are_in_the_range(base: u32, length in 8u32..=28) {
            let range = format!("{}/{length}", Ipv4Addr::from(base));
            let network = entity("network", &[("occi.network.address", &range)]);
            let plan = plan(&entity("networkinterface", &[]), &network).unwrap();
            let mask = u32::MAX << (32 - length);
            prop_assert_eq!(u32::from(plan.guest) & mask, base & mask);
            prop_assert_eq!(u32::from(plan.host) & mask, base & mask);
            prop_assert_ne!(plan.guest, plan.host);
            prop_assert_ne!(u32::from(plan.guest), base | !mask);
        }
    }
}
