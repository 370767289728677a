//! The beginning of a posted task: its design is fetched, worked out, validated and kept.

use std::time::Duration;

use plugbay_sdk::Outcome;

use super::work::Work;
use super::{Engine, ending};
use crate::design::Site;
use crate::design::filter::NodeFilter;
use crate::drivers::provision;
use crate::fault::Broken;
use crate::loading::{self, Loaded};
use crate::reference;
use crate::store::plan;
use crate::task::{About, Action, Message, Standing, Task};
use crate::{task, validation};

/// Waits before another attempt at fetching a design.
const WAITS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(25)];
/// Errors of a validation that become messages.
const ERRORS: usize = 200;
/// Bytes of the nodes of one task in the record of a stage: of the contract's 256 KiB some are for the rest of it.
const NODES: usize = 250_000;

/// Bytes of the id of a part in a list.
const PART: usize = 39;
/// Bytes that a text in a list has around it.
const QUOTED: usize = 3;

/// What became of the beginning.
pub(super) enum Begun {
    /// The work is for these nodes.
    Ready,
    /// The job has its outcome.
    Outcome(Outcome),
}

impl Engine<'_> {
    pub(super) fn begin(&self, task: &Task, work: &mut Work) -> Result<Begun, Broken> {
        let reference = task.design_ref.as_deref().unwrap_or_default();
        let loaded = match loading::load(self.world, self.settings, reference) {
            Ok(loaded) => loaded,
            Err(loading::Error::Reference(reference::Error::Unavailable(text))) => {
                if let Some(wait) = WAITS.get(usize::try_from(work.loads).unwrap_or(usize::MAX)) {
                    work.loads += 1;
                    work.save(&task.id)?;
                    return Ok(Begun::Outcome(Outcome::retry_in(*wait)));
                }
                return self.refuse(task, &[format!("The design cannot be loaded: {text}")]);
            }
            Err(error) => return self.refuse(task, &[format!("The design cannot be loaded: {error}")]),
        };
        let site = match loaded {
            Loaded::Site(site) => site,
            Loaded::Faults(faults) => {
                let said = validation::of_faults(faults, self.world.now());
                return self.refuse(task, &said.into_iter().map(|one| one.message).collect::<Vec<_>>());
            }
            Loaded::Uncompiled(error) => return self.refuse(task, &[error.text]),
        };
        let offer = provision::driver(self.settings).offer(self.world);
        let found = validation::run(&site, &offer, self.world.now());
        let errors: Vec<String> = found.iter().filter(|one| one.error).map(|one| one.message.clone()).collect();
        if !errors.is_empty() {
            return self.refuse(task, &errors);
        }
        if task.action == Action::ValidateDesign {
            let result = task::Outcome { status: Standing::Success, ..task::Outcome::default() };
            let said = [self.site_message("The design is valid", false)];
            return Ok(Begun::Outcome(self.end(task, result, &said)?));
        }
        self.keep(task, work, &site)
    }

    fn keep(&self, task: &Task, work: &mut Work, site: &Site) -> Result<Begun, Broken> {
        if task.action.is_of_nodes() {
            let filter = task.node_filter.clone().map(serde_json::from_value::<NodeFilter>).transpose();
            let selected = filter.map_err(|error| error.to_string()).and_then(|filter| site.select(filter.as_ref()));
            work.scope = match selected {
                Ok(scope) => scope,
                Err(text) => return self.refuse(task, &[format!("The node filter cannot be applied: {text}")]),
            };
            if recorded(&work.scope, task.action) > NODES {
                let text = format!("{} nodes are too many for one task; narrow it by a node filter", work.scope.len());
                return self.refuse(task, &[text]);
            }
        }
        plan::keep(&task.root, site, &work.scope, self.world.now())?;
        if task.action.is_of_nodes() && work.scope.is_empty() {
            let result = task::Outcome { status: Standing::Success, ..task::Outcome::default() };
            let said = [self.site_message("No nodes in scope, nothing to do", false)];
            return Ok(Begun::Outcome(self.end(task, result, &said)?));
        }
        work.ready = true;
        Ok(Begun::Ready)
    }

    fn refuse(&self, task: &Task, texts: &[String]) -> Result<Begun, Broken> {
        let said: Vec<Message> = texts.iter().take(ERRORS).map(|text| self.site_message(text, true)).collect();
        Ok(Begun::Outcome(self.end(task, ending::failure(&[]), &said)?))
    }

    fn site_message(&self, text: &str, error: bool) -> Message {
        Message::new(text, error, About::Site, "NA", self.world.now())
    }
}

/// Bytes that nodes take in the record of a stage at most: each name is in its filter, its scope and its result, and there is a part
/// for each in every round.
fn recorded(nodes: &[String], action: Action) -> usize {
    let rounds = action.steps(nodes.len()).iter().map(|step| step.action().attempts()).max().unwrap_or(1);
    let parts = PART.saturating_mul(usize::try_from(rounds).unwrap_or(1));
    nodes.iter().map(|node| 3 * (node.len() + QUOTED) + parts).sum()
}
