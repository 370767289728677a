//! The URL of one request, read once.
//!
//! Owns the reading of URLs (as browsers do, by the WHATWG standard) and of redirections relative to them.
//! Invariant: what is checked, connected to and sent in the request all comes from the same parsed URL, never from the
//! text of the plugin.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use url::{Host, Url};

use super::destination::check_name;
use super::error::OutboundError;

/// Longest URL, in bytes.
pub const MAX_URL: usize = 8192;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The port of URLs that name none.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Scheme, host and port: what credentials and connections belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// A name in lower case, or an address that is not mapped.
    pub host: Host<String>,
    /// Never 0.
    pub port: u16,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.host)?;
        match self.port == self.scheme.port() {
            true => Ok(()),
            false => write!(f, ":{}", self.port),
        }
    }
}

/// Where one request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
    origin: Origin,
}

impl Target {
    /// Read an absolute `http` or `https` URL.
    ///
    /// # Errors
    /// `Invalid`, also for a URL with a user in it.
    pub fn parse(text: &str) -> Result<Self, OutboundError> {
        let url = checked(text).and_then(|text| Url::parse(text).map_err(|error| error.to_string()));
        url.and_then(Self::new).map_err(|reason| OutboundError::Invalid(format!("the URL is not usable: {reason}")))
    }

    /// Where a `Location` leads from here.
    pub(super) fn join(&self, location: &str) -> Result<Self, OutboundError> {
        let url = checked(location).and_then(|text| self.url.join(text).map_err(|error| error.to_string()));
        let wrong = |reason| OutboundError::Protocol(format!("the answer redirects to an unusable URL: {reason}"));
        url.and_then(Self::new).map_err(wrong)
    }

    fn new(mut url: Url) -> Result<Self, String> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(format!("the scheme is http or https, not {other}")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it has a user or password in it; use a credential".into());
        }
        let host = match url.host().ok_or("it has no host")? {
            Host::Domain(name) => Host::Domain(check_name(name)?),
            Host::Ipv4(address) => Host::Ipv4(address),
            Host::Ipv6(address) => match address.to_ipv4_mapped() {
                Some(address) => Host::Ipv4(address),
                None => Host::Ipv6(address),
            },
        };
        let port = url.port().unwrap_or(scheme.port());
        if port == 0 {
            return Err("port 0 cannot be connected to".into());
        }
        url.set_fragment(None);
        Ok(Self { url, origin: Origin { scheme, host, port } })
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The whole URL, without fragment.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The address, if the URL has one in place of a name.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        match self.origin.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// Host and port as they stand in a request.
    pub(super) fn authority(&self) -> &str {
        self.url.authority()
    }

    /// For HTTP/1.1: path and query. For HTTP/2: all of it.
    pub(super) fn uri(&self, absolute: bool) -> Result<Uri, OutboundError> {
        let text = match absolute {
            true => self.url.as_str(),
            false => &self.url[url::Position::BeforePath..],
        };
        text.parse().map_err(|error| OutboundError::Invalid(format!("the URL is not usable: {error}")))
    }
}

/// The parser takes blanks and control characters away; who sends them means something else.
fn checked(text: &str) -> Result<&str, String> {
    if text.len() > MAX_URL {
        return Err(format!("it has more than {MAX_URL} bytes"));
    }
    match text.chars().any(|c| c.is_control() || c == ' ' || c == '\\') {
        true => Err("it contains a blank, a backslash or a control character".into()),
        false => Ok(text),
    }
}
