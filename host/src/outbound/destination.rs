//! A line of the operator: where connections may go.
//!
//! Owns the grammar, `SCHEME://HOST[:PORT][ at RANGE,…]`, and what a line admits. A line is asked two things: whether it
//! speaks of a URL ([`Destination::names`]), and whether it lets the address pass that the URL's host turned out
//! to be ([`Destination::reaches`]).
//!
//! * HOST is a name, `*.name` for all names below it, `*` for any host, an address, or a range of addresses
//!   (`10.0.0.0/24`, `[2001:db8::]/32`), which is for URLs with an address in them.
//! * PORT is a number or `*`; without it, the one of the scheme.
//! * Without `at`, a name has to resolve to public addresses. With it, to addresses in one of the ranges.
//!
//! Private addresses are reached by a range that is wholly private; loopback, link-local and metadata addresses by
//! exactly that address and one port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;
use url::Host;

use super::address::{Class, Range, class};
use super::target::{Scheme, Target};

/// Where connections may go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Destination {
    text: String,
    scheme: Scheme,
    host: Pattern,
    /// None: any.
    port: Option<u16>,
    at: Vec<Range>,
    /// Whatever the address is.
    anywhere: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Any,
    Name(String),
    /// Begins with a dot.
    Below(String),
    Range(Range),
}

/// Why a line cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no destination: {reason}; write for example https://api.example.org or https://10.0.0.5:8443")]
pub struct DestinationError {
    text: String,
    reason: &'static str,
}

impl Destination {
    /// The server of a URL that the operator wrote for the host itself, at whatever address it is.
    pub(crate) fn of_host(target: &Target) -> Self {
        let origin = target.origin();
        let host = match &origin.host {
            Host::Domain(name) => Pattern::Name(name.clone()),
            Host::Ipv4(address) => Pattern::Range(Range::one((*address).into())),
            Host::Ipv6(address) => Pattern::Range(Range::one((*address).into())),
        };
        let (text, scheme, port) = (origin.to_string(), origin.scheme, Some(origin.port));
        Self { text, scheme, host, port, at: Vec::new(), anywhere: true }
    }

    /// Whether a URL is what this line speaks of.
    #[must_use]
    pub fn names(&self, target: &Target) -> bool {
        let origin = target.origin();
        let host = match (&self.host, &origin.host) {
            (Pattern::Any, _) => true,
            (Pattern::Name(name), Host::Domain(host)) => name == host,
            (Pattern::Below(suffix), Host::Domain(host)) => {
                host.len() > suffix.len() && host.ends_with(suffix.as_str())
            }
            (Pattern::Range(range), _) => target.literal().is_some_and(|address| range.contains(address)),
            _ => false,
        };
        host && self.scheme == origin.scheme && self.port.is_none_or(|port| port == origin.port)
    }

    /// Whether this line, which names the URL, lets a connection to this address pass.
    #[must_use]
    pub fn reaches(&self, address: IpAddr) -> bool {
        if self.anywhere {
            return class(address) != Class::Never;
        }
        let fixed = self.port.is_some();
        match (&self.host, self.at.as_slice()) {
            (Pattern::Range(range), _) => range.reaches(address, fixed),
            (_, []) => class(address) == Class::Public,
            (_, at) => at.iter().any(|range| range.reaches(address, fixed)),
        }
    }

    /// Whether it says at which addresses.
    pub(super) fn has_addresses(&self) -> bool {
        !self.at.is_empty()
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        parse(text).map_err(|reason| DestinationError { text: text.to_owned(), reason })
    }
}

impl TryFrom<String> for Destination {
    type Error = DestinationError;

    fn try_from(text: String) -> Result<Self, DestinationError> {
        text.parse()
    }
}

fn parse(text: &str) -> Result<Destination, &'static str> {
    let (place, at) = text.split_once(" at ").map_or((text, None), |(place, at)| (place, Some(at)));
    let (scheme, authority) = place.split_once("://").ok_or("the scheme is missing")?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err("the scheme is http or https"),
    };
    if authority.contains(['@', '?', '#']) || authority.ends_with('/') {
        return Err("it has no user, path or query");
    }
    let (host, port) = split_port(authority)?;
    let port = match port {
        None => Some(scheme.port()),
        Some("*") => None,
        Some(port) => Some(number(port).ok_or("the port is 1 to 65535, or *")?),
    };
    let host = pattern(host)?;
    let at = match at {
        None => Vec::new(),
        Some(_) if matches!(host, Pattern::Range(_)) => return Err("an address needs no `at`"),
        Some(at) => at.split(',').map(|range| range.trim().parse()).collect::<Result<_, _>>()?,
    };
    Ok(Destination { text: text.to_owned(), scheme, host, port, at, anywhere: false })
}

/// Host and port; the colons of IPv6 are in brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    let names_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (name, rest) = authority.split_at(names_end);
    match rest.split_once(':') {
        None => Ok((authority, None)),
        Some((_, port)) if port.contains(':') => Err("IPv6 addresses are written in brackets"),
        Some((host, port)) => Ok((authority.get(..name.len() + host.len()).unwrap_or_default(), Some(port))),
    }
}

fn number(port: &str) -> Option<u16> {
    let plain = port.bytes().all(|digit| digit.is_ascii_digit());
    port.parse().ok().filter(|port| plain && *port != 0)
}

fn pattern(host: &str) -> Result<Pattern, &'static str> {
    if host == "*" {
        return Ok(Pattern::Any);
    }
    if let Some(name) = host.strip_prefix("*.") {
        return Ok(Pattern::Below(format!(".{}", check_name(name)?)));
    }
    if host.starts_with('[') || host.contains('/') || ends_in_a_number(host) {
        return Ok(Pattern::Range(host.parse()?));
    }
    check_name(host).map(Pattern::Name)
}

/// A name as DNS has it, in lower case.
pub(super) fn check_name(name: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    if name.len() > 253 || !name.split('.').all(label) || ends_in_a_number(name) {
        return Err("the host is a name of letters, digits and -, without a dot at its end, or an address");
    }
    Ok(name.to_ascii_lowercase())
}

/// Whether it would be read as an IPv4 address, in one of the many ways to write them.
fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits(last) || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
