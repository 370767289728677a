//! Networks as `address/length`, and whether addresses are in them.

use std::net::IpAddr;

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address as written.
    pub address: IpAddr,
    /// Bits of the network.
    pub prefix: u8,
}

impl Cidr {
    /// Read one; none if it is not one. Without a length it is one address.
    pub fn parse(text: &str) -> Option<Cidr> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u8>().ok()?)),
            None => (text.trim().parse::<IpAddr>().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        (prefix <= most).then_some(Cidr { address, prefix })
    }

    /// Whether bits after the network's are set.
    pub fn has_host_bits(&self) -> bool {
        bits(self.address) != self.masked(bits(self.address))
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && self.masked(bits(address)) == self.masked(bits(self.address))
    }

    fn masked(&self, bits: u128) -> u128 {
        // IPv4 addresses are the first 32 of 128 bits here.
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        bits & mask
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_in_their_network_only() {
        let network = Cidr::parse("10.20.1.0/24").unwrap();
        assert!(network.contains("10.20.1.255".parse().unwrap()));
        assert!(!network.contains("10.20.2.0".parse().unwrap()));
        assert!(!network.contains("::1".parse().unwrap()));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains("255.1.2.3".parse().unwrap()));
        assert!(!network.has_host_bits() && Cidr::parse("10.20.1.1/24").unwrap().has_host_bits());
        assert!(Cidr::parse("2001:db8::1/64").unwrap().has_host_bits());
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/-1"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_network_contains_its_own_address(bits: u32, prefix in 0u8..=32) {
            let text = format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(bits));
            let network = Cidr::parse(&text).unwrap();
            prop_assert!(network.contains(network.address));
        }
    }
}
