//! Asking a posted task to end before its time.
//!
//! Nothing new is begun after it, waits end, and what a machine is doing already goes on.

use plugbay_sdk::kv;

use crate::fault::Broken;
use crate::store::keys;
use crate::store::queue;
use crate::task::{Standing, Status, Task};
use crate::time::Moment;

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is going to end.
    Taken,
    /// There is no such task.
    Unknown,
    /// It ended already.
    Ended,
    /// It is a part of another: that one is to be asked.
    Part,
}

/// Ask for the end of a posted task.
///
/// # Errors
/// Those of the store.
pub fn terminate(id: &str, by: &str, now: Moment) -> Result<Asked, Broken> {
    let asked = kv::transact(|tx| {
        let Some(mut task) = tx.get_json::<Task>(&keys::task(id))?.map(|task| task.value) else {
            return Ok(Asked::Unknown);
        };
        if !task.is_root() {
            return Ok(Asked::Part);
        }
        if task.status.has_ended() {
            return Ok(Asked::Ended);
        }
        task.terminate = true;
        task.terminated = Some(now);
        task.terminated_by = Some(by.to_owned());
        task.updated = now;
        if task.status == Status::Queued {
            // It never began: the queue passes over it.
            task.status = Status::Terminated;
            task.result.status = Standing::Failure;
            tx.enqueue(queue::dispatch());
        } else {
            task.status = Status::Terminating;
            tx.put(keys::stop(&task.root), "");
        }
        tx.put_json(keys::task(id), &task)?;
        Ok::<_, Broken>(Asked::Taken)
    })?;
    Ok(asked.value)
}
