//! Making parts, waiting for them, and counting what came of them.

use plugbay_sdk::jobs::{self, State};
use plugbay_sdk::{Outcome, Watch, kv};

use super::work::{Wanted, Work};
use super::{Engine, Next, PATIENCE};
use crate::fault::Broken;
use crate::store::{ids, keys, messages, tasks};
use crate::task::{About, Message, Part, Task};

/// Parts that one commit makes: up to five ops each.
const TOGETHER: usize = 16;

impl Engine<'_> {
    /// Make these parts of a task, from where the work stopped; each commit writes where it is. With `announce`
    /// a message says so.
    pub(super) fn make(&self, task: &Task, work: &mut Work, wanted: &[Wanted], announce: bool) -> Result<(), Broken> {
        while let Some(rest) = wanted.get(work.current.len()..).filter(|rest| !rest.is_empty()) {
            let now = self.world.now();
            let done = kv::transact(|tx| {
                let mut next = work.clone();
                let Some(mut parent) = tx.get_json::<Task>(&keys::task(&task.id))?.map(|parent| parent.value) else {
                    return Ok(None);
                };
                let mut said = Vec::new();
                for wanted in rest.iter().take(TOGETHER) {
                    let Wanted { action, role, scope, hidden } = wanted;
                    let part = Part { action: *action, role: *role, scope, hidden: *hidden, retry: work.round };
                    let part = parent.part(ids::uuid()?, part, next.count, now);
                    tasks::begin(tx, &task.id, &part)?;
                    if !hidden {
                        parent.subtasks.push(part.id.clone());
                    }
                    if announce && !hidden {
                        let text = format!("Starting subtask {} for action {}", part.id, action.name());
                        said.push(Message::new(text, false, About::Task, &task.id, now));
                    }
                    next.count += 1;
                    next.current.push(part.id);
                }
                next.made = next.current.len() >= wanted.len();
                messages::add(tx, &task.id, 0, &said)?;
                parent.updated = now;
                parent.status = if parent.terminate { parent.status } else { super::BEGUN };
                tx.put_json(keys::task(&task.id), &parent)?;
                next.put(tx, &task.id)?;
                Ok::<_, Broken>(Some(next))
            })?;
            match done.value {
                Some(next) => *work = next,
                // The task was deleted under our feet.
                None => return Ok(()),
            }
        }
        work.made = true;
        Ok(())
    }

    /// Wait for the first part that has not ended; none if all have.
    pub(super) fn wait(&self, task: &Task) -> Result<Option<Outcome>, Broken> {
        loop {
            let page = kv::prefix(&keys::parts(&task.id)).limit(1).page()?;
            let Some(first) = page.entries.into_iter().next() else { return Ok(None) };
            let id = first.key.rsplit('/').next().unwrap_or_default().to_owned();
            if is_lost(&String::from_utf8_lossy(&first.value))? {
                match kv::get_json::<Task>(&keys::task(&id))? {
                    Some(part) if !part.value.status.has_ended() => self.end_as_lost(&part.value)?,
                    _ => {
                        let mut tx = kv::Transaction::new();
                        tx.delete(&first.key);
                        tx.commit()?;
                    }
                }
                continue;
            }
            return Ok(Some(Outcome::park(vec![Watch::Key((first.key, Some(first.version)))], PATIENCE)));
        }
    }

    /// The parts of the step or round, which have all ended.
    pub(super) fn ended(&self, work: &Work) -> Result<Vec<Task>, Broken> {
        let mut ended = Vec::with_capacity(work.current.len());
        for id in &work.current {
            ended.extend(kv::get_json::<Task>(&keys::task(id))?.map(|part| part.value));
        }
        Ok(ended)
    }

    /// Go on at once.
    pub(super) fn again(&self, task: &Task) -> Next {
        self.carry_on(task)
    }
}

/// Whether nothing carries a task on any more: the host gave its job up.
pub(super) fn is_lost(key: &str) -> Result<bool, Broken> {
    let pending = jobs::pending(Some(key), 100)?;
    Ok(pending.iter().all(|job| job.state == State::Failed))
}
