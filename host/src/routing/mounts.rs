//! Where plugins are served: listener, host name and path prefix to a mount.
//!
//! Owns the forms of prefixes and host names and the order in which mounts are tried: those for
//! the request's host before those for any host, among them the longest prefix first. A prefix is
//! compared with the raw path, segment by segment, nothing decoded.
//!
//! Does not own what is mounted: `T` is the caller's.
//!
//! Invariant: immutable once built, and no two mounts could claim the same request. A look-up
//! allocates nothing.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::path;

/// One place where something is served.
#[derive(Clone, Debug)]
pub struct Mount<T> {
    /// Name of the listener.
    pub listener: String,
    /// Serve only requests for this host, in any case and without port; none: for every host.
    pub host: Option<String>,
    /// Empty for the root, else `/name` or `/name/more`, without a final slash.
    pub prefix: String,
    /// Whose mount it is, for messages.
    pub owner: String,
    /// What is served.
    pub target: T,
}

/// Why a set of mounts is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// Two at one place.
    #[error("'{first}' and '{second}' are both mounted at {place}; move one of them")]
    Clash {
        /// Owner of the mount that came first.
        first: String,
        /// Owner of the other.
        second: String,
        /// Listener, host and path.
        place: String,
    },
    /// Not a prefix.
    #[error(
        "'{owner}': mount path {prefix:?} is of the wrong form; write \"/\" or \"/name\", with \
         segments that are neither empty nor '.' nor '..', escaped as in a URL"
    )]
    Prefix {
        /// Owner of the mount.
        owner: String,
        /// As given.
        prefix: String,
    },
    /// Not a host name.
    #[error("'{owner}': mount host {host:?} is no host name; write it without scheme and port")]
    Host {
        /// Owner of the mount.
        owner: String,
        /// As given.
        host: String,
    },
}

/// All mounts.
#[derive(Clone, Debug)]
pub struct Routes<T> {
    listeners: HashMap<String, Hosts<T>>,
}

#[derive(Clone, Debug)]
struct Hosts<T> {
    /// Sorted by the name in lower case.
    named: Vec<(String, Vec<Mount<T>>)>,
    any: Vec<Mount<T>>,
}

impl<T> Default for Routes<T> {
    /// Nothing mounted.
    fn default() -> Self {
        Self { listeners: HashMap::new() }
    }
}

impl<T> Routes<T> {
    /// Checks the mounts and makes the table. A final slash of a prefix is taken off, a host name
    /// is put into lower case.
    ///
    /// # Errors
    /// The first mount that is of a wrong form or clashes with an earlier one.
    pub fn build(mounts: impl IntoIterator<Item = Mount<T>>) -> Result<Self, MountError> {
        let mut places: HashMap<String, BTreeMap<Option<String>, Vec<Mount<T>>>> = HashMap::new();
        for mut mount in mounts {
            normalize(&mut mount)?;
            let hosts = places.entry(mount.listener.clone()).or_default();
            add(hosts.entry(mount.host.clone()).or_default(), mount)?;
        }
        let listeners = places.into_iter().map(|(listener, hosts)| (listener, Hosts::new(hosts)));
        Ok(Self { listeners: listeners.collect() })
    }

    /// The mount for a request: listener name, `Host` or `:authority` as sent, raw path.
    ///
    /// Gives the mount, the path below it (always with a slash at its start: for `/name` without
    /// one it is `/`), and the prefix that was taken off.
    #[must_use]
    pub fn resolve<'a>(
        &'a self,
        listener: &str,
        authority: &str,
        raw_path: &'a str,
    ) -> Option<(&'a Mount<T>, &'a str, &'a str)> {
        let hosts = self.listeners.get(listener)?;
        let here = hosts.of(host_name(authority)).and_then(|mounts| first_match(mounts, raw_path));
        here.or_else(|| first_match(&hosts.any, raw_path))
    }

    /// Every mount, in no particular order.
    pub fn mounts(&self) -> impl Iterator<Item = &Mount<T>> {
        self.listeners.values().flat_map(|hosts| hosts.named.iter().flat_map(|(_, mounts)| mounts).chain(&hosts.any))
    }
}

