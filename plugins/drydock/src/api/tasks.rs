//! Posting tasks, and the build data of one.

use plugbay_sdk::Answer;
use serde_json::Value;

use super::refusal::Refusal;
use super::{Call, body, caller};
use crate::design::filter::NodeFilter;
use crate::fault::Broken;
use crate::store::{builddata, ids, queue, tasks};
use crate::task::action::POSTED;
use crate::task::{Task, view};

/// `POST /tasks`: one rule before the body is looked at, another once the action is known.
pub(super) fn create(call: &Call<'_>) -> Result<Answer, Refusal> {
    let user = caller::admit(call, caller::CREATE_TASK)?;
    let bad = |text: String| Refusal::error(400, text);
    let mut body = body::object(call.request).map_err(bad)?;
    let name = match body.remove("action") {
        Some(Value::String(name)) => name,
        other => return Err(bad(format!("{} is not an action", other.unwrap_or_default()))),
    };
    let known = POSTED.iter().find(|(known, ..)| *known == name);
    let (_, action, rule) = known.ok_or_else(|| bad(format!("{name} is not an action that can be posted")))?;
    caller::allow(rule)?;
    let design_ref = match body.remove("design_ref") {
        Some(Value::String(reference)) if !reference.is_empty() => reference,
        _ => return Err(bad("design_ref is missing".to_owned())),
    };
    let filter = body.remove("node_filter").filter(|filter| !filter.is_null());
    if let Some(filter) = &filter {
        read_filter(filter).map_err(bad)?;
    }
    let id = ids::uuid().map_err(Broken::from)?;
    let task = Task::posted(id, *action, design_ref, filter, user.name.clone(), call.world.now());
    queue::post(&task)?;
    let location = format!("{}/api/v1.0/tasks/{}", call.request.prefix, task.id);
    Ok(Answer::json(201, &view::task(&task, &[], true)).header("location", location))
}

/// A node filter that can be applied.
pub(super) fn read_filter(filter: &Value) -> Result<NodeFilter, String> {
    let filter: NodeFilter =
        serde_json::from_value(filter.clone()).map_err(|error| format!("node_filter is not one: {error}"))?;
    filter.check()?;
    Ok(filter)
}

/// `GET /tasks/{id}/builddata`.
pub(super) fn build_data(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    caller::admit(call, caller::READ_BUILD_DATA)?;
    let records = match tasks::get(id)? {
        Some(task) => builddata::of_task(&task.value.id)?,
        None => Vec::new(),
    };
    if records.is_empty() { Err(Refusal::empty(404)) } else { Ok(Answer::json(200, &records)) }
}
