//! Messages of tasks. They are only ever added, each under a key of its own, so that nobody waits for anybody.

use plugbay_sdk::kv::{self, Transaction};

use super::{ids, keys};
use crate::fault::Broken;
use crate::task::Message;

/// Messages that one commit may add beside what it is for.
pub const TOGETHER: usize = 40;

/// Add messages to a task in a transaction, in this order.
///
/// # Errors
/// Those of the host.
pub fn add<'a>(
    tx: &mut Transaction,
    task: &str,
    messages: impl IntoIterator<Item = &'a Message>,
) -> Result<(), Broken> {
    for (index, message) in messages.into_iter().enumerate() {
        let order = ids::order(message.ts)?;
        let (time, random) = order.split_once('-').unwrap_or((&order, ""));
        tx.put_json(format!("{}{time}{index:04x}-{random}", keys::messages(task)), message)?;
    }
    Ok(())
}

/// Add any number of messages to a task.
///
/// # Errors
/// Those of the host.
pub fn add_all(task: &str, messages: &[Message]) -> Result<(), Broken> {
    for some in messages.chunks(TOGETHER) {
        let mut tx = Transaction::new();
        add(&mut tx, task, some)?;
        tx.commit()?;
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
