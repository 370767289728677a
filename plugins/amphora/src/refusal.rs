//! Every answer that is not a success, and the shapes of those that are.
//!
//! The API has two error shapes, both in use: faults of routing and of reading a request carry `error` and `http_code`,
//! faults of an operation carry `message` and perhaps `details`. All are JSON: a 404 of another type makes the
//! controller wait ten minutes for an agent that it takes to be starting.

use plugbay_sdk::{Answer, IntoStep, Problem, Step};
use serde_json::json;

use crate::{files, machine};

/// The template of errors made by the host: no route, wrong method, a body that is too long.
pub const HOST_ERRORS: (&str, &str) =
    ("application/json", r#"{"error": "{status} {reason}: {detail}", "http_code": {status}}"#);

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// `{"error": "<code> <reason>: <text>", "http_code": <code>}`.
    Routing(u16, String),
    /// `{"message": …}`, with `details` if there are any.
    Fault(u16, String, Option<String>),
    /// `{"details": …}` alone, where the controller looks for exactly that.
    Details(u16, String),
}

impl Refusal {
    /// A fault of an operation, without details.
    pub fn fault(status: u16, message: impl Into<String>) -> Refusal {
        Refusal::Fault(status, message.into(), None)
    }

    /// A fault of an operation, with details.
    pub fn detailed(status: u16, message: impl Into<String>, details: impl Into<String>) -> Refusal {
        Refusal::Fault(status, message.into(), Some(details.into()))
    }

    /// A fault of the routing shape.
    pub fn routing(status: u16, text: impl Into<String>) -> Refusal {
        Refusal::Routing(status, text.into())
    }

    /// The status.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Routing(status, _) | Refusal::Fault(status, ..) | Refusal::Details(status, _) => *status,
        }
    }

    /// The document.
    pub fn document(&self) -> serde_json::Value {
        match self {
            Refusal::Routing(status, text) => {
                json!({"error": format!("{status} {}: {text}", reason(*status)), "http_code": status})
            }
            Refusal::Fault(_, message, None) => json!({"message": message}),
            Refusal::Fault(_, message, Some(details)) => json!({"message": message, "details": details}),
            Refusal::Details(_, details) => json!({"details": details}),
        }
    }

    /// The answer it is sent as.
    pub fn into_answer(self) -> Answer {
        Answer::json(self.status(), &self.document())
    }
}

impl IntoStep for Refusal {
    fn into_step(self) -> Step {
        Step::Done(self.into_answer())
    }
}

impl From<files::Error> for Refusal {
    fn from(error: files::Error) -> Refusal {
        Refusal::routing(500, error.to_string())
    }
}

impl From<machine::Fault> for Refusal {
    fn from(fault: machine::Fault) -> Refusal {
        // Never 501: the controller takes what it does not know for a success.
        Refusal::routing(500, fault.to_string())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        let text = problem.detail_text().unwrap_or_else(|| problem.title_text());
        Refusal::routing(problem.status(), text)
    }
}

/// The fault of an operation on a machine: this message with the machine's own words.
pub fn failed(message: &str) -> impl Fn(machine::Fault) -> Refusal {
    move |fault| Refusal::detailed(500, message, fault.to_string())
}

/// `{"message": "OK"}`.
pub fn ok(status: u16) -> Answer {
    Answer::json(status, &json!({"message": "OK"}))
}

/// `{"message": "OK", "details": …}`.
pub fn ok_with(status: u16, details: impl Into<String>) -> Answer {
    Answer::json(status, &json!({"message": "OK", "details": details.into()}))
}

/// The bare MD5 as entity tag, without the quotes that HTTP asks for: so it is in this API.
pub fn tagged(answer: Answer, md5: &str) -> Answer {
    answer.header("etag", md5)
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_shapes() {
        let text = |refusal: Refusal| refusal.document().to_string();
        assert_eq!(
            text(Refusal::routing(400, "Invalid subnet information")),
            r#"{"error":"400 Bad Request: Invalid subnet information","http_code":400}"#
        );
        assert_eq!(
            text(Refusal::fault(400, "Filename has wrong format")),
            r#"{"message":"Filename has wrong format"}"#
        );
        assert_eq!(
            text(Refusal::Details(404, "No suitable network interface found".into())),
            r#"{"details":"No suitable network interface found"}"#
        );
    }

    #[test]
    fn a_denied_capability_is_a_500_with_its_name() {
        let missing = machine::Fault::Missing("process");
        assert_eq!(Refusal::from(missing.clone()).status(), 500);
        let failure = failed("Error starting haproxy")(missing);
        let reason = "the operator denies `process` to the plugin";
        assert_eq!(failure, Refusal::detailed(500, "Error starting haproxy", reason));
    }
}
