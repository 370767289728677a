//! `[[listener]]`: sockets, TLS and the limits of HTTP on them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::units::{Period, Size};

/// One socket to serve on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// What mounts call it. Default `default`, where plugins without mounts of their own are served.
    pub name: String,
    /// Default 127.0.0.1:8080.
    pub bind: Bind,
    /// Absent: plain HTTP.
    pub tls: Option<Tls>,
    /// Bounds on what clients may do.
    pub limits: HttpLimits,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            name: super::DEFAULT_LISTENER.to_owned(),
            bind: Bind::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)),
            tls: None,
            limits: HttpLimits::default(),
        }
    }
}

impl Listener {
    /// Whether strangers on the network can have their requests answered here. Not on loopback,
    /// not on a unix socket, and not where every client shows a certificate of the operator's CA.
    #[must_use]
    pub fn open_to_strangers(&self) -> bool {
        let local = match &self.bind {
            Bind::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Bind::Unix(_) => true,
        };
        let certified = self.tls.as_ref().is_some_and(|tls| tls.client_auth == ClientAuth::Required);
        !local && !certified
    }
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub enum Bind {
    /// `127.0.0.1:8080`, `[::]:443`; port 0 takes any free port.
    Tcp(SocketAddr),
    /// `unix:PATH`
    Unix(PathBuf),
}

impl TryFrom<String> for Bind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("the path is missing; write unix:PATH".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => SocketAddr::from_str(&text)
                .map(Self::Tcp)
                .map_err(|_| "not an address; write one such as 127.0.0.1:8080, [::]:443 or unix:PATH".to_owned()),
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `tls` of a listener. The files are PEM.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, the server's own certificate first.
    pub cert: PathBuf,
    /// Private key of the first certificate. Absent: it is in the file `cert` too.
    pub key: Option<PathBuf>,
    /// Default `none`.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Certificates of the authorities that sign clients; with `client_auth = "required"` only.
    pub client_ca: Option<PathBuf>,
    /// Default 1.2.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// What clients have to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    None,
    /// A certificate signed by `client_ca`, or the handshake fails.
    Required,
    /// Any certificate or none. The client proves that it has the key; who signed the certificate
    /// is not looked at, the plugin gets it and decides.
    OptionalAny,
}

/// The lowest protocol version taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3
    #[serde(rename = "1.3")]
    V1_3,
}

/// `limits` of a listener.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// Bytes of request line and header together. Default 64 KiB.
    pub max_header_bytes: Size,
    /// Header fields of a request. Default 100; some APIs carry attributes in headers and want more,
    /// which costs every request of the listener about a microsecond.
    pub max_headers: u32,
    /// From the first byte of a request to the end of its header; TLS handshakes have the same
    /// time. Default 10 s.
    pub header_timeout: Period,
    /// A kept-alive connection without a request. Default 75 s.
    pub idle_timeout: Period,
    /// A request body without a byte. Default 30 s.
    pub body_idle_timeout: Period,
    /// Bytes a second below which a request body is cut off; 0: no such limit. Default 512.
    pub body_min_rate: Size,
    /// An answer of which the client takes no byte. Default 30 s.
    pub write_idle_timeout: Period,
    /// Connections at once. Default 20,000.
    pub max_connections: u32,
    /// HTTP/2 requests at once on one connection. Default 128.
    pub max_streams: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_header_bytes: Size::kib(64),
            max_headers: 100,
            header_timeout: Period::secs(10),
            idle_timeout: Period::secs(75),
            body_idle_timeout: Period::secs(30),
            body_min_rate: Size::bytes(512),
            write_idle_timeout: Period::secs(30),
            max_connections: 20_000,
            max_streams: 128,
        }
    }
}
