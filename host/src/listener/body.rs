//! Bodies on their way in and out.
//!
//! [`RequestBody`] bounds how long a handler waits for a client's bytes; `ResponseBody` keeps its
//! connection from being taken for idle and tells `streams` whose turn it is. Neither buffers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::activity::{InFlight, Live};
use super::metrics::increment;
use super::streams;
use super::timer::LazyTimer;

/// Why a request's body ended early. The answer's status is the handler's; the connection is
/// closed after it.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Nothing came for this long. Answer 408.
    #[error("the client sent nothing of the body for {0:?}")]
    Idle(Duration),
    /// It came more slowly than this many bytes per second. Answer 408.
    #[error("the client sent the body at less than {0} bytes per second")]
    TooSlow(u64),
    /// The client went away, or broke the framing (a bad chunk size, for example). Answer 400,
    /// though often nobody is left to read it.
    #[error("the body broke off: {0}")]
    Broken(#[source] hyper::Error),
}

/// A request's body. Frames are read from the client when polled, so not polling is the way to
/// slow a client down; the time in between does not count against the client.
///
/// With `Expect: 100-continue`, the first poll sends the 100.
pub struct RequestBody {
    /// `None` once given up.
    incoming: Option<Incoming>,
    /// `None` from the end on, and always for an empty body.
    lease: Option<InFlight<Arc<Live>>>,
    /// Made by the first wait.
    wait: Option<Box<Wait>>,
    received: u64,
}

#[derive(Default)]
struct Wait {
    timer: LazyTimer,
    since: Option<Instant>,
    /// Sum of the waits that ended.
    total: Duration,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, live: &Arc<Live>) -> Self {
        let lease = (!incoming.is_end_stream()).then(|| InFlight::body(Arc::clone(live)));
        Self { incoming: Some(incoming), lease, wait: None, received: 0 }
    }

    /// Ready with an error once the client has had its time.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let Some(lease) = &self.lease else {
            return Poll::Pending;
        };
        let limits = &lease.get().shared.limits;
        let metrics = &lease.get().shared.metrics;
        let wait = self.wait.get_or_insert_default();
        let since = *wait.since.get_or_insert_with(Instant::now);
        let mut patience = limits.body_idle_timeout;
        let mut slow = false;
        if limits.body_min_rate > 0 {
            // The time in which this many bytes were due, less what was spent.
            let earned = Duration::from_secs_f64(self.received as f64 / limits.body_min_rate as f64);
            let left = limits.body_rate_grace.saturating_add(earned).saturating_sub(wait.total);
            slow = left < patience;
            patience = patience.min(left);
        }
        ready!(wait.timer.poll_until(since + patience, cx));
        Poll::Ready(if slow {
            increment(&metrics.body_rate_timeouts);
            BodyError::TooSlow(limits.body_min_rate)
        } else {
            increment(&metrics.body_idle_timeouts);
            BodyError::Idle(limits.body_idle_timeout)
        })
    }

    fn give_up(&mut self, rest: Option<Incoming>) {
        if let Some(lease) = self.lease.take() {
            lease.get().activity.body_given_up(rest);
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(incoming) = this.incoming.as_mut().filter(|_| this.lease.is_some()) else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) else {
            let error = ready!(this.poll_limits(cx));
            this.give_up(None);
            return Poll::Ready(Some(Err(error)));
        };
        if let Some(wait) = &mut this.wait
            && let Some(since) = wait.since.take()
        {
            wait.total += since.elapsed();
        }
        match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.received = this.received.saturating_add(data.len() as u64);
                }
                if incoming.is_end_stream() {
                    this.lease = None;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                this.give_up(None);
                Poll::Ready(Some(Err(BodyError::Broken(error))))
            }
            None => {
                this.lease = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.incoming {
            Some(incoming) if self.lease.is_some() => incoming.size_hint(),
            _ => SizeHint::with_exact(0),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest = self.incoming.take();
        self.give_up(rest);
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBody").field("received", &self.received).finish_non_exhaustive()
    }
}

/// The body of an answer, and the mark that its request is still under way.
pub(super) struct ResponseBody<B, L: AsRef<Live>> {
    content: Content<B>,
    /// Most bytes of a frame passed on at once.
    step: usize,
    /// What is left of a larger frame.
    rest: Bytes,
    _in_flight: InFlight<L>,
}

pub(super) enum Content<B> {
    Handler(B),
    /// The listener's own words.
    Text(Option<Bytes>),
}

impl<B, L: AsRef<Live>> ResponseBody<B, L> {
    pub(super) fn new(content: Content<B>, step: usize, in_flight: InFlight<L>) -> Self {
        Self { content, step, rest: Bytes::new(), _in_flight: in_flight }
    }
}

impl<B, L> ResponseBody<B, L>
where
    B: Body<Data = Bytes> + Unpin,
    L: AsRef<Live>,
{
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.rest.is_empty() {
            let step = self.step.min(self.rest.len());
            return Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(step)))));
        }
        let frame = match &mut self.content {
            Content::Handler(body) => ready!(Pin::new(body).poll_frame(cx)),
            Content::Text(text) => text.take().map(|text| Ok(Frame::data(text))),
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) if frame.data_ref().is_some_and(|data| data.len() > self.step) => {
                self.rest = frame.into_data().unwrap_or_default();
                Some(Ok(Frame::data(self.rest.split_to(self.step))))
            }
            other => other,
        })
    }
}

impl<B, L> Body for ResponseBody<B, L>
where
    B: Body<Data = Bytes> + Unpin,
    L: AsRef<Live> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = self.poll_content(cx);
        streams::body_polled(matches!(frame, Poll::Ready(Some(Ok(_)))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
            && match &self.content {
                Content::Handler(body) => body.is_end_stream(),
                Content::Text(text) => text.is_none(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            // hyper asks before the first frame, when nothing is left over.
            Content::Handler(body) => body.size_hint(),
            Content::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
