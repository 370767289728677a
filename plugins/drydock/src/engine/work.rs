//! Where the work of a task is.

use plugbay_sdk::kv::{self, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Broken;
use crate::store::keys;
use crate::task::{Action, Tally};
use crate::time::Moment;

/// Where the work of a task is. Each role uses its own part of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Work {
    /// Flow: the design was loaded.
    pub ready: bool,
    /// Flow: attempts at loading it.
    pub loads: u32,
    /// Flow: nodes that it began with, which choose its steps.
    pub nodes: usize,
    /// Flow: the step.
    pub step: usize,
    /// Flow, stage: nodes that the step or round is for.
    pub scope: Vec<String>,
    /// Flow, stage: the parts of the step or round were all made.
    pub made: bool,
    /// Flow, stage: the parts made for the step or round.
    pub current: Vec<String>,
    /// Flow, stage: parts made in all.
    pub count: usize,
    /// Flow: the provisioner knew the node already.
    pub known: bool,
    /// Flow, stage: what came of parts so far.
    pub tally: Tally,
    /// Stage: the round.
    pub round: u32,
    /// Leaf: when it began.
    pub since: Option<Moment>,
    /// Leaf: what the driver left.
    pub left: Option<Value>,
    /// Leaf: nodes dealt with already.
    pub done: usize,
}

impl Work {
    /// Where a task is.
    pub fn of(id: &str) -> Result<Work, Broken> {
        Ok(kv::get_json(&keys::work(id))?.map(|stored| stored.value).unwrap_or_default())
    }

    /// Write it in a transaction.
    pub fn put(&self, tx: &mut Transaction, id: &str) -> Result<(), Broken> {
        tx.put_json(keys::work(id), self)?;
        Ok(())
    }

    /// Write it.
    pub fn save(&self, id: &str) -> Result<(), Broken> {
        let mut tx = Transaction::new();
        self.put(&mut tx, id)?;
        tx.commit()?;
        Ok(())
    }
}

/// A part that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub action: Action,
    pub role: crate::task::Role,
    pub scope: Vec<String>,
    pub hidden: bool,
}
