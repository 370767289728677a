//! Flows: steps one after the other, each for the nodes that came through the one before.

use std::collections::BTreeMap;

use super::loading::Begun;
use super::work::{Wanted, Work};
use super::{Engine, Next, ending};
use crate::drivers::{Machine, oob, provision};
use crate::fault::Broken;
use crate::store::{messages, plan};
use crate::task::action::Step;
use crate::task::{About, Action, Message, Role, Task};

impl Engine<'_> {
    pub(super) fn flow(&self, task: &Task) -> Next {
        let mut work = Work::of(&task.id)?;
        if let Some(outcome) = self.wait(task)? {
            return Ok(outcome);
        }
        if self.is_stopped(task)? {
            return self.end_stopped(task, work);
        }
        if !work.ready {
            self.mark_running(task)?;
            if task.is_root() {
                if let Begun::Outcome(outcome) = self.begin(task, &mut work)? {
                    return Ok(outcome);
                }
            } else {
                work.scope.clone_from(&task.scope);
                work.ready = true;
            }
            work.nodes = work.scope.len();
            self.look_for_known(task, &mut work)?;
        }
        let steps = task.action.steps(work.nodes);
        while let Some(step) = steps.get(work.step) {
            if work.made {
                self.collect(task, *step, &mut work)?;
                continue;
            }
            let wanted = self.wanted(task, *step, &mut work)?;
            self.make(task, &mut work, &wanted, true)?;
            if !wanted.is_empty() {
                match self.wait(task)? {
                    Some(outcome) => return Ok(outcome),
                    None => continue,
                }
            }
        }
        self.finish(task, work)
    }

    /// A node that the provisioner knows needs neither network boot nor a power cycle.
    fn look_for_known(&self, task: &Task, work: &mut Work) -> Result<(), Broken> {
        let [name] = work.scope.as_slice() else { return work.save(&task.id) };
        if task.action != Action::PrepareNodes {
            return work.save(&task.id);
        }
        if let Some(node) = plan::node(&task.root, name)? {
            let machine = Machine { node: &node, boot: None };
            work.known = provision::driver(self.settings).knows(&machine, self.world)?;
        }
        if work.known {
            let text =
                format!("Node {name} is known already: it is neither booted from the network nor turned off and on");
            messages::add_all(&task.id, &[Message::new(text, false, About::Node, name, self.world.now())])?;
        }
        work.save(&task.id)
    }

    /// The parts of a step. Nodes for which there can be none are lost here, with a message.
    fn wanted(&self, task: &Task, step: Step, work: &mut Work) -> Result<Vec<Wanted>, Broken> {
        let one = |action, role, scope: &[String], hidden| Wanted { action, role, scope: scope.to_vec(), hidden };
        if task.action.is_of_nodes() && work.scope.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match step {
            Step::Site(action) => vec![one(action, Role::Leaf, &[], false)],
            Step::PerType(_) if work.known => Vec::new(),
            Step::PerType(action) => self.by_type(task, action, work)?,
            Step::Nodes(action) => vec![one(action, Role::Stage, &work.scope, false)],
            Step::Hidden(action) => vec![one(action, Role::Stage, &work.scope, true)],
            Step::Together(action) => vec![one(action, Role::Leaf, &work.scope, false)],
            Step::Each(action) => {
                work.scope.iter().map(|node| one(action, Role::Flow, std::slice::from_ref(node), false)).collect()
            }
        })
    }

    fn by_type(&self, task: &Task, action: Action, work: &mut Work) -> Result<Vec<Wanted>, Broken> {
        let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let [node] = work.scope.as_slice() {
            // Not the list of all nodes for each of them.
            let kind = plan::node(&task.root, node)?.and_then(|node| node.oob_type).unwrap_or_default();
            types.insert(kind, vec![node.clone()]);
        } else {
            let summary = plan::summary(&task.root)?;
            for node in &work.scope {
                types.entry(summary.types.get(node).cloned().unwrap_or_default()).or_default().push(node.clone());
            }
        }
        let mut wanted = Vec::new();
        let mut said = Vec::new();
        for (kind, scope) in types {
            if oob::driver(&kind, self.settings).is_some() {
                wanted.push(Wanted { action, role: Role::Stage, scope, hidden: false });
                continue;
            }
            for node in scope {
                let text = format!("Node {node} has a controller of type {kind:?}, for which there is no driver");
                said.push(Message::new(text, true, About::Node, &node, self.world.now()));
                work.scope.retain(|known| *known != node);
                work.tally.lose([node]);
            }
        }
        if !said.is_empty() {
            // Lost nodes and their messages before parts: an attempt that is cut off here says them twice at worst.
            messages::add_all(&task.id, &said)?;
            work.save(&task.id)?;
        }
        Ok(wanted)
    }

    /// Count what came of a step, and go to the next one with the nodes that came through.
    fn collect(&self, task: &Task, step: Step, work: &mut Work) -> Result<(), Broken> {
        let parts = self.ended(work)?;
        let counted = match (task.action.counts(), step) {
            (Some(_), Step::Each(_)) => true,
            (counts, Step::PerType(action) | Step::Nodes(action) | Step::Hidden(action) | Step::Together(action)) => {
                counts == Some(action)
            }
            (_, Step::Site(_) | Step::Each(_)) => false,
        };
        let mut said = Vec::new();
        for part in &parts {
            work.tally.add(&part.result, true, counted);
            if let Step::Site(action) = step {
                let text = format!("Collected subtask {} for action {}", part.id, action.name());
                said.push(self.say(task, text, false));
            }
        }
        if !parts.is_empty() && !matches!(step, Step::Site(_)) {
            work.scope.retain(|node| parts.iter().any(|part| part.result.successes.contains(node)));
        }
        messages::add_all(&task.id, &said)?;
        work.step += 1;
        work.made = false;
        work.current.clear();
        work.save(&task.id)
    }

    fn finish(&self, task: &Task, work: Work) -> Next {
        let mut result = work.tally.outcome();
        if task.action == Action::VerifyNodes {
            // Who failed is said by the parts and by messages.
            result.successes.clear();
            result.failures.clear();
        }
        self.end(task, result, &[])
    }

    fn end_stopped(&self, task: &Task, mut work: Work) -> Next {
        let parts = self.ended(&work)?;
        parts.iter().for_each(|part| work.tally.add(&part.result, true, false));
        let mut result = work.tally.outcome();
        if !result.status.has_failure() {
            result = ending::failure(&[]);
        }
        self.end(task, result, &[self.say(task, "The task was terminated", true)])
    }
}
