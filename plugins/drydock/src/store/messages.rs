//! Messages of tasks. They are only ever added, each under a key of its own, so that nobody waits for anybody.

use plugbay_sdk::kv::{self, Transaction};

use super::{ids, keys};
use crate::fault::Broken;
use crate::task::Message;

/// Messages that one commit may add beside what it is for.
pub const TOGETHER: usize = 40;

/// Add messages to a task in a transaction, in this order. `before` of the same moment were added already.
///
/// # Errors
/// Those of the host.
pub fn add(tx: &mut Transaction, task: &str, before: usize, messages: &[Message]) -> Result<(), Broken> {
    for (index, message) in messages.iter().enumerate() {
        let order = ids::order(message.ts)?;
        let (time, random) = order.split_once('-').unwrap_or((&order, ""));
        let place = before.saturating_add(index);
        tx.put_json(format!("{}{time}{place:04x}-{random}", keys::messages(task)), message)?;
    }
    Ok(())
}

/// Add any number of messages to a task.
///
/// # Errors
/// Those of the host.
pub fn add_all(task: &str, messages: &[Message]) -> Result<(), Broken> {
    let mut before = 0;
    for some in messages.chunks(TOGETHER) {
        let mut tx = Transaction::new();
        add(&mut tx, task, before, some)?;
        tx.commit()?;
        before += some.len();
    }
    Ok(())
}

/// The messages of a task, oldest first.
///
/// # Errors
/// Those of the store.
pub fn of(task: &str) -> Result<Vec<Message>, Broken> {
    kv::prefix(&keys::messages(task)).iter().map(|entry| Ok(entry?.json()?.value)).collect()
}
