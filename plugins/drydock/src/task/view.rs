//! Tasks and results as the API shows them.

use serde_json::{Value, json};

use super::{Message, Outcome, Task};
use crate::time::Moment;

/// A task with its messages. Its moments carry their offset in the answer to the POST that made it, and nowhere else.
pub fn task(task: &Task, messages: &[Message], just_made: bool) -> Value {
    let offset = if just_made { "+00:00" } else { "" };
    let text = |moment: Moment| format!("{}{offset}", moment.text());
    json!({
        "kind": "Task",
        "apiVersion": "v1",
        "task_id": task.id,
        "action": task.action,
        "parent_task_id": task.parent,
        "design_ref": task.design_ref,
        "status": task.status,
        "result": result(&task.result, messages),
        "node_filter": task.node_filter,
        "subtask_id_list": task.subtasks,
        "created": text(task.created),
        "created_by": task.created_by,
        "updated": text(task.updated),
        "terminated": task.terminated.map(text),
        "terminated_by": task.terminated_by,
        "terminate": task.terminate,
        "retry": task.retry,
    })
}

/// A result as a status object.
pub fn result(outcome: &Outcome, messages: &[Message]) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1.0",
        "metadata": {},
        "message": outcome.message,
        "reason": outcome.reason,
        "status": outcome.status,
        "successes": outcome.successes,
        "failures": outcome.failures,
        "links": outcome.links,
        "details": {
            "errorCount": messages.iter().filter(|message| message.error).count(),
            "messageList": messages.iter().map(message).collect::<Vec<_>>(),
        },
    })
}

/// A message.
pub fn message(message: &Message) -> Value {
    json!({
        "message": message.message,
        "error": message.error,
        "context_type": message.context_type,
        "context": message.context,
        "ts": message.ts.text(),
        "extra": message.extra,
    })
}
