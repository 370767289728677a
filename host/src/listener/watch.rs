//! Driving a connection while watching what it waits for.
//!
//! Owns the limits on idle connections and slow heads, and the step from serving to draining.
//! hyper's own header timer is not used: it would touch the runtime's wheel with every request,
//! and it knows no idle time. Invariant: a connection whose client is idle or too slow ends.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use tokio::time::Instant;

use super::activity::{Activity, Live};
use super::io::Io;
use super::metrics::increment;
use super::streams::Streams;
use super::timer::LazyTimer;

/// How long a client may take over an orderly close that we began.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// What hyper's two kinds of connection have in common.
pub(super) trait Protocol: Future<Output = Result<(), hyper::Error>> + Unpin {
    /// Heads are seen to arrive; on HTTP/2 other frames look the same from outside.
    const HEADS: bool;
    /// Finish what is under way, then close.
    fn finish(&mut self);
}

impl<S, B> Protocol for http1::Connection<Io, S>
where
    S: HttpService<Incoming, ResBody = B, Error = Infallible>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    const HEADS: bool = true;

    fn finish(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
}

impl<S, B> Protocol for http2::Connection<Io, S, Streams>
where
    S: HttpService<Incoming, ResBody = B, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    const HEADS: bool = false;

    fn finish(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
}

#[derive(PartialEq, Eq)]
pub(super) enum End {
    Closed,
    HeadTooSlow,
}

pub(super) async fn drive<P: Protocol>(connection: &mut P, live: &Live, mut watch: Watch) -> End {
    let mut draining = live.shared.drain.draining.wait();
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = Pin::new(&mut *connection).poll(cx) {
                if let Err(error) = result {
                    tracing::debug!(listener = %live.connection.listener, "connection: {error}");
                }
                return Poll::Ready(End::Closed);
            }
            // A head that has begun is still taken; its answer then says `Connection: close`.
            if !watch.ending && Pin::new(&mut draining).poll(cx).is_ready() && phase::<P>(&live.activity) != Phase::Head
            {
                watch.ending = true;
                connection.finish();
                continue;
            }
            let metrics = &live.shared.metrics;
            match ready!(watch.poll_expired::<P>(live, cx)) {
                Phase::Head => {
                    increment(&metrics.header_timeouts);
                    return Poll::Ready(End::HeadTooSlow);
                }
                _ if watch.ending => return Poll::Ready(End::Closed),
                _ => {
                    increment(&metrics.idle_timeouts);
                    watch.ending = true;
                    watch.since = Instant::now();
                    connection.finish();
                }
            }
        }
    })
    .await
}

/// Whom a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The handler, or a wait that has its own limit.
    Busy,
    /// The rest of a request's head.
    Head,
    /// The next request.
    Idle,
}

fn phase<P: Protocol>(activity: &Activity) -> Phase {
    if activity.is_busy() {
        Phase::Busy
    } else if P::HEADS && activity.has_head() {
        Phase::Head
    } else {
        Phase::Idle
    }
}

/// Sees that a connection does not stay too long in one phase.
pub(super) struct Watch {
    phase: Phase,
    since: Instant,
    begun: usize,
    /// The connection has been told to finish.
    ending: bool,
    timer: LazyTimer,
}

impl Watch {
    pub(super) fn new(phase: Phase, since: Instant) -> Self {
        Self { phase, since, begun: 0, ending: false, timer: LazyTimer::default() }
    }

    /// Ready with the phase that lasted too long: `Head` or `Idle`.
    fn poll_expired<P: Protocol>(&mut self, live: &Live, cx: &mut Context<'_>) -> Poll<Phase> {
        let limits = &live.shared.limits;
        loop {
            let phase = phase::<P>(&live.activity);
            let begun = live.activity.begun();
            if phase != self.phase || begun != self.begun {
                self.phase = phase;
                self.begun = begun;
                self.since = Instant::now();
            }
            let limit = match phase {
                Phase::Head => limits.header_timeout,
                Phase::Idle if self.ending => CLOSE_GRACE,
                Phase::Idle | Phase::Busy => limits.idle_timeout,
            };
            ready!(self.timer.poll_until(self.since + limit, cx));
            if phase != Phase::Busy {
                return Poll::Ready(phase);
            }
            // Nothing to hold against the client. But look again later: a body may end in
            // another task without waking this one.
            self.since = Instant::now();
        }
    }
}
