//! What nodes say about their boot actions.

use serde_json::{Map, Value};

use crate::store::boot::ActionStatus;

/// Fields of a detail that are not the node's to set.
const RESERVED: [&str; 3] = ["context", "context_type", "ts"];
/// Details of one report.
const DETAILS: usize = 200;

/// A report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// How it ended, if it did.
    pub status: Option<ActionStatus>,
    /// What happened.
    pub details: Vec<Detail>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// What.
    pub message: String,
    /// Whether it is an error.
    pub error: bool,
    /// Whatever else was said.
    pub extra: Map<String, Value>,
}

/// Read a report.
///
/// # Errors
/// A sentence that says what is not as it has to be.
pub fn parse(body: &[u8]) -> Result<Report, String> {
    let body: Value = serde_json::from_slice(body).map_err(|error| format!("The body is not JSON: {error}"))?;
    let Value::Object(mut body) = body else { return Err("The body is not an object".to_owned()) };
    let status = match body.remove("status") {
        None => None,
        Some(Value::String(text)) if text == "Success" || text == "success" => Some(ActionStatus::Success),
        Some(Value::String(text)) if text == "Failure" || text == "failure" => Some(ActionStatus::Failure),
        Some(_) => return Err("status is Success or Failure".to_owned()),
    };
    let details = match body.remove("details") {
        None => Vec::new(),
        Some(Value::Array(details)) if details.len() <= DETAILS => {
            details.into_iter().map(detail).collect::<Result<_, _>>()?
        }
        Some(Value::Array(_)) => return Err(format!("A report has at most {DETAILS} details")),
        Some(_) => return Err("details is a list".to_owned()),
    };
    match body.keys().next() {
        Some(other) => Err(format!("{other} is not a field of a report")),
        None => Ok(Report { status, details }),
    }
}

fn detail(detail: Value) -> Result<Detail, String> {
    let Value::Object(mut extra) = detail else { return Err("A detail is an object".to_owned()) };
    let Some(Value::String(message)) = extra.remove("message") else {
        return Err("A detail has a message, which is text".to_owned());
    };
    let Some(Value::Bool(error)) = extra.remove("error") else {
        return Err("A detail says whether it is an error".to_owned());
    };
    if let Some(reserved) = RESERVED.into_iter().find(|name| extra.contains_key(*name)) {
        return Err(format!("{reserved} is not for a report to say"));
    }
    Ok(Detail { message, error, extra })
}
