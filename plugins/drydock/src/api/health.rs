//! Health: of the store and of the node provisioner.

use plugbay_sdk::{Answer, kv};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::statuses::Status;
use super::{Call, caller};
use crate::drivers::provision;
use crate::store::keys;

/// What does not work, in sentences.
fn complaints(call: &Call<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    if let Err(error) = kv::get(keys::SLOTS) {
        plugbay_sdk::error!("health: {error:?}");
        complaints.push("The store does not answer".to_owned());
    }
    match provision::driver(&call.settings).services(call.world) {
        Ok(verdict) if !verdict.success => complaints.extend(verdict.notes.into_iter().map(|note| note.text)),
        Ok(_) => {}
        Err(error) => {
            plugbay_sdk::error!("health: {error}");
            complaints.push("The node provisioner cannot be asked".to_owned());
        }
    }
    complaints
}

/// 204 or 503, without a body and without a word to strangers.
pub(super) fn simple(call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::new(if complaints(call).is_empty() { 204 } else { 503 }))
}

/// The same with the reasons.
pub(super) fn extended(call: &Call<'_>) -> Result<Answer, Refusal> {
    caller::admit(call, caller::HEALTH_DATA)?;
    let complaints = complaints(call);
    let say = |text: &String| json!({"message": text, "error": true, "kind": "SimpleMessage"});
    let messages: Vec<Value> = complaints.iter().map(say).collect();
    let healthy = complaints.is_empty();
    let status = Status {
        code: if healthy { 200 } else { 503 },
        status: if healthy { "Success" } else { "Failure" },
        message: Some(if healthy { "" } else { "A part of the service does not work" }),
        reason: Some("HealthCheck"),
        errors: complaints.len(),
        messages: &messages,
    };
    Ok(status.into_answer())
}
