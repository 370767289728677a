//! Waiting for what nodes report of their boot actions.
//!
//! Reports are taken by requests at any time; this waits until none is missing or the time is up, and then says for each
//! boot action how it ended and for each node whether all of its ended well.

use std::time::Duration;

use plugbay_sdk::{Outcome, Watch, kv};

use super::work::Work;
use super::{Engine, Next, PATIENCE};
use crate::fault::Broken;
use crate::store::boot::{self, ActionStatus};
use crate::store::{keys, messages};
use crate::task::{About, Message, Tally, Task};
use crate::time::Moment;

/// Nodes whose reports are told in one commit's worth of work.
const TOGETHER: usize = 50;

impl Engine<'_> {
    pub(super) fn reports(&self, task: &Task, mut work: Work, end: Moment) -> Next {
        let now = self.world.now();
        if work.done == 0 {
            let missing = kv::prefix(&keys::incomplete(&task.root)).limit(1).page()?.entries.into_iter().next();
            if let Some(first) = missing.filter(|_| now < end) {
                work.save(&task.id)?;
                let rest = Duration::from_micros(end.0.saturating_sub(now.0)).min(PATIENCE);
                let watches =
                    vec![Watch::Key((first.key, Some(first.version))), Watch::Key((keys::stop(&task.root), None))];
                return Ok(Outcome::park(watches, rest));
            }
        }
        while let Some(some) = task.scope.get(work.done..).filter(|rest| !rest.is_empty()) {
            let some = some.get(..TOGETHER).unwrap_or(some);
            let mut said = Vec::new();
            for node in some {
                self.tell(task, node, &mut work.tally, &mut said)?;
            }
            messages::add_all(&task.id, &said)?;
            work.done += some.len();
            work.save(&task.id)?;
        }
        let result = std::mem::take(&mut work.tally).outcome();
        self.end(task, result, &[])
    }

    fn tell(&self, task: &Task, node: &str, tally: &mut Tally, said: &mut Vec<Message>) -> Result<(), Broken> {
        let context = boot::context(node)?.map(|context| context.value).filter(|context| context.root == task.root);
        let mut good = true;
        for (id, action) in context.map(|context| context.actions).unwrap_or_default() {
            let status = boot::action(&id)?.map_or(ActionStatus::Incomplete, |record| record.action_status);
            let (text, error) = match status {
                ActionStatus::Incomplete => ("timed out".to_owned(), true),
                ActionStatus::Success => ("completed with status success".to_owned(), false),
                ActionStatus::Failure => ("completed with status failure".to_owned(), true),
                ActionStatus::Unreported => ("completed with status unreported".to_owned(), false),
            };
            good &= !error;
            let text = format!("Boot action {} of {node} {text}", action.name);
            said.push(Message::new(text, error, About::Bootaction, id, self.world.now()));
        }
        if good {
            tally.successes.insert(node.to_owned());
            tally.standing = tally.standing.with_success();
        } else {
            tally.lose([node.to_owned()]);
        }
        Ok(())
    }
}
