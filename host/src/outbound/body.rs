//! The body of an answer, as it comes.
//!
//! Owns its limit, its deadlines, and the giving back of the connection at its end. A reader that is slow does not
//! use up the idle time, which runs only while the server is waited for; but it uses up the time for the whole
//! request. Invariant: a body that ends without an error is whole.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection::Connection;
use super::error::{OutboundError, Phase};
use super::pool::{Key, Permit, Pool};

/// What a body holds while it is read.
pub(super) struct Lease {
    pub pool: Arc<Pool>,
    pub key: Key,
    pub connection: Connection,
    pub permit: Permit,
}

enum End {
    Whole,
    /// By the reader, or for its size.
    GivenUp,
    Broken,
}

/// The bytes of an answer's body. Dropped before its end, it closes the connection.
pub struct Body {
    incoming: Incoming,
    /// Gone at the end.
    lease: Option<Lease>,
    idle: Duration,
    whole: Instant,
    timer: Pin<Box<Sleep>>,
    /// Whether `timer` runs: the server is waited for.
    waiting: bool,
    limit: u64,
    seen: u64,
}

impl Body {
    pub(super) fn new(incoming: Incoming, lease: Lease, idle: Duration, whole: Instant, limit: u64) -> Self {
        let timer = Box::pin(sleep_until(whole));
        Self { incoming, lease: Some(lease), idle, whole, timer, waiting: false, limit, seen: 0 }
    }

    /// The number of bytes that the server announced.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// All of it, if it has at most that many bytes.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn collect(mut self, most: u64) -> Result<Bytes, OutboundError> {
        self.limit = self.limit.min(most);
        let mut all = BytesMut::new();
        while let Some(part) = self.next().await {
            all.extend_from_slice(&part?);
        }
        Ok(all.freeze())
    }

    fn next_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, OutboundError>>> {
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Pending => return self.wait(context).map(|phase| Some(Err(OutboundError::Timeout(phase)))),
                Poll::Ready(frame) => frame,
            };
            self.waiting = false;
            let Some(frame) = frame else { return Poll::Ready(None) };
            let Ok(data) = frame.map_err(|error| OutboundError::of(&error))?.into_data() else { continue };
            self.seen = self.seen.saturating_add(data.len() as u64);
            return Poll::Ready(Some(match self.seen > self.limit {
                true => Err(OutboundError::TooLarge { limit: self.limit }),
                false if Instant::now() >= self.whole => Err(OutboundError::Timeout(Phase::Whole)),
                false => Ok(data),
            }));
        }
    }

    /// Which time is up, if one is.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Phase> {
        if !self.waiting {
            self.waiting = true;
            let until = (Instant::now() + self.idle).min(self.whole);
            self.timer.as_mut().reset(until);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(if Instant::now() >= self.whole { Phase::Whole } else { Phase::Idle })
    }

    fn end(&mut self, end: End) {
        let Some(Lease { pool, key, connection, permit }) = self.lease.take() else { return };
        match end {
            End::Whole => pool.put(&key, connection),
            // Over HTTP/2 it is only this one stream that ends.
            End::GivenUp => drop(connection),
            End::Broken => pool.forget(&connection),
        }
        drop(permit);
    }
}

impl Stream for Body {
    type Item = Result<Bytes, OutboundError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.lease.is_none() {
            return Poll::Ready(None);
        }
        let part = ready!(this.next_part(context));
        match &part {
            None => this.end(End::Whole),
            Some(Err(OutboundError::TooLarge { .. })) => this.end(End::GivenUp),
            Some(Err(_)) => this.end(End::Broken),
            Some(Ok(_)) => {}
        }
        Poll::Ready(part)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let ended = self.incoming.is_end_stream();
        self.end(if ended { End::Whole } else { End::GivenUp });
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("seen", &self.seen).field("limit", &self.limit).finish_non_exhaustive()
    }
}
