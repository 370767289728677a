//! Outbound HTTP of one plugin: HTTP/1.1 and 2, to the destinations that the operator listed.
//!
//! Owns a request from the check of its URL to the last byte of the answer. Does not own secrets: identities and
//! credentials are handed in ([`Identity`], [`Credential`]). Nothing is shared between plugins.
//!
//! # The way of a request
//!
//! URL ([`Target`]), credential and head are checked; the request waits for its turn ([`pool`]); a kept connection is
//! used, or the addresses of the name are looked up and checked ([`resolve`]), one of them is connected to, and
//! the server's certificate is judged ([`trust`]); only then is anything sent. A kept connection that turns out to
//! be closed is replaced by a new one, if nothing of the request was sent, or it may be sent twice (RFC 9110, 9.2.2).
//!
//! # Invariants
//!
//! Where a connection goes is checked by scheme, host, port *and address* ([`Destination`]), and the address that was
//! checked is the one connected to. A credential goes to its own destinations only. A redirection is not followed
//! unless the request asks for it; then it is checked as a request of its own, and what belonged to the first origin
//! (credential, identity, the plugin's own fields but a few harmless ones) stays there. It never leads from `https` to
//! `http`.
//! Proxies of the environment are not used; cookies are not kept; bodies are not decompressed.

mod address;
mod body;
mod config;
mod connection;
mod credential;
mod destination;
mod error;
mod identity;
mod pool;
mod request;
mod resolve;
mod target;
mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, header};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use body::Body;
pub use config::{OutboundConfig, OutboundLimits};
pub use credential::{Credential, CredentialError, Form};
pub use destination::{Destination, DestinationError};
pub use error::{OutboundError, Phase};
pub use identity::{Fingerprint, Identity, IdentityError};
pub use request::{Answer, Deadlines, Fetched, Request};
pub use resolve::{Resolve, SystemResolver};
pub use target::{Origin, Scheme, Target};
pub use trust::Trust;

use body::Lease;
use connection::{Connection, Failed, within};
use pool::{Key, Permit, Pool};
use request::Checked;

/// Longest file of authorities, in bytes.
const MAX_CA: u64 = 1024 * 1024;

/// The outbound client of one plugin. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    inner: Arc<Inner>,
}

