//! One task, alone or with what is below it.
//!
//! With `layers` or `subtaskerrors` the answer grows with the tree, so it is sent in steps: first the tasks in the order of the tree,
//! then the errors.

use plugbay_sdk::{Answer, Head, IntoStep as _, Step, kv};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::streams::send;
use super::{Call, Going, caller, query};
use crate::fault::Broken;
use crate::store::{builddata, keys, messages, tasks};
use crate::task::{Task, view};

/// Tasks that one step looks at.
const TASKS: u32 = 200;
/// Bytes after which a step ends.
const BYTES: usize = 256 * 1024;

/// Where the answer goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// How many layers; negative: all. 0: the task alone was sent, and errors come.
    layers: i64,
    build_data: bool,
    errors: bool,
    /// Whether tasks are done and errors are under way.
    at_errors: bool,
    after: Option<String>,
    /// Whether an error was sent.
    begun: bool,
}

/// `GET /tasks/{id}`.
pub(super) fn show(call: &Call<'_>, id: &str) -> Result<Step, Refusal> {
    caller::admit(call, caller::READ_TASK)?;
    let query = call.request.query();
    let build_data = query::boolean("builddata", query.get("builddata"))?;
    let errors = query::boolean("subtaskerrors", query.get("subtaskerrors"))?;
    let layers = query.get("layers").and_then(|layers| layers.parse::<i64>().ok()).unwrap_or(0);
    let task = find(id)?;
    if layers == 0 && !errors {
        let task = Value::Object(object(&task, build_data)?);
        return Ok(Answer::json(200, &task).into_step());
    }
    let cursor = Cursor { layers, build_data, errors, at_errors: layers == 0, after: None, begun: false };
    on(id, cursor, Some(Head::new(200).header("content-type", "application/json")))
}

fn find(id: &str) -> Result<Task, Refusal> {
    let found = tasks::get(id)?;
    found.map(|task| task.value).ok_or_else(|| Refusal::error(404, format!("Task {id} not found")))
}

fn object(task: &Task, build_data: bool) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(mut object) = view::task(task, &messages::of(&task.id)?, false) else { return Ok(Map::new()) };
    if build_data {
        object.insert("build_data".to_owned(), Value::Array(builddata::of_task(&task.id)?));
    }
    Ok(object)
}

/// The next piece; the head goes with the first.
pub(super) fn on(id: &str, mut cursor: Cursor, head: Option<Head>) -> Result<Step, Refusal> {
    let top = find(id)?;
    let mut body = Vec::new();
    if head.is_some() {
        open(&top, &cursor, &mut body)?;
    }
    let (rows, mut more) = tasks::subtree(&top, cursor.after.as_deref(), TASKS)?;
    for (key, id) in rows {
        let Some(task) = kv::get_json::<Task>(&keys::task(&id)).map_err(Broken::from)?.map(|task| task.value) else {
            continue;
        };
        if cursor.at_errors {
            error(&top, &task, &mut cursor, &mut body)?;
        } else if shown(&top, &key, cursor.layers) {
            field(&task.id, &Value::Object(object(&task, cursor.build_data)?), true, &mut body)?;
        }
        cursor.after = Some(key);
        if body.len() > BYTES {
            more = true;
            break;
        }
    }
    if !more && !cursor.at_errors && cursor.errors {
        body.extend(b", \"subtask_errors\": {");
        cursor.at_errors = true;
        cursor.after = None;
        more = true;
    } else if !more {
        body.extend(if cursor.at_errors { &b"}}"[..] } else { b"}" });
    }
    send(head, body, more.then_some(Going::Tree(cursor)))
}

/// What stands before the first task, or the task itself where there are no layers.
fn open(top: &Task, cursor: &Cursor, body: &mut Vec<u8>) -> Result<(), Refusal> {
    if cursor.layers != 0 {
        body.push(b'{');
        return field("init_task_id", &json!(top.id), false, body);
    }
    serde_json::to_writer(&mut *body, &object(top, cursor.build_data)?).map_err(Broken::from)?;
    // Left open for the errors.
    body.pop();
    body.extend(b", \"subtask_errors\": {");
    Ok(())
}

fn shown(top: &Task, key: &str, layers: i64) -> bool {
    layers < 0 || i64::try_from(tasks::depth_below(top, key)).is_ok_and(|depth| depth < layers)
}

fn error(top: &Task, task: &Task, cursor: &mut Cursor, body: &mut Vec<u8>) -> Result<(), Refusal> {
    if task.id == top.id {
        return Ok(());
    }
    let said = messages::of(&task.id)?;
    if said.iter().any(|message| message.error) {
        let mut result = view::result(&task.result, &said);
        if let Value::Object(result) = &mut result {
            result.insert("task_id".to_owned(), json!(task.id));
        }
        field(&task.id, &result, cursor.begun, body)?;
        cursor.begun = true;
    }
    Ok(())
}

fn field(name: &str, value: &Value, comma: bool, body: &mut Vec<u8>) -> Result<(), Refusal> {
    if comma {
        body.extend(b", ");
    }
    serde_json::to_writer(&mut *body, name).map_err(Broken::from)?;
    body.extend(b": ");
    serde_json::to_writer(&mut *body, value).map_err(Broken::from)?;
    Ok(())
}
