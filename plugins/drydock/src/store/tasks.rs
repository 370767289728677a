//! Tasks and their places in the tree.

use std::time::Duration;

use plugbay_sdk::NewJob;
use plugbay_sdk::kv::{self, Stored, Transaction};
use serde::{Deserialize, Serialize};

use super::keys;
use crate::fault::Broken;
use crate::task::Task;

/// The job that carries a task on.
pub const JOB: &str = "task";

/// What the job is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The task.
    pub id: String,
}

/// A task.
///
/// # Errors
/// Those of the store.
pub fn get(id: &str) -> Result<Option<Stored<Task>>, Broken> {
    // Ids come from paths; what is no id is no key either.
    if !super::ids::is_uuid4(id) {
        return Ok(None);
    }
    Ok(kv::get_json(&keys::task(&id.to_ascii_lowercase()))?)
}

/// Write a task that is new: the record, and its place in the tree.
///
/// # Errors
/// Those of the store.
pub fn create(tx: &mut Transaction, task: &Task) -> Result<(), Broken> {
    tx.put_json(keys::task(&task.id), task)?;
    if let Some(path) = &task.path {
        tx.put(keys::tree(&task.root, path), task.id.as_bytes());
    }
    Ok(())
}

/// Write a part that is new, and have it carried out.
///
/// # Errors
/// Those of the store.
pub fn begin(tx: &mut Transaction, parent: &str, task: &Task) -> Result<(), Broken> {
    create(tx, task)?;
    tx.put(keys::part(parent, &task.id), task.job_key());
    tx.enqueue(job(task)?);
    Ok(())
}

/// The job of a task.
///
/// # Errors
/// Those of the SDK.
pub fn job(task: &Task) -> Result<NewJob, Broken> {
    Ok(NewJob::named(JOB).key(task.job_key()).delay(Duration::ZERO).json(&Order { id: task.id.clone() })?)
}

/// The shown tasks from one on downwards, as `(key, id)`, in the order of the tree, after a key; at most `limit`.
///
/// # Errors
/// Those of the store.
pub fn subtree(top: &Task, after: Option<&str>, limit: u32) -> Result<(Vec<(String, String)>, bool), Broken> {
    let Some(path) = &top.path else { return Ok((vec![(keys::tree(&top.root, "?"), top.id.clone())], false)) };
    let mut scan = kv::prefix(&keys::tree(&top.root, path)).limit(limit);
    if let Some(after) = after {
        scan = scan.after(after);
    }
    let page = scan.page()?;
    let rows = page.entries.into_iter().map(|entry| (entry.key, String::from_utf8_lossy(&entry.value).into_owned()));
    Ok((rows.collect(), page.more))
}

/// How far below `top` the task of a tree key is: 0 is `top` itself.
pub fn depth_below(top: &Task, key: &str) -> usize {
    let segments = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    let own = segments(&keys::tree(&top.root, top.path.as_deref().unwrap_or_default()));
    segments(key).saturating_sub(own)
}
