//! What a listener is told: where to bind, how to speak TLS, and every limit.
//!
//! Plain data. Invariant: a [`ListenerConfig`] that passed `check` holds no value that would make
//! the parts below fail or never end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::ListenError;

/// One listener.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Name in logs, metrics and [`super::Connection::listener`].
    pub name: String,
    /// Where to listen.
    pub bind: Bind,
    /// Speak TLS with these files; `None`: plain text.
    pub tls: Option<TlsConfig>,
    /// What clients may cost.
    pub limits: HttpLimits,
}

impl ListenerConfig {
    /// A plain-text listener with the default limits.
    pub fn new(name: impl Into<String>, bind: Bind) -> Self {
        Self { name: name.into(), bind, tls: None, limits: HttpLimits::default() }
    }

    /// Refuses values that cannot work.
    pub(super) fn check(&self) -> Result<(), ListenError> {
        let limits = &self.limits;
        let invalid = |reason| Err(ListenError::Invalid { listener: self.name.clone(), reason });
        if limits.max_connections == 0 || limits.max_connections > MOST_CONNECTIONS {
            return invalid("max_connections must be between 1 and 1048576");
        }
        if limits.max_headers == 0 || limits.max_headers > 4096 {
            return invalid("max_headers must be between 1 and 4096");
        }
        if limits.max_header_bytes < 1024 || limits.max_header_bytes > 16 << 20 {
            return invalid("max_header_bytes must be between 1 KiB and 16 MiB");
        }
        if limits.max_streams == 0 {
            return invalid("max_streams must be at least 1");
        }
        let waits = [
            limits.handshake_timeout,
            limits.header_timeout,
            limits.idle_timeout,
            limits.body_idle_timeout,
            limits.write_idle_timeout,
        ];
        if waits.iter().any(|wait| wait.is_zero() || *wait > LONGEST_WAIT) {
            return invalid("timeouts must be longer than zero and at most a day");
        }
        Ok(())
    }
}

/// Far below what the semaphore counts to, far above what one process can hold open.
const MOST_CONNECTIONS: usize = 1 << 20;
const _: () = assert!(MOST_CONNECTIONS <= Semaphore::MAX_PERMITS);
/// Keeps additions to the clock from overflowing.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// Address and port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix {
        /// At most 107 bytes: the kernel has room for no more.
        path: PathBuf,
        /// Permission bits of the socket file, set before anyone can connect; `None`: what the
        /// umask leaves.
        mode: Option<u32>,
    },
}

/// TLS for a listener. The files are PEM, and are read again when they change.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The certificate and its intermediates, leaf first.
    pub cert: PathBuf,
    /// Its private key, unencrypted: PKCS#8, PKCS#1 or SEC1. `None`: it is in the file `cert`, and
    /// one rename replaces both.
    pub key: Option<PathBuf>,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
    /// The authorities whose client certificates [`ClientAuth::Required`] accepts.
    pub client_ca: Option<PathBuf>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
    /// The folder of the plugins' directories. Below it no link is followed: a plugin that writes a certificate must not
    /// have the listener use another file that only the host may read.
    pub plugins: Option<PathBuf>,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They must, and it must chain to `client_ca`.
    Required,
    /// They may, and any X.509 v3 certificate will do, self-signed or expired: possession of its
    /// key is proved, nothing else. Who it belongs to is for the handler to decide.
    OptionalAny,
}

/// A TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// What clients may cost. The defaults suit a server that faces unknown clients over the
/// internet.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Bytes of a request's line and header fields; more is a 431. Default 64 KiB: object stores
    /// carry metadata in header fields, and 64 KiB is also the buffer that makes uploads fast.
    pub max_header_bytes: usize,
    /// Number of header fields in a request; more is a 431. Default 100. APIs whose clients
    /// send one field for each attribute want more; on HTTP/1.1 that costs each request
    /// about a microsecond, used or not.
    pub max_headers: usize,
    /// Time for a TLS handshake. Default 10 s.
    pub handshake_timeout: Duration,
    /// Time from the first byte of a request's head to its last, and from the connection to the
    /// end of its first head. Default 10 s: a head fits few packets, so more is a slow-header
    /// attack or a dead link.
    pub header_timeout: Duration,
    /// How long a connection may be idle between requests. Default 75 s: longer than the 60 s
    /// after which common load balancers give up theirs, so that they do not send a request into
    /// a connection that closes.
    pub idle_timeout: Duration,
    /// How long a body may pause while the handler waits for it. Default 30 s.
    pub body_idle_timeout: Duration,
    /// Bytes per second a body must make, counted over the time the handler waited for the
    /// client. 0: no such limit. Default 512, below any working link.
    pub body_min_rate: u64,
    /// Waiting time that `body_min_rate` does not count. Default 20 s.
    pub body_rate_grace: Duration,
    /// How long an answer may wait for the client to take a byte of it. Default 30 s.
    pub write_idle_timeout: Duration,
    /// Connections open at once; further ones wait in the kernel's backlog. Default 16,384; an
    /// idle one costs about 20 KiB. The process needs as many file descriptors (`ulimit -n`).
    pub max_connections: usize,
    /// HTTP/2 requests under way at once on one connection. Default 128; RFC 9113 asks for at
    /// least 100.
    pub max_streams: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_header_bytes: 64 * 1024,
            max_headers: 100,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_idle_timeout: Duration::from_secs(30),
            body_min_rate: 512,
            body_rate_grace: Duration::from_secs(20),
            write_idle_timeout: Duration::from_secs(30),
            max_connections: 16_384,
            max_streams: 128,
        }
    }
}