struct Inner {
    allow: Vec<Destination>,
    limits: OutboundLimits,
    /// Sockets of the host that no plugin may reach.
    forbidden: Vec<SocketAddr>,
    resolver: Arc<dyn Resolve>,
    /// The operator's authorities.
    beside: Vec<CertificateDer<'static>>,
    /// With those of the system; read when first needed.
    roots: OnceCell<Arc<RootCertStore>>,
    pool: Arc<Pool>,
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ca {}: {reason}", .path.display())]
pub struct OpenError {
    path: PathBuf,
    reason: String,
}

/// A deadline of the request, or the operator's, whichever is shorter.
fn shorter(own: Option<Duration>, most: Duration) -> Duration {
    own.map_or(most, |own| own.min(most))
}

impl Outbound {
    /// For these destinations. `forbidden` are the host's own sockets that are reached by no line, the admin listener's
    /// above all. Reads the file of authorities. Connects to nobody.
    ///
    /// # Errors
    /// If that file is of no use.
    pub fn open(
        config: &OutboundConfig,
        forbidden: Vec<SocketAddr>,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, OpenError> {
        let beside = match &config.ca {
            None => Vec::new(),
            Some(path) => {
                let wrong = |reason| OpenError { path: path.clone(), reason };
                let length = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
                if length > MAX_CA {
                    return Err(wrong(format!("more than {MAX_CA} bytes")));
                }
                let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
                trust::certificates(&pem).map_err(wrong)?
            }
        };
        let pool = Arc::new(Pool::new(&config.limits));
        let (allow, limits) = (config.allow.clone(), config.limits.clone());
        let inner = Inner { allow, limits, forbidden, resolver, beside, roots: OnceCell::new(), pool };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Send a request; the body of the answer is read by the caller, up to `limits.answer_piece` bytes.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn send(&self, request: &Request) -> Result<Answer, OutboundError> {
        self.inner.send(request, self.inner.limits.answer_piece.get()).await
    }

    /// Send a request and read the answer into memory, up to `limits.answer_body` bytes.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn fetch(&self, request: &Request) -> Result<Fetched, OutboundError> {
        let most = self.inner.limits.answer_body.get();
        let Answer { status, headers, url, body } = self.inner.send(request, most).await?;
        Ok(Fetched { status, headers, url, body: body.collect(most).await? })
    }
}

/// What one request needs on its way, redirections included.
struct Course<'a> {
    request: &'a Request,
    whole: Instant,
    limit: u64,
}

impl Inner {
    async fn send(&self, request: &Request, limit: u64) -> Result<Answer, OutboundError> {
        let mut checked = self.check(request)?;
        let mut target = Target::parse(&request.url)?;
        let whole = Instant::now() + shorter(request.deadlines.whole, self.limits.whole.get());
        let limit = request.limit.map_or(limit, |own| own.min(limit));
        let course = Course { request, whole, limit };
        let mut left = request.redirects.min(self.limits.redirects);
        // Once it was left, coming back does not count: where to is then another's word.
        let mut at_home = true;
        loop {
            let answer = self.exchange(&course, &target, &checked, at_home).await?;
            let location = answer.headers.get(header::LOCATION).filter(|_| is_redirection(answer.status));
            let Some(location) = location.filter(|_| request.redirects > 0) else { return Ok(answer) };
            if left == 0 {
                return Err(OutboundError::Protocol("the answer redirects once more than is followed".into()));
            }
            left -= 1;
            let location = std::str::from_utf8(location.as_bytes());
            let location = location.map_err(|_| OutboundError::Protocol("the redirection is not text".into()))?;
            let next = target.join(location)?;
            if target.origin().scheme == Scheme::Https && next.origin().scheme == Scheme::Http {
                return Err(OutboundError::Denied(format!("{} redirects from https to http", target.origin())));
            }
            let same_origin = next.origin() == target.origin();
            at_home &= same_origin;
            checked.redirect(answer.status, same_origin);
            target = next;
        }
    }

    fn check(&self, request: &Request) -> Result<Checked, OutboundError> {
        if request.body.len() as u64 > self.limits.request_body.get() {
            let most = self.limits.request_body;
            return Err(OutboundError::Invalid(format!("the body of a request has at most {most}")));
        }
        request.trust.check()?;
        Checked::new(request)
    }

    /// One request and its answer, without following it anywhere.
    async fn exchange(
        &self,
        course: &Course<'_>,
        target: &Target,
        checked: &Checked,
        at_home: bool,
    ) -> Result<Answer, OutboundError> {
        let request = course.request;
        let identity = request.identity.as_ref().filter(|_| at_home);
        let plain = target.origin().scheme == Scheme::Http;
        if plain && (identity.is_some() || request.trust != Trust::System) {
            return Err(OutboundError::Invalid("an identity, authorities and pins need https".into()));
        }
        let mut checked = checked.clone();
        if let Some(credential) = request.credential.as_ref().filter(|_| at_home) {
            credential.attach(target, &mut checked)?;
        }
        if !self.allow.iter().any(|line| line.names(target)) {
            return Err(OutboundError::Denied(format!("{} is not among the listed destinations", target.origin())));
        }
        let key = Key {
            origin: target.origin().clone(),
            identity: identity.map(Identity::fingerprint),
            trust: if plain { Trust::System.id() } else { request.trust.id() },
        };
        let wait = within(Phase::Wait, self.limits.wait.get(), course.whole, self.pool.permit(&key.origin)).await?;
        // The semaphores are never closed.
        let permit = wait.ok_or(OutboundError::Timeout(Phase::Wait))?;
        let (response, connection) = self.attempt(course, target, &key, &checked, identity).await?;
        self.answer(course, target, key, connection, permit, response)
    }

