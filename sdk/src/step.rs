//! Steps that are not the end of an answer: more to send, waiting, taking the body.
//!
//! A continuation is a value of the plugin's, written as JSON, at most 64 KiB. It is read back by the `resume`
//! function of a route declared with [`Surface::resumable`](crate::Surface::resumable).

use std::time::Duration;

use serde::Serialize;

use crate::{
    DigestAlgorithm, Event, Head, More, Park, Problem, Receive, ReceiveError, ReceivePlan, Received, Segment, Step,
    Watch,
};

/// Most bytes of a continuation.
const CONTINUATION_LIMIT: usize = 64 * 1024;

impl More {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { head: None, body: Vec::new(), continuation: Vec::new() }
    }

    /// Status and header fields; needed in the first step that sends anything.
    #[must_use]
    pub fn head(mut self, head: Head) -> Self {
        self.head = Some(head);
        self
    }

    /// Send these bytes.
    #[must_use]
    pub fn bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.segment(Segment::Bytes(bytes.into()))
    }

    /// Send this segment.
    #[must_use]
    pub fn segment(mut self, segment: Segment) -> Self {
        self.body.push(segment);
        self
    }

    /// Go on with this state when the client has taken what was sent.
    ///
    /// # Errors
    /// 500 if the state is not JSON or longer than 64 KiB.
    pub fn then<C: Serialize + ?Sized>(mut self, state: &C) -> Result<Step, Problem> {
        self.continuation = continuation(state)?;
        Ok(Step::More(self))
    }
}

impl Default for More {
    fn default() -> Self {
        Self::new()
    }
}

impl Park {
    /// Wait at most that long.
    pub fn new(timeout: Duration) -> Self {
        Self {
            head: None,
            body: Vec::new(),
            watches: Vec::new(),
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            continuation: Vec::new(),
        }
    }

    /// Wake when this key is not of this version any more (none: is not absent any more).
    #[must_use]
    pub fn key(mut self, key: impl Into<String>, seen: Option<u64>) -> Self {
        self.watches.push(Watch::Key((key.into(), seen)));
        self
    }

    /// Wake when a key with this prefix changes after the revision that a scan returned.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>, revision: u64) -> Self {
        self.watches.push(Watch::Prefix((prefix.into(), revision)));
        self
    }

    /// Send status and header fields now and leave the answer open.
    #[must_use]
    pub fn head(mut self, head: Head) -> Self {
        self.head = Some(head);
        self
    }

    /// Send these bytes now and leave the answer open.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body.push(Segment::Bytes(bytes.into()));
        self
    }

    /// Go on with this state then.
    ///
    /// # Errors
    /// 500 if the state is not JSON or longer than 64 KiB.
    pub fn then<C: Serialize + ?Sized>(mut self, state: &C) -> Result<Step, Problem> {
        self.continuation = continuation(state)?;
        Ok(Step::Park(self))
    }

    /// Handle the request again from the start then. Needs no `resume`. The handler cannot tell that it waited,
    /// so it has to find out from what it reads that it is time to answer.
    #[must_use]
    pub fn again(self) -> Step {
        Step::Park(self)
    }
}

impl Receive {
    /// Take a body of at most `limit` bytes, as one piece, without digests.
    pub fn up_to(limit: u64) -> Self {
        Self {
            plan: ReceivePlan {
                limit,
                piece_size: None,
                piece_digests: Vec::new(),
                body_digests: Vec::new(),
                trim: None,
            },
            continuation: Vec::new(),
        }
    }

    /// Cut it into pieces of this many bytes, at least 4 KiB.
    #[must_use]
    pub fn pieces_of(mut self, size: u64) -> Self {
        self.plan.piece_size = Some(size);
        self
    }

    /// Take these digests of each piece.
    #[must_use]
    pub fn piece_digests(mut self, algorithms: impl Into<Vec<DigestAlgorithm>>) -> Self {
        self.plan.piece_digests = algorithms.into();
        self
    }

    /// Take these digests of the whole body.
    #[must_use]
    pub fn body_digests(mut self, algorithms: impl Into<Vec<DigestAlgorithm>>) -> Self {
        self.plan.body_digests = algorithms.into();
        self
    }

    /// Leave trailing bytes of this value out of each piece's digests.
    #[must_use]
    pub fn trim(mut self, byte: u8) -> Self {
        self.plan.trim = Some(byte);
        self
    }

    /// Go on with this state then.
    ///
    /// # Errors
    /// 500 if the state is not JSON or longer than 64 KiB.
    pub fn then<C: Serialize + ?Sized>(mut self, state: &C) -> Result<Step, Problem> {
        self.continuation = continuation(state)?;
        Ok(Step::Receive(self))
    }
}

impl Event {
    /// What [`Receive`] took.
    ///
    /// # Errors
    /// 413 if the body was too long, 400 if it was cut off, 503 if the blob store failed, and 500 if this is another
    /// event.
    pub fn received(self) -> Result<Received, Problem> {
        match self {
            Self::Received(Ok(received)) => Ok(received),
            Self::Received(Err(error)) => Err(error.into()),
            other => Err(Problem::internal(format_args!("expected a received body, not the event {other:?}"))),
        }
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::TooLarge => Self::too_large("The body is too long."),
            ReceiveError::CutOff => Self::bad_request("The body was cut off."),
            ReceiveError::Storage(cause) => {
                crate::error!("receive: {cause}");
                Self::unavailable("The store failed.")
            }
        }
    }
}

fn continuation<C: Serialize + ?Sized>(state: &C) -> Result<Vec<u8>, Problem> {
    let bytes = serde_json::to_vec(state)
        .map_err(|error| Problem::internal(format_args!("the continuation is not JSON: {error}")))?;
    if bytes.len() > CONTINUATION_LIMIT {
        return Err(Problem::internal(format_args!("the continuation is {} bytes long, over 64 KiB", bytes.len())));
    }
    Ok(bytes)
}
