//! The answer as a client would see it.

use serde::de::DeserializeOwned;

use crate::{Delivery, Head};

/// A finished answer, with its body's segments put together.
#[derive(Debug, Clone)]
pub struct TestAnswer {
    /// The status.
    pub status: u16,
    /// Header fields with names in lower case, the surface's own included.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body's bytes; empty for HEAD.
    pub body: Vec<u8>,
    /// What the host may do with it.
    pub delivery: Delivery,
    /// Made by the host (no route, no access, a body refused) and not by the plugin.
    pub by_host: bool,
}

impl TestAnswer {
    pub(super) fn by_host(status: u16) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { status, headers, body, delivery: Delivery::Verbatim, by_host: true }
    }

    pub(super) fn by_plugin(head: &Head, body: Vec<u8>) -> Self {
        let headers = head.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        Self { status: head.status, headers, body, delivery: head.delivery, by_host: false }
    }

    /// The first header field of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        field.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => panic!("the body of this {} is not UTF-8: {error}", self.status),
        }
    }

    /// The body read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body of this {} does not read: {error}: {}", self.status, self.text()),
        }
    }

    /// Fail the test unless the status is this one, with the body in the message. Returns the answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "body: {}", String::from_utf8_lossy(&self.body));
        self
    }
}
