//! What kind of place an IP address means, and ranges of addresses.
//!
//! Owns the table of special addresses (the IANA special-purpose registries, and the addresses at which clouds
//! hand out credentials). Invariants: an IPv6 address with an IPv4 address mapped into it counts as that one; a
//! range reaches special addresses only if it was written for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What kind of place an address means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Anywhere on the Internet.
    Public,
    /// Networks of one's own, and everything reserved or translated.
    Private,
    /// This machine, this wire, or what a cloud tells its machines: the dangerous ones.
    Local,
    /// No place at all, this machine by another word, or many machines.
    Never,
}

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    address: IpAddr,
    prefix: u8,
}

const fn v4(class: Class, octets: [u8; 4], prefix: u8) -> (Class, Range) {
    let [a, b, c, d] = octets;
    (class, Range { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix })
}

const fn v6(class: Class, address: u128, prefix: u8) -> (Class, Range) {
    (class, Range { address: IpAddr::V6(Ipv6Addr::from_bits(address)), prefix })
}

/// The first range that contains an address says what it is.
const SPECIAL: [(Class, Range); 38] = [
    v4(Class::Never, [0, 0, 0, 0], 8),
    v4(Class::Never, [224, 0, 0, 0], 4),
    v4(Class::Never, [255, 255, 255, 255], 32),
    v4(Class::Local, [127, 0, 0, 0], 8),
    v4(Class::Local, [169, 254, 0, 0], 16),
    v4(Class::Local, [100, 100, 100, 200], 32),
    v4(Class::Local, [168, 63, 129, 16], 32),
    v4(Class::Local, [192, 0, 0, 192], 32),
    v4(Class::Private, [10, 0, 0, 0], 8),
    v4(Class::Private, [100, 64, 0, 0], 10),
    v4(Class::Private, [172, 16, 0, 0], 12),
    v4(Class::Private, [192, 0, 0, 0], 24),
    v4(Class::Private, [192, 0, 2, 0], 24),
    v4(Class::Private, [192, 88, 99, 0], 24),
    v4(Class::Private, [192, 168, 0, 0], 16),
    v4(Class::Private, [198, 18, 0, 0], 15),
    v4(Class::Private, [198, 51, 100, 0], 24),
    v4(Class::Private, [203, 0, 113, 0], 24),
    v4(Class::Private, [240, 0, 0, 0], 4),
    v6(Class::Never, 0, 128),
    v6(Class::Never, 0xff << 120, 8),
    v6(Class::Local, 1, 128),
    v6(Class::Local, 0xfe80 << 112, 10),
    v6(Class::Local, 0xfd00_0ec2_0000_0000_0000_0000_0000_0254, 128),
    v6(Class::Local, 0xfd20_00ce_0000_0000_0000_0000_0000_0254, 128),
    v6(Class::Private, 0x0064_ff9b << 96, 96),
    v6(Class::Private, 0x0064_ff9b_0001 << 80, 48),
    v6(Class::Private, 0x0100 << 112, 64),
    v6(Class::Private, 0x2001_0db8 << 96, 32),
    v6(Class::Private, 0x2001 << 112, 23),
    v6(Class::Private, 0x2002 << 112, 16),
    v6(Class::Private, 0x3fff << 112, 20),
    v6(Class::Private, 0x5f00 << 112, 16),
    v6(Class::Private, 0xfc00 << 112, 7),
    v6(Class::Private, 0xfec0 << 112, 10),
    v6(Class::Public, 0x2000 << 112, 3),
    // What is left of IPv6 is not given out.
    v6(Class::Private, 0, 0),
    v4(Class::Public, [0, 0, 0, 0], 0),
];

/// The kind of an address, and the special range it is in.
fn look_up(address: IpAddr) -> (Class, Option<Range>) {
    let address = address.to_canonical();
    let found = SPECIAL.iter().find(|(_, range)| range.contains(address));
    found.map_or((Class::Never, None), |(class, range)| (*class, Some(*range)))
}

/// The kind of an address.
pub(super) fn class(address: IpAddr) -> Class {
    look_up(address).0
}

impl Range {
    /// This address alone.
    pub(super) fn one(address: IpAddr) -> Self {
        Self { address, prefix: width(address) }
    }

    fn is_one(self) -> bool {
        self.prefix == width(self.address)
    }

    /// Whether the address is in the range.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        let differing = match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.prefix)
    }

    /// Whether a line with this range lets a connection to the address pass. Private addresses need a range that is
    /// wholly private; local ones need exactly that address, and a port.
    pub(super) fn reaches(self, address: IpAddr, port_is_fixed: bool) -> bool {
        let explicit = match look_up(address) {
            (Class::Public, _) => true,
            (Class::Private, block) => self.is_one() || block.is_some_and(|block| self.is_within(block)),
            (Class::Local, _) => self.is_one() && port_is_fixed,
            (Class::Never, _) => false,
        };
        explicit && self.contains(address)
    }

    /// Whether all of it is in a block, unless the block is everything.
    fn is_within(self, block: Self) -> bool {
        block.prefix > 0 && self.prefix >= block.prefix && block.contains(self.address)
    }
}

impl FromStr for Range {
    type Err = &'static str;

    /// `192.0.2.1`, `192.0.2.0/24`, `2001:db8::1`, `2001:db8::/32`; IPv6 may be in brackets.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
        let address = match bare {
            Some(bare) => bare.parse().map(IpAddr::V6),
            None => address.parse(),
        };
        let address = address.map_err(|_| "an address is needed")?;
        if address.to_canonical() != address {
            return Err("the IPv4 address in it is what is meant");
        }
        let plain = |digits: &&str| digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let prefix = match prefix {
            None => width(address),
            Some(digits) => Some(digits)
                .filter(plain)
                .and_then(|digits| digits.parse().ok())
                .filter(|prefix| *prefix <= width(address))
                .ok_or("the length of the prefix is wrong")?,
        };
        let range = Self { address, prefix };
        match range.is_one() && class(address) == Class::Never {
            true => Err("this address cannot be connected to"),
            false => Ok(range),
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
