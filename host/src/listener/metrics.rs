//! Counters of one listener, read by whoever renders metrics.
//!
//! Each is independent of the others: a reader may see one moved and another not yet.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one listener. All but `open` only grow.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections open now, TLS handshakes included.
    pub open: AtomicU64,
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Errors of `accept` itself, for example no file descriptor left.
    pub accept_errors: AtomicU64,
    /// TLS handshakes refused or broken off (timeouts are counted apart).
    pub handshakes_failed: AtomicU64,
    /// Requests answered here because they were malformed or over a limit. Those that hyper's
    /// parser refuses by itself are not counted.
    pub refused_requests: AtomicU64,
    /// TLS handshakes that took too long.
    pub handshake_timeouts: AtomicU64,
    /// Request heads that took too long.
    pub header_timeouts: AtomicU64,
    /// Connections closed because no request came. This is ordinary.
    pub idle_timeouts: AtomicU64,
    /// Request bodies that stood still.
    pub body_idle_timeouts: AtomicU64,
    /// Request bodies that came too slowly.
    pub body_rate_timeouts: AtomicU64,
    /// Answers that the client did not take.
    pub write_timeouts: AtomicU64,
    /// Connections dropped because the drain deadline passed.
    pub aborted: AtomicU64,
}

pub(super) fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts a connection as open while it lives.
pub(super) struct OpenGauge<'a>(&'a AtomicU64);

impl<'a> OpenGauge<'a> {
    pub(super) fn new(open: &'a AtomicU64) -> Self {
        increment(open);
        Self(open)
    }
}

impl Drop for OpenGauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
