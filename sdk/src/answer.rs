//! Answers, and what a handler may return.

use serde::Serialize;

use crate::{Answer, BlobRange, Delivery, Head, More, Park, Problem, Receive, Segment, Step};

/// What a handler may return.
///
/// A plugin whose API has errors of its own shape implements this for its error type; with `From<Problem>` and
/// `From<kv::Error>` the handlers can use `?` throughout.
pub trait IntoStep {
    /// The step the host is given.
    fn into_step(self) -> Step;
}

/// A JSON answer with status 200; `(status, Json(value))` for another.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl Head {
    /// Of this status, without header fields, for a body sent as it is.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), delivery: Delivery::Verbatim }
    }

    /// Add a header field. A name may be added more than once.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl Answer {
    /// An answer with an empty body.
    pub fn new(status: u16) -> Self {
        Self { head: Head::new(status), body: Vec::new() }
    }

    /// A JSON document. A value that JSON cannot hold (a map with keys that are no text) is a 500.
    pub fn json<T: Serialize + ?Sized>(status: u16, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::bytes(status, "application/json", body),
            Err(error) => Problem::internal(format_args!("the answer is not JSON: {error}")).into_answer(),
        }
    }

    /// Plain text in UTF-8.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// Bytes of this content type.
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status).header("content-type", content_type).segment(Segment::Bytes(body.into()))
    }

    /// Add a header field. A name may be added more than once.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.head = self.head.header(name, value);
        self
    }

    /// Add `ETag` with a version as [`kv`](crate::kv) gives them.
    #[must_use]
    pub fn etag(self, version: u64) -> Self {
        self.header("etag", crate::etag::of_version(version))
    }

    /// Add to the body.
    #[must_use]
    pub fn segment(mut self, segment: Segment) -> Self {
        self.body.push(segment);
        self
    }

    /// Add a whole blob, or piece of this request, to the body. The host reads it while sending.
    #[must_use]
    pub fn blob(self, name: impl Into<String>) -> Self {
        self.segment(Segment::Blob(BlobRange { name: name.into(), offset: 0, length: None }))
    }

    /// Add `length` bytes of a blob, from `offset` on.
    #[must_use]
    pub fn blob_range(self, name: impl Into<String>, offset: u64, length: u64) -> Self {
        self.segment(Segment::Blob(BlobRange { name: name.into(), offset, length: Some(length) }))
    }

    /// Let the host apply ranges and conditions to this 200, by the `ETag` and `Last-Modified` in it.
    #[must_use]
    pub fn conditional(mut self) -> Self {
        self.head.delivery = Delivery::Conditional;
        self
    }
}

impl IntoStep for Step {
    fn into_step(self) -> Step {
        self
    }
}

impl IntoStep for Answer {
    fn into_step(self) -> Step {
        Step::Done(self)
    }
}

impl IntoStep for More {
    fn into_step(self) -> Step {
        Step::More(self)
    }
}

impl IntoStep for Park {
    fn into_step(self) -> Step {
        Step::Park(self)
    }
}

impl IntoStep for Receive {
    fn into_step(self) -> Step {
        Step::Receive(self)
    }
}

impl IntoStep for Problem {
    fn into_step(self) -> Step {
        Step::Done(self.into_answer())
    }
}

impl IntoStep for () {
    fn into_step(self) -> Step {
        Step::Done(Answer::new(204))
    }
}

impl<T: Serialize> IntoStep for Json<T> {
    fn into_step(self) -> Step {
        Step::Done(Answer::json(200, &self.0))
    }
}

impl<T: Serialize> IntoStep for (u16, Json<T>) {
    fn into_step(self) -> Step {
        Step::Done(Answer::json(self.0, &self.1.0))
    }
}

impl<T: IntoStep, E: IntoStep> IntoStep for Result<T, E> {
    fn into_step(self) -> Step {
        match self {
            Ok(step) => step.into_step(),
            Err(error) => error.into_step(),
        }
    }
}
