//! Deleting old tasks, with their messages, in as many steps as it takes.

use std::time::Duration;

use plugbay_sdk::{Answer, IntoStep as _, Park, Step, kv};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::{Call, Going, caller};
use crate::engine::sweep;
use crate::fault::Broken;
use crate::store::writer::Writer;
use crate::store::{keys, plan, queue};
use crate::task::Task;
use crate::time::Moment;

/// Days unless the request says a number.
const DAYS: i64 = 90;
/// Tasks that one step looks at.
const TASKS: u32 = 200;

/// Where it goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cursor {
    before: Moment,
    after: Option<String>,
    deleted: u64,
}

/// `DELETE /tasks`.
pub(super) fn begin(call: &Call<'_>) -> Result<Step, Refusal> {
    caller::admit(call, caller::DELETE_TASKS)?;
    let query = call.request.query();
    let days = query.get("days").and_then(|days| days.trim().parse::<i64>().ok()).unwrap_or(DAYS);
    let now = call.world.now();
    let before = match u64::try_from(days) {
        // Everything, whatever the clock says.
        Ok(0) => Moment(u64::MAX),
        Err(_) => return Err(Refusal::error(400, "days is negative")),
        Ok(days) => now.minus(Duration::from_secs(days.saturating_mul(86_400))),
    };
    on(call, Cursor { before, after: None, deleted: 0 })
}

/// The next step.
pub(super) fn on(_call: &Call<'_>, mut cursor: Cursor) -> Result<Step, Refusal> {
    let more = step(&mut cursor)?;
    if more {
        return Park::new(Duration::ZERO)
            .then(&Going::Purge(cursor))
            .map_err(|problem| Refusal::error(500, problem.to_string()));
    }
    Ok(Answer::bytes(200, "text/plain; charset=utf-8", format!("{} tasks deleted", cursor.deleted)).into_step())
}

/// Delete what is old among the next tasks; whether there are more.
fn step(cursor: &mut Cursor) -> Result<bool, Broken> {
    let mut scan = kv::prefix(keys::TASKS).limit(TASKS);
    if let Some(after) = &cursor.after {
        scan = scan.after(after);
    }
    let page = scan.page()?;
    let mut writer = Writer::default();
    for entry in page.entries {
        let task = entry.json::<Task>()?.value;
        // Parts go with the posted task, however young they are.
        if task.root_created < cursor.before {
            forget(&task, &mut writer)?;
            cursor.deleted += 1;
        }
        cursor.after = Some(entry.key);
    }
    writer.flush()?;
    if !page.more && cursor.deleted > 0 {
        // Deleted tasks may have been at work, and have left what nobody else needs.
        let mut tx = kv::Transaction::new();
        tx.enqueue(queue::dispatch());
        tx.commit()?;
        sweep::begin()?;
    }
    Ok(page.more)
}

fn forget(task: &Task, writer: &mut Writer) -> Result<(), Broken> {
    writer.delete(keys::task(&task.id))?;
    writer.delete_all(&keys::messages(&task.id))?;
    writer.delete_all(&keys::build_data_of(&task.id))?;
    writer.delete(keys::work(&task.id))?;
    if let Some(path) = &task.path {
        writer.delete(keys::tree(&task.root, path))?;
    }
    if let Some(parent) = &task.parent {
        return Ok(writer.delete(keys::part(parent, &task.id))?);
    }
    writer.delete(keys::stop(&task.root))?;
    writer.delete_all(&keys::incomplete(&task.root))?;
    if !task.status.has_ended() {
        plan::forget(&task.root)?;
    }
    Ok(())
}
