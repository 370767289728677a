//! Addresses, networks and hardware addresses as they come in bodies and paths.

use std::net::IpAddr;

/// An address of a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// The address as given, host bits and all.
    pub address: IpAddr,
    /// Length of the prefix.
    pub prefix: u8,
}

/// An address.
///
/// # Errors
/// In words, with the text in them.
pub fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("'{text}' does not appear to be an IPv4 or IPv6 address"))
}

/// A subnet such as `10.0.0.0/24`; without a prefix it is one address.
///
/// # Errors
/// In words, with the text in them.
pub fn subnet(text: &str) -> Result<Subnet, String> {
    let invalid = || format!("'{text}' does not appear to be an IPv4 or IPv6 network");
    let (host, prefix) = match text.split_once('/') {
        Some((host, prefix)) => (host, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = host.parse().map_err(|_| invalid())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| invalid())?,
        Some(_) => return Err(invalid()),
    };
    if prefix > longest { Err(invalid()) } else { Ok(Subnet { address, prefix }) }
}

/// Whether two texts are one address; texts that are none are compared as they are.
pub fn same_address(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// Whether two texts are one hardware address.
pub fn same_mac(one: &str, other: &str) -> bool {
    let digits = |text: &str| text.to_ascii_lowercase().replace('-', ":");
    digits(one) == digits(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn subnets_have_a_prefix_that_fits() {
        assert_eq!(subnet("10.0.0.0/24").unwrap().prefix, 24);
        assert_eq!(subnet("2001:db8::1").unwrap().prefix, 128);
        for text in ["10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "::/129", "x"] {
            assert!(subnet(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ipv6_is_compared_in_its_normal_form() {
        assert!(same_address("2001:DB8:0:0::1", "2001:db8::1"));
        assert!(same_mac("FA:16:3E:00:00:01", "fa:16:3e:00:00:01"));
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_not(text in "[0-9a-f:./]{0,20}") {
            prop_assert_eq!(address(&text).is_ok(), text.parse::<IpAddr>().is_ok());
            let _ = subnet(&text);
        }
    }
}
