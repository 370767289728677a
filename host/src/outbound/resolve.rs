//! From a URL to the addresses that may be connected to.
//!
//! Owns the asking of names and the check of every address against the operator's lines. Invariant: what comes out of
//! here passed the lines that name the URL, and it is what is connected to: no name is looked up twice for one
//! connection, so that a second answer cannot lead elsewhere.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::destination::Destination;
use super::error::OutboundError;
use super::target::Target;

/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;
/// Look-ups of one plugin at once. The system's resolver cannot be called back, so one that nobody waits for any more
/// still counts.
const LOOKUPS: usize = 8;

/// Who is asked for the addresses of a name.
pub trait Resolve: Send + Sync {
    /// All addresses, in the order to be tried.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver: `/etc/hosts`, DNS, and what else is set up there.
#[derive(Debug)]
pub struct SystemResolver(Arc<Semaphore>);

impl Default for SystemResolver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (name, permits) = (name.to_owned(), Arc::clone(&self.0));
        Box::pin(async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::spawn(async move {
                let found = tokio::net::lookup_host((name, 0)).await.map(|found| found.map(|one| one.ip()).collect());
                drop(permit);
                found
            });
            lookup.await?
        })
    }
}

/// The addresses of a target that may be connected to; at least one.
pub(super) async fn addresses(
    target: &Target,
    allow: &[Destination],
    forbidden: &[SocketAddr],
    resolver: &dyn Resolve,
) -> Result<Vec<SocketAddr>, OutboundError> {
    let origin = target.origin();
    let lines: Vec<&Destination> = allow.iter().filter(|line| line.names(target)).collect();
    if lines.is_empty() {
        return Err(OutboundError::Denied(format!("{origin} is not among the listed destinations")));
    }
    let found = match (target.literal(), &origin.host) {
        (None, url::Host::Domain(name)) => {
            let found = resolver.resolve(name).await;
            found.map_err(|error| OutboundError::Resolve(format!("{name} cannot be looked up: {error}")))?
        }
        (address, _) => address.into_iter().collect(),
    };
    if found.is_empty() {
        return Err(OutboundError::Resolve(format!("{origin} has no address")));
    }
    let found = found.into_iter().map(|address| SocketAddr::new(address.to_canonical(), origin.port));
    let allowed = found.filter(|to| lines.iter().any(|line| line.reaches(to.ip())) && !is_forbidden(*to, forbidden));
    let allowed: Vec<SocketAddr> = allowed.take(MAX_ADDRESSES).collect();
    match allowed.is_empty() {
        true => Err(OutboundError::Denied(format!("{origin} is at an address that is not listed for it"))),
        false => Ok(allowed),
    }
}

/// Whether it is one of the sockets that are never to be reached. One on all addresses of this machine is reached by
/// each of them.
fn is_forbidden(to: SocketAddr, forbidden: &[SocketAddr]) -> bool {
    forbidden.iter().any(|one| {
        let own = one.ip().to_canonical();
        one.port() == to.port() && (own == to.ip() || (own.is_unspecified() && is_this_machine(to.ip())))
    })
}

fn is_this_machine(address: IpAddr) -> bool {
    // An address that can be bound to is one of this machine.
    address.is_loopback() || std::net::UdpSocket::bind((address, 0)).is_ok()
}
