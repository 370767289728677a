//! HTTP/2 streams whose client takes nothing.
//!
//! A slow HTTP/1.1 reader shows as a write that waits, which `io` bounds. An HTTP/2 client can
//! instead keep its connection alive and give one stream no window: no write waits then, the
//! stream's task sleeps until there is room. So each stream's task runs inside one that knows
//! whose turn it is, and drops the stream (a RST_STREAM) when the client's turn takes too long.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Instant;

use super::activity::Shared;
use super::metrics::increment;
use super::timer::LazyTimer;

thread_local! {
    /// What the body of the stream being polled did in this poll: nothing, yielded bytes (true)
    /// or had none (false). The value crosses from the body to the task around it within one
    /// poll, which no other task interrupts; hyper leaves no other way between the two.
    static YIELDED: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Most bytes of a frame that go to an HTTP/2 stream at once. A stream is seen to move only
/// between frames, so a smaller step tells a slow client from one that stands still.
pub(super) const STEP: usize = 64 * 1024;

/// Called by a body when polled: it has yielded bytes, which the client is to take, or has none.
pub(super) fn body_polled(yielded: bool) {
    YIELDED.set(Some(yielded));
}

/// Runs the streams of one connection.
#[derive(Clone)]
pub(super) struct Streams(pub(super) Arc<Shared>);

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut stream = pin!(stream);
            let mut timer = LazyTimer::default();
            // Since when the client has had its turn.
            let mut waiting: Option<Instant> = None;
            std::future::poll_fn(|cx| {
                YIELDED.set(None);
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                match YIELDED.take() {
                    Some(true) => waiting = Some(Instant::now()),
                    Some(false) => waiting = None,
                    None => {}
                }
                let Some(begun) = waiting else {
                    return Poll::Pending;
                };
                let expired = timer.poll_until(begun + shared.limits.write_idle_timeout, cx);
                if expired.is_ready() {
                    increment(&shared.metrics.write_timeouts);
                }
                expired
            })
            .await;
        });
    }
}
