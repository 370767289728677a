//! Leaves: one call of a driver, repeated until it is done or its time is up.

use std::time::Duration;

use plugbay_sdk::{Outcome, kv};
use serde_json::Value;

use super::work::Work;
use super::{Engine, Next, ending};
use crate::bootaction::template::NodeView;
use crate::drivers::{Call, Machine, Note, Progress, Verdict, labels, oob, provision};
use crate::fault::Broken;
use crate::store::{boot, keys, plan};
use crate::task::{self, About, Action, Message, Standing, Status, Task};

impl Engine<'_> {
    pub(super) fn leaf(&self, task: &Task) -> Next {
        if self.is_stopped(task)? {
            let said = [self.say(task, "The task was terminated", true)];
            return self.end(task, ending::failure(&task.scope), &said);
        }
        let mut work = Work::of(&task.id)?;
        let now = self.world.now();
        let since = match work.since {
            Some(since) => since,
            None => {
                self.mark_running(task)?;
                *work.since.insert(now)
            }
        };
        let end = since.plus(task.action.limit(&self.settings.minutes));
        if task.action == Action::BootactionReport {
            return self.reports(task, work, end);
        }
        match self.call(task, work.left.take())? {
            Progress::Done(verdict) => self.conclude(task, verdict),
            Progress::Wait(..) if now >= end => {
                let minutes = task.action.limit(&self.settings.minutes).as_secs() / 60;
                self.conclude(
                    task,
                    Verdict::bad(format!("{} did not end within {minutes} minutes", task.action.name())),
                )
            }
            Progress::Wait(wait, left) => {
                work.left = Some(left);
                work.save(&task.id)?;
                let rest = Duration::from_micros(end.0.saturating_sub(now.0));
                Ok(Outcome::retry_in(wait.min(rest).max(Duration::from_millis(10))))
            }
        }
    }

    pub(super) fn mark_running(&self, task: &Task) -> Result<(), Broken> {
        kv::transact(|tx| {
            if let Some(mut kept) = tx.get_json::<Task>(&keys::task(&task.id))?.map(|kept| kept.value)
                && matches!(kept.status, Status::Requested | Status::Queued)
            {
                kept.status = super::BEGUN;
                kept.updated = self.world.now();
                tx.put_json(keys::task(&task.id), &kept)?;
            }
            Ok::<_, Broken>(())
        })?;
        Ok(())
    }

    fn call(&self, task: &Task, left: Option<Value>) -> Result<Progress, Broken> {
        let call = Call { world: self.world, settings: self.settings, task };
        let provisioner = provision::driver(self.settings);
        let [name] = task.scope.as_slice() else {
            return match task.action {
                Action::ValidateNodeServices => Ok(provisioner.services(self.world)?.into()),
                action => provisioner.site(action, &plan::shared(&task.root)?, left, &call),
            };
        };
        let Some(node) = plan::node(&task.root, name)? else {
            return Ok(Verdict::bad(format!("Node {name} is not in the task's design")).into());
        };
        match task.action {
            Action::InterrogateOob | Action::SetNodeBoot | Action::PowerCycleNode => {
                let kind = node.oob_type.as_deref().unwrap_or_default();
                let missing = || Verdict::bad(format!("there is no driver for controllers of type {kind:?}")).into();
                let driver = oob::driver(kind, self.settings);
                Ok(driver.map_or_else(missing, |driver| driver.act(task.action, &node, left, &call)))
            }
            Action::RelabelNode => Ok(labels::relabel(&node, &call)),
            Action::DeployNode => {
                let view = NodeView::of(&node, &plan::shared(&task.root)?);
                let actions = plan::actions_of(&task.root, name)?;
                if actions.len() > boot::MOST {
                    return Ok(Verdict::bad(format!("{name} has more than {} boot actions", boot::MOST)).into());
                }
                let context = boot::make(task, &actions, &view, self.world.now())?;
                let machine = Machine { node: &node, boot: context.as_ref() };
                provisioner.act(task.action, &machine, left, &call)
            }
            action => provisioner.act(action, &Machine { node: &node, boot: None }, left, &call),
        }
    }

    fn conclude(&self, task: &Task, verdict: Verdict) -> Next {
        let (standing, good, bad) = match verdict.success {
            true => (Standing::Success, task.scope.clone(), Vec::new()),
            false => (Standing::Failure, Vec::new(), task.scope.clone()),
        };
        let result = task::Outcome {
            status: standing,
            successes: good,
            failures: bad,
            links: verdict.links,
            ..task::Outcome::default()
        };
        let said: Vec<Message> = verdict.notes.into_iter().map(|note| self.note(task, note)).collect();
        self.end(task, result, &said)
    }

    fn note(&self, task: &Task, note: Note) -> Message {
        let (about, context) = note.about.unwrap_or_else(|| match task.scope.as_slice() {
            [node] => (About::Node, node.clone()),
            _ => (About::Site, "NA".to_owned()),
        });
        Message::new(note.text, note.error, about, context, self.world.now())
    }
}
