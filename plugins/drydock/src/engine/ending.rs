//! The last commit of a task.

use plugbay_sdk::{Outcome, kv};

use super::{Engine, Next};
use crate::fault::Broken;
use crate::store::{boot, keys, messages, plan, queue};
use crate::task::{self, About, Action, Message, Standing, Status, Task};

impl Engine<'_> {
    /// End a task with this result and these messages: the record, and everything that spoke of its work.
    pub(super) fn end(&self, task: &Task, result: task::Outcome, said: &[Message]) -> Next {
        let status = if self.is_stopped(task)? { Status::Terminated } else { Status::Complete };
        self.end_as(task, status, result, said)?;
        Ok(Outcome::Done)
    }

    fn end_as(&self, task: &Task, status: Status, result: task::Outcome, said: &[Message]) -> Result<(), Broken> {
        // A node that was not deployed reports nothing, and nobody waits for it.
        if let (Action::DeployNode, [node], true) =
            (task.action, task.scope.as_slice(), result.status != Standing::Success)
        {
            boot::give_up(node, &task.id)?;
        }
        if let (Action::DestroyNode, [node], Standing::Success) = (task.action, task.scope.as_slice(), result.status) {
            boot::forget(node)?;
        }
        if task.is_root() {
            plan::forget(&task.root)?;
        }
        let (early, late) = said.split_at(said.len().saturating_sub(messages::TOGETHER));
        messages::add_all(&task.id, early)?;
        kv::transact(|tx| {
            let Some(mut kept) = tx.get_json::<Task>(&keys::task(&task.id))?.map(|kept| kept.value) else {
                return Ok(());
            };
            if kept.status.has_ended() {
                return Ok(());
            }
            kept.status = status;
            kept.result = result.clone();
            kept.updated = self.world.now();
            tx.put_json(keys::task(&task.id), &kept)?;
            messages::add(tx, &task.id, early.len(), late)?;
            tx.delete(keys::work(&task.id));
            match &task.parent {
                Some(parent) => drop(tx.delete(keys::part(parent, &task.id))),
                None => {
                    tx.delete(keys::stop(&task.root));
                    queue::leave(tx, &task.id)?;
                }
            }
            Ok::<_, Broken>(())
        })?;
        Ok(())
    }

    /// End a task that nothing carries on any more.
    pub(super) fn end_as_lost(&self, task: &Task) -> Result<(), Broken> {
        let result = failure(&task.scope);
        let text = "The task was given up after too many errors on this side; the log has them";
        self.end_as(task, Status::Complete, result, &[self.say(task, text, true)])
    }

    /// A message about the task itself.
    pub(super) fn say(&self, task: &Task, text: impl AsRef<str>, error: bool) -> Message {
        Message::new(text, error, About::Task, &task.id, self.world.now())
    }
}

/// A result that is nothing but a failure of these nodes.
pub(super) fn failure(nodes: &[String]) -> task::Outcome {
    task::Outcome { status: Standing::Failure, failures: nodes.to_vec(), ..task::Outcome::default() }
}
