//! Posted tasks that wait for their turn, and the places of those at work.

use plugbay_sdk::NewJob;
use plugbay_sdk::kv::{self, Transaction};
use serde::{Deserialize, Serialize};

use super::{ids, keys, tasks};
use crate::fault::Broken;
use crate::task::{Status, Task};

/// The job that gives places to waiting tasks.
pub const JOB: &str = "dispatch";

/// Posted tasks at work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// Their ids.
    pub running: Vec<String>,
}

/// Have places given out.
pub fn dispatch() -> NewJob {
    NewJob::named(JOB).key(JOB)
}

/// Keep a posted task and put it at the end of the queue.
///
/// # Errors
/// Those of the store.
pub fn post(task: &Task) -> Result<(), Broken> {
    let mut tx = Transaction::new();
    tasks::create(&mut tx, task)?;
    tx.put(format!("{}{}", keys::QUEUE, ids::order(task.created)?), task.id.as_bytes());
    tx.enqueue(dispatch());
    tx.commit()?;
    Ok(())
}

/// Give places to the oldest waiting tasks while there are any. Tasks that are gone lose theirs.
///
/// # Errors
/// Those of the store.
pub fn promote(places: usize) -> Result<(), Broken> {
    loop {
        let page = kv::prefix(keys::QUEUE).limit(1).page()?;
        let first = page.entries.into_iter().next();
        let more = kv::transact(|tx| {
            let mut slots = tx.get_json::<Slots>(keys::SLOTS)?.map(|slots| slots.value).unwrap_or_default();
            let before = slots.clone();
            slots.running.retain(|id| matches!(tasks::get(id), Ok(Some(task)) if !task.value.status.has_ended()));
            let Some(first) = &first else {
                if slots != before {
                    tx.put_json(keys::SLOTS, &slots)?;
                }
                return Ok::<_, Broken>(false);
            };
            if slots.running.len() >= places.max(1) {
                return Ok(false);
            }
            tx.check_version(&first.key, first.version);
            tx.delete(&first.key);
            let id = String::from_utf8_lossy(&first.value).into_owned();
            if let Some(task) = tx.get_json::<Task>(&keys::task(&id))?
                && task.value.status == Status::Queued
            {
                slots.running.push(id);
                tx.enqueue(tasks::job(&task.value)?);
            }
            tx.put_json(keys::SLOTS, &slots)?;
            Ok(true)
        });
        match more {
            Ok(more) if more.value => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Give a place back, in a transaction, and have it given to another.
///
/// # Errors
/// Those of the store.
pub fn leave(tx: &mut Transaction, id: &str) -> Result<(), Broken> {
    if let Some(mut slots) = tx.get_json::<Slots>(keys::SLOTS)? {
        slots.value.running.retain(|known| known != id);
        tx.put_json(keys::SLOTS, &slots.value)?;
    }
    tx.enqueue(dispatch());
    Ok(())
}
