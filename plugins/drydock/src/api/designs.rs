//! Validating a design, and the design endpoints that are no more.

use plugbay_sdk::Answer;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::statuses::Status;
use super::{Call, body, caller};
use crate::drivers::provision;
use crate::loading::{self, Loaded};
use crate::task::{About, Message, view};
use crate::validation;

/// Where the findings of an invalid design are.
const DETAILS: &str = "See the details";

/// `POST /validatedesign`. Of the body only `href` is read.
pub(super) fn validate(call: &Call<'_>) -> Result<Answer, Refusal> {
    caller::admit(call, caller::VALIDATE_SITE_DESIGN)?;
    let mut body = body::object(call.request).map_err(|text| Refusal::error(400, text))?;
    let href = match body.remove("href") {
        Some(Value::String(href)) if !href.is_empty() => href,
        _ => return Err(Refusal::error(400, "href is missing")),
    };
    let now = call.world.now();
    let site = match loading::load(call.world, &call.settings, &href) {
        Ok(Loaded::Site(site)) => site,
        Ok(Loaded::Faults(faults)) => {
            let found = validation::of_faults(faults, now);
            return Ok(invalid("failure", None, found.len(), &found));
        }
        Ok(Loaded::Uncompiled(error)) => {
            let about = if error.node.is_empty() { About::Site } else { About::Node };
            let said = Message::new(&error.text, true, about, error.node, now);
            return Ok(invalid("failure", None, 1, &[view::message(&said)]));
        }
        Err(error) => return Err(Refusal::error(400, format!("The design cannot be loaded: {error}"))),
    };
    let offer = provision::driver(&call.settings).offer(call.world);
    let found = validation::run(&site, &offer, now);
    let errors = found.iter().filter(|message| message.error).count();
    if errors > 0 {
        return Ok(invalid("Failure", Some("The design is not valid"), errors, &found));
    }
    let message = Some("The design is valid");
    let status = Status { code: 200, status: "Success", message, reason: None, errors: 0, messages: &found };
    Ok(status.into_answer())
}

fn invalid<M: serde::Serialize>(status: &str, message: Option<&str>, errors: usize, messages: &[M]) -> Answer {
    Status { code: 400, status, message, reason: Some(DETAILS), errors, messages }.into_answer()
}

/// `/designs`: kept by name only, as it was.
pub(super) fn gone(call: &Call<'_>) -> Result<Answer, Refusal> {
    let rule = if call.request.method == "POST" { caller::INGEST_DATA } else { caller::READ_DATA };
    caller::admit(call, rule)?;
    Ok(Answer::json(
        500,
        &json!({"type": "error", "message": "Designs are named by reference; none are kept here", "retry": false}),
    ))
}