    fn answer(
        &self,
        course: &Course<'_>,
        target: &Target,
        key: Key,
        connection: Connection,
        permit: Permit,
        response: http::Response<hyper::body::Incoming>,
    ) -> Result<Answer, OutboundError> {
        let (head, incoming) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(OutboundError::Protocol("the server changes the protocol without having been asked".into()));
        }
        let idle = shorter(course.request.deadlines.idle, self.limits.idle.get());
        let lease = Lease { pool: Arc::clone(&self.pool), key, connection, permit };
        let body = Body::new(incoming, lease, idle, course.whole, course.limit);
        match body.announced() {
            Some(announced) if announced > course.limit => Err(OutboundError::TooLarge { limit: course.limit }),
            _ => Ok(Answer { status: head.status, headers: head.headers, url: target.as_str().to_owned(), body }),
        }
    }

    /// Over a kept connection, or a new one.
    async fn attempt(
        &self,
        course: &Course<'_>,
        target: &Target,
        key: &Key,
        checked: &Checked,
        identity: Option<&Identity>,
    ) -> Result<(http::Response<hyper::body::Incoming>, Connection), OutboundError> {
        let first_byte = shorter(course.request.deadlines.first_byte, self.limits.first_byte.get());
        let mut kept = self.pool.take(key);
        loop {
            let reused = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.connect(course, target, key, identity).await?,
            };
            let sent = within(Phase::FirstByte, first_byte, course.whole, connection.send(target, checked)).await;
            let failed = match sent {
                Ok(Ok(response)) => return Ok((response, connection)),
                Ok(Err(failed)) => failed,
                // It may never answer again.
                Err(error) => Failed { error, unsent: Some(false) },
            };
            self.pool.forget(&connection);
            if !(reused && failed.unsent.unwrap_or_else(|| checked.is_idempotent())) {
                return Err(failed.error);
            }
        }
    }

    async fn connect(
        &self,
        course: &Course<'_>,
        target: &Target,
        key: &Key,
        identity: Option<&Identity>,
    ) -> Result<Connection, OutboundError> {
        let request = course.request;
        let limit = shorter(request.deadlines.connect, self.limits.connect.get());
        let until = (Instant::now() + limit).min(course.whole);
        let found = resolve::addresses(target, &self.allow, &self.forbidden, &*self.resolver);
        let found = within(Phase::Resolve, limit, course.whole, found).await??;
        let stream = connection::tcp(&found, until).await.map_err(|error| match error {
            OutboundError::Timeout(_) if until == course.whole => OutboundError::Timeout(Phase::Whole),
            error => error,
        })?;
        let handshake = async {
            if target.origin().scheme == Scheme::Http {
                return Connection::open(stream, false).await;
            }
            let settings = request.trust.settings(identity, self.roots(&request.trust).await)?;
            connection::tls(stream, target, settings).await
        };
        let limit = shorter(request.deadlines.tls, self.limits.tls.get());
        let connection = within(Phase::Tls, limit, course.whole, handshake).await??;
        if connection.is_http2() {
            self.pool.put(key, connection.clone());
        }
        Ok(connection)
    }

    /// The authorities of the system, if they are what is trusted.
    async fn roots(&self, trust: &Trust) -> Arc<RootCertStore> {
        if *trust != Trust::System {
            return Arc::new(RootCertStore::empty());
        }
        let read = self.roots.get_or_init(|| async {
            let beside = self.beside.clone();
            let read = tokio::task::spawn_blocking(move || trust::system(&beside)).await;
            Arc::new(read.unwrap_or_else(|_| RootCertStore::empty()))
        });
        Arc::clone(read.await)
    }
}

fn is_redirection(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

#[cfg(test)]
mod tests;
