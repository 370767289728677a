//! Stages: one leaf for each node, all at once; nodes that failed are tried again in another round.

use super::work::{Wanted, Work};
use super::{Engine, Next};
use crate::task::{Role, Task};

impl Engine<'_> {
    pub(super) fn stage(&self, task: &Task) -> Next {
        let mut work = Work::of(&task.id)?;
        if !work.ready {
            self.mark_running(task)?;
            work.scope.clone_from(&task.scope);
            work.ready = true;
        }
        if !work.made && !self.is_stopped(task)? {
            let one = |node: &String| Wanted {
                action: task.action,
                role: Role::Leaf,
                scope: vec![node.clone()],
                hidden: false,
            };
            let wanted: Vec<Wanted> = work.scope.iter().map(one).collect();
            self.make(task, &mut work, &wanted, false)?;
        }
        if let Some(outcome) = self.wait(task)? {
            return Ok(outcome);
        }
        let parts = self.ended(&work)?;
        let failed: Vec<String> = parts.iter().flat_map(|part| part.result.failures.clone()).collect();
        let again = !failed.is_empty() && work.round + 1 < task.action.attempts() && !self.is_stopped(task)?;
        // Failures of an earlier round do not count once there is another.
        parts.iter().for_each(|part| work.tally.add(&part.result, !again, true));
        if again {
            work.round += 1;
            work.scope = failed;
            work.made = false;
            work.current.clear();
            work.save(&task.id)?;
            return self.again(task);
        }
        if !work.made {
            // Ended before all parts were made: what was not made has failed.
            work.tally.lose(work.scope.iter().skip(parts.len()).cloned());
        }
        let result = work.tally.outcome();
        self.end(task, result, &[])
    }
}