impl<T> Hosts<T> {
    fn new(mut by_host: BTreeMap<Option<String>, Vec<Mount<T>>>) -> Self {
        let any = by_host.remove(&None).unwrap_or_default();
        let named = by_host.into_iter().filter_map(|(host, mounts)| Some((host?, mounts)));
        Self { named: named.collect(), any }
    }

    fn of(&self, host: &str) -> Option<&[Mount<T>]> {
        let at = self.named.binary_search_by(|(name, _)| compare_ignoring_case(name, host)).ok()?;
        self.named.get(at).map(|(_, mounts)| mounts.as_slice())
    }
}

/// Puts a mount among those for the same listener and host, behind longer prefixes.
fn add<T>(mounts: &mut Vec<Mount<T>>, mount: Mount<T>) -> Result<(), MountError> {
    if let Some(other) = mounts.iter().find(|other| other.prefix == mount.prefix) {
        return Err(MountError::Clash {
            first: other.owner.clone(),
            second: mount.owner.clone(),
            place: mount.to_string(),
        });
    }
    let at = mounts.partition_point(|other| other.prefix.len() >= mount.prefix.len());
    mounts.insert(at, mount);
    Ok(())
}

impl<T> fmt::Display for Mount<T> {
    /// The place in words: path, host if any, listener.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.prefix.is_empty() { "/" } else { &self.prefix };
        match &self.host {
            Some(host) => write!(f, "path '{path}' of host '{host}'")?,
            None => write!(f, "path '{path}'")?,
        }
        write!(f, " on listener '{}'", self.listener)
    }
}

/// Longer prefixes come first in the list.
fn first_match<'a, T>(mounts: &'a [Mount<T>], raw_path: &'a str) -> Option<(&'a Mount<T>, &'a str, &'a str)> {
    mounts.iter().find_map(|mount| match raw_path.strip_prefix(&*mount.prefix)? {
        "" => Some((mount, "/", &*mount.prefix)),
        // A prefix ends only where a segment does.
        below if below.starts_with('/') => Some((mount, below, &*mount.prefix)),
        _ => None,
    })
}

/// The host of an authority: without the port. A literal IPv6 address keeps its brackets.
#[must_use]
pub fn host_name(authority: &str) -> &str {
    let end =
        if authority.starts_with('[') { authority.find(']').map(|bracket| bracket + 1) } else { authority.find(':') };
    end.and_then(|end| authority.get(..end)).unwrap_or(authority)
}

fn compare_ignoring_case(a: &str, b: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

fn normalize<T>(mount: &mut Mount<T>) -> Result<(), MountError> {
    if mount.prefix.ends_with('/') {
        mount.prefix.pop();
    }
    if !is_prefix(&mount.prefix) {
        return Err(MountError::Prefix { owner: mount.owner.clone(), prefix: mount.prefix.clone() });
    }
    if let Some(host) = &mut mount.host {
        if !is_host_name(host) {
            return Err(MountError::Host { owner: mount.owner.clone(), host: host.clone() });
        }
        host.make_ascii_lowercase();
    }
    Ok(())
}

fn is_prefix(prefix: &str) -> bool {
    let Some(segments) = prefix.strip_prefix('/') else {
        return prefix.is_empty();
    };
    let fit = |c: char| c.is_ascii_graphic() && c != '?' && c != '#';
    prefix.chars().all(fit)
        && path::Path::parse(prefix).is_ok()
        && segments.split('/').all(|segment| path::fills_parameter(&path::decode(segment)))
}

fn is_host_name(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            !host.is_empty() && host.bytes().all(fit)
        }
    }
}
