//! Status objects of validations and of extended health.

use plugbay_sdk::Answer;
use serde::Serialize;
use serde_json::{Value, json};

/// What a status object says.
pub(super) struct Status<'a, M> {
    pub code: u16,
    /// `Success`, `Failure` or `failure`.
    pub status: &'a str,
    pub message: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub errors: usize,
    pub messages: &'a [M],
}

impl<M: Serialize> Status<'_, M> {
    pub(super) fn into_answer(self) -> Answer {
        let body: Value = json!({
            "kind": "Status",
            "apiVersion": "v1.0",
            "metadata": {},
            "message": self.message,
            "reason": self.reason,
            "status": self.status,
            "code": self.code,
            "details": {"errorCount": self.errors, "messageList": self.messages},
        });
        Answer::json(self.code, &body)
    }
}
