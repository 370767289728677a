//! Datagrams to the addresses that the operator listed.
//!
//! Owns the list of one plugin and its sockets, at most one an address family, opened when first needed.
//! Nothing is received. A destination is an address and a port, not a name, so that what is checked is what is sent to.
//!
//! Invariants: every destination is on the list. Loopback, link-local and unspecified addresses are reached only
//! by a line for exactly that address and port, never by one that leaves the port or a part of the address open; a
//! v4-mapped address counts as the IPv4 address in it. Multicast and broadcast are not reachable at all.
//! Sending never waits: a datagram that the socket has no room for is an error.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::OnceLock;

use serde::Deserialize;

/// Bytes of a datagram over IPv4.
pub const MOST: usize = 65_507;

/// Where a plugin may send: `192.0.2.1:5555`, `[2001:db8::1]:5555`, `192.0.2.0/24:5555`, and `*` for any port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Destination {
    address: IpAddr,
    /// Bits of the address that have to be the same.
    prefix: u8,
    /// None: any.
    port: Option<u16>,
}

/// Why a line of the list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no destination: {reason}")]
pub struct DestinationError {
    text: String,
    reason: &'static str,
}

/// Why a datagram was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The destination is not on the list.
    #[error("{0} is not among the listed destinations")]
    Denied(SocketAddr),
    /// Not a destination, or too long.
    #[error("{0}")]
    Invalid(String),
    /// The network does not take it.
    #[error("{destination}: {source}")]
    Unreachable {
        /// Where it was to go.
        destination: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// The destinations of one plugin, and the sockets to reach them.
#[derive(Debug, Default)]
pub struct Datagrams {
    allowed: Vec<Destination>,
    v4: OnceLock<UdpSocket>,
    v6: OnceLock<UdpSocket>,
}

impl Datagrams {
    /// For these destinations. No socket is opened yet.
    #[must_use]
    pub fn new(allowed: Vec<Destination>) -> Self {
        Self { allowed, ..Self::default() }
    }

    /// Send one datagram to `address:port`. That it was sent does not say that it arrived.
    ///
    /// # Errors
    /// `Denied`; `Invalid` for a text that is no address with a port and for more than [`MOST`] bytes; `Unreachable`, also for
    /// what an earlier datagram met, where the system tells of that with the next one.
    pub fn send(&self, destination: &str, payload: &[u8]) -> Result<(), SendError> {
        let parsed: Result<SocketAddr, _> = destination.parse();
        let to = parsed.map_err(|_| SendError::Invalid(format!("{destination:?} is no address with a port")))?;
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        if payload.len() > MOST {
            return Err(SendError::Invalid(format!("a datagram has at most {MOST} bytes")));
        }
        if to.port() == 0 || !self.allowed.iter().any(|one| one.covers(to)) {
            return Err(SendError::Denied(to));
        }
        let sent = self.socket(to).and_then(|socket| socket.send_to(payload, to));
        sent.map(drop).map_err(|source| SendError::Unreachable { destination: to, source })
    }

    fn socket(&self, to: SocketAddr) -> io::Result<&UdpSocket> {
        let (cell, any): (_, IpAddr) = match to {
            SocketAddr::V4(_) => (&self.v4, Ipv4Addr::UNSPECIFIED.into()),
            SocketAddr::V6(_) => (&self.v6, Ipv6Addr::UNSPECIFIED.into()),
        };
        if let Some(socket) = cell.get() {
            return Ok(socket);
        }
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        // Of two that come at once, one keeps its socket.
        Ok(cell.get_or_init(|| socket))
    }
}

impl Destination {
    /// Whether this line lets a datagram go there.
    #[must_use]
    pub fn covers(&self, to: SocketAddr) -> bool {
        let address = to.ip().to_canonical();
        let port = self.port.is_none_or(|port| port == to.port());
        let exact = self.port.is_some() && self.prefix == width(self.address);
        port && self.contains(address) && (exact || !is_local(address)) && !is_many(address)
    }

    fn contains(&self, address: IpAddr) -> bool {
        let differing = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.prefix)
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let wrong = |reason| DestinationError { text: text.to_owned(), reason };
        let (host, port) = text.rsplit_once(':').ok_or(wrong("the port is missing"))?;
        let port = match port {
            "*" => None,
            port => Some(port.parse().ok().filter(|port| *port != 0).ok_or(wrong("the port is 1 to 65535, or *"))?),
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.split_once(']'));
        let (address, rest) = match (bracketed, host.split_once('/')) {
            (Some((address, rest)), _) => {
                (address.parse().map(IpAddr::V6), rest.strip_prefix('/').or(rest.is_empty().then_some("")))
            }
            (None, Some((address, rest))) => {
                (address.parse().map(IpAddr::V4), Some(rest).filter(|rest| !rest.is_empty()))
            }
            (None, None) => (host.parse().map(IpAddr::V4), Some("")),
        };
        let address = address.map_err(|_| wrong("an address is needed, IPv6 in brackets, and no name"))?;
        if address.to_canonical() != address {
            return Err(wrong("the IPv4 address in it is what is meant"));
        }
        let prefix = match rest.ok_or(wrong("the length of the prefix is missing"))? {
            "" => width(address),
            rest => {
                rest.parse().ok().filter(|prefix| *prefix <= width(address)).ok_or(wrong("the prefix is too long"))?
            }
        };
        if prefix == width(address) && is_many(address) {
            return Err(wrong("multicast and broadcast cannot be reached"));
        }
        Ok(Self { address, prefix, port })
    }
}

impl TryFrom<String> for Destination {
    type Error = DestinationError;

    fn try_from(text: String) -> Result<Self, DestinationError> {
        text.parse()
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Addresses that mean this machine or this wire.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.octets().starts_with(&[0]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// Addresses that mean more than one machine.
fn is_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests;
