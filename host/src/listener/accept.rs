//! Opening a listener, accepting, and stopping.
//!
//! Invariants: a connection is accepted only when there is room for it, so that the excess waits
//! in the kernel's backlog; the loop ends by shutdown alone; when [`Listening::stopped`] returns,
//! no connection is left.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::activity::Shared;
use super::connection::Site;
use super::drain::{Drain, Shutdown};
use super::metrics::increment;
use super::socket::Socket;
use super::tls::Tls;
use super::{Handler, ListenError, ListenerConfig, Metrics};

/// Wait after an `accept` that failed for want of something: it would fail again at once.
const BACKOFF: Duration = Duration::from_millis(100);
/// Least time between two log lines about `accept`.
const LOG_PERIOD: Duration = Duration::from_secs(30);
/// Time for aborted connections to notice.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// A listener that is open and accepts nothing yet: clients that connect wait. So an address
/// that is taken is found out before anything costly is started.
pub struct Bound {
    config: ListenerConfig,
    socket: Socket,
    tls: Option<Arc<Tls>>,
}

/// Opens the socket and reads the TLS files.
pub async fn bind(config: ListenerConfig) -> Result<Bound, ListenError> {
    config.check()?;
    let tls = match &config.tls {
        Some(tls) => Some(Arc::new(Tls::open(tls.clone(), config.name.as_str().into())?)),
        None => None,
    };
    let socket = Socket::open(&config.bind).await?;
    Ok(Bound { config, socket, tls })
}

impl Bound {
    /// The address really bound; `None` on a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.socket.local_address()
    }

    /// Starts accepting, until `shutdown`.
    pub fn serve<H: Handler>(self, handler: Arc<H>, shutdown: Shutdown) -> Listening {
        let Self { config, socket, tls } = self;
        let local_address = socket.local_address();
        let metrics = Arc::new(Metrics::default());
        let shared = Arc::new(Shared { limits: config.limits, metrics: Arc::clone(&metrics), drain: Drain::default() });
        let site = Arc::new(Site::new(handler, shared, config.name.as_str().into(), tls));
        let task = tokio::spawn(run(socket, site, shutdown));
        Listening { local_address, metrics, task }
    }
}

/// A listener at work. Dropping it does not stop it.
pub struct Listening {
    local_address: Option<SocketAddr>,
    metrics: Arc<Metrics>,
    task: JoinHandle<Drained>,
}

/// How a listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections still busy at the drain deadline, and dropped.
    pub aborted: usize,
}

impl Listening {
    /// The address really bound; `None` on a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }

    /// The listener's counters, which outlive it.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Waits for the shutdown and the drain that follows.
    pub async fn stopped(self) -> Drained {
        // It can only fail if the runtime is going down.
        self.task.await.unwrap_or(Drained { aborted: 0 })
    }
}

async fn run<H: Handler>(socket: Socket, site: Arc<Site<H>>, shutdown: Shutdown) -> Drained {
    let shared = Arc::clone(&site.shared);
    let capacity = shared.limits.max_connections;
    let slots = Arc::new(Semaphore::new(capacity));
    tokio::select! {
        biased;
        () = shutdown.token.cancelled() => {}
        () = accept_all(&socket, &site, &slots) => {}
    }
    drop(site);
    // A successor can bind from here on.
    drop(socket);
    shared.drain.draining.set();
    let all = u32::try_from(capacity).unwrap_or(u32::MAX);
    if timeout(shutdown.drain, slots.acquire_many(all)).await.is_ok() {
        return Drained { aborted: 0 };
    }
    let aborted = capacity - slots.available_permits();
    shared.drain.aborting.set();
    shared.metrics.aborted.fetch_add(aborted as u64, std::sync::atomic::Ordering::Relaxed);
    let _ = timeout(ABORT_GRACE, slots.acquire_many(all)).await;
    Drained { aborted }
}

/// Never ends, save by being dropped.
async fn accept_all<H: Handler>(socket: &Socket, site: &Arc<Site<H>>, slots: &Arc<Semaphore>) {
    let metrics = &site.shared.metrics;
    let mut complaint = Complaint::default();
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
            return;
        };
        match socket.accept().await {
            Ok((transport, peer)) => {
                increment(&metrics.accepted);
                let site = Arc::clone(site);
                tokio::spawn(async move {
                    site.serve(transport, peer).await;
                    drop(slot);
                });
            }
            Err(error) => {
                increment(&metrics.accept_errors);
                if !concerns_one_client(&error) {
                    if let Some(unsaid) = complaint.due(Instant::now()) {
                        tracing::error!(
                            listener = %site.listener,
                            unsaid,
                            "cannot accept connections: {error}; if file descriptors ran out, \
                             raise the limit (ulimit -n) or lower max_connections"
                        );
                    }
                    sleep(BACKOFF).await;
                }
            }
        }
    }
}

/// Errors of the connection that was to be accepted (accept(2)): the next may be fine at once.
pub(super) fn concerns_one_client(error: &io::Error) -> bool {
    const OF_THE_CLIENT: [Errno; 12] = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::AGAIN,
        Errno::NETDOWN,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::OPNOTSUPP,
        Errno::NETUNREACH,
    ];
    Errno::from_io_error(error).is_some_and(|errno| OF_THE_CLIENT.contains(&errno))
}

/// Keeps a lasting fault from filling the log.
#[derive(Default)]
pub(super) struct Complaint {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaint {
    /// If a line is due, how many errors went unsaid since the last one.
    pub(super) fn due(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < LOG_PERIOD) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}
