//! Refusals, and the shapes that the API gives them.

use plugbay_sdk::Answer;
use serde_json::json;

use crate::fault::Broken;

/// How an unsuccessful reply looks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// `type`, `message`, `retry`: tasks, nodes, node filters, validations, policy.
    Error,
    /// `title`, and `description` if there is one: boot actions, paths, methods.
    Titled,
    /// No body.
    Empty,
}

/// A request that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    shape: Shape,
    message: Option<String>,
    retry: bool,
    headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// With a sentence.
    pub fn error(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, shape: Shape::Error, message: Some(message.into()), retry: false, headers: Vec::new() }
    }

    /// With the status as its title.
    pub fn titled(status: u16, description: Option<&str>) -> Refusal {
        let message = description.map(str::to_owned);
        Refusal { status, shape: Shape::Titled, message, retry: false, headers: Vec::new() }
    }

    /// With nothing.
    pub fn empty(status: u16) -> Refusal {
        Refusal { status, shape: Shape::Empty, message: None, retry: false, headers: Vec::new() }
    }

    /// Trying again may help.
    #[must_use]
    pub fn retry(mut self) -> Refusal {
        self.retry = true;
        self
    }

    /// Add a header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Refusal {
        self.headers.push((name, value));
        self
    }

    /// The same in the shape of boot actions.
    #[must_use]
    pub fn as_titled(mut self) -> Refusal {
        self.shape = Shape::Titled;
        self
    }

    /// The answer it is sent as.
    pub fn into_answer(self) -> Answer {
        let answer = match self.shape {
            Shape::Empty => Answer::new(self.status),
            Shape::Error => {
                let message = self.message.unwrap_or_default();
                Answer::json(self.status, &json!({"type": "error", "message": message, "retry": self.retry}))
            }
            Shape::Titled => {
                let title = format!("{} {}", self.status, reason(self.status));
                match self.message {
                    Some(text) => Answer::json(self.status, &json!({"title": title, "description": text})),
                    None => Answer::json(self.status, &json!({"title": title})),
                }
            }
        };
        self.headers.into_iter().fold(answer, |answer, (name, value)| answer.header(name, value))
    }
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Refusal {
        plugbay_sdk::error!("{broken}");
        if broken.retry {
            Refusal::error(503, "The service cannot do this now").retry()
        } else {
            Refusal::error(500, "Internal error")
        }
    }
}

/// The phrases of the statuses that are sent.
fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    }
}
