//! Tasks: what they are, what they say, how they are shown.
//!
//! Owns the record of a task and the rules by which results combine ([`tally`]). How tasks run is [`crate::engine`]'s, where they are
//! kept [`crate::store::tasks`]'s.

pub mod action;
pub mod message;
pub mod tally;
pub mod view;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Moment;
pub use action::Action;
pub use message::{About, Message};
pub use tally::{Standing, Tally};

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Just made.
    Requested,
    /// Posted, and waiting for its turn.
    Queued,
    /// At work.
    Running,
    /// Ended, whatever the result.
    Complete,
    /// To be ended.
    Terminating,
    /// Ended before its time.
    Terminated,
}

impl Status {
    /// Whether nothing more happens.
    pub fn has_ended(self) -> bool {
        matches!(self, Status::Complete | Status::Terminated)
    }
}

/// How a task is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Steps one after the other.
    Flow,
    /// One subtask for each node, all at once, with retries.
    Stage,
    /// One call of a driver, which may take a while.
    Leaf,
}

/// A pointer to something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it is.
    pub rel: String,
    /// Where it is.
    pub href: String,
}

/// What came of a task, apart from its messages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// In one word.
    pub status: Standing,
    /// In a sentence.
    pub message: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Names of nodes.
    pub successes: Vec<String>,
    /// Names of nodes.
    pub failures: Vec<String>,
    /// Pointers.
    pub links: Vec<Link>,
}

/// A task as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// UUID.
    pub id: String,
    /// What it does.
    pub action: Action,
    /// The task it is a part of.
    pub parent: Option<String>,
    /// The posted task above it; itself if it was posted.
    pub root: String,
    /// When that one was made: they are deleted together.
    pub root_created: Moment,
    /// Its place below the posted task: `/00000000/00000002`. None: not shown as a part of anything.
    pub path: Option<String>,
    /// How it is carried out.
    pub role: Role,
    /// Which design it is about.
    pub design_ref: Option<String>,
    /// Where it is in its life.
    pub status: Status,
    /// What came of it.
    pub result: Outcome,
    /// As posted; of subtasks, by names.
    pub node_filter: Option<Value>,
    /// The nodes of a subtask.
    pub scope: Vec<String>,
    /// Its parts, in the order they were made.
    pub subtasks: Vec<String>,
    /// When it was made.
    pub created: Moment,
    /// When it last changed.
    pub updated: Moment,
    /// When it was asked to end.
    pub terminated: Option<Moment>,
    /// Who posted it.
    pub created_by: Option<String>,
    /// Who asked for its end.
    pub terminated_by: Option<String>,
    /// Whether it is to end.
    pub terminate: bool,
    /// Round of retries.
    pub retry: u32,
}

impl Task {
    /// A posted task.
    pub fn posted(
        id: String,
        action: Action,
        design_ref: String,
        filter: Option<Value>,
        by: String,
        now: Moment,
    ) -> Task {
        Task {
            root: id.clone(),
            id,
            action,
            parent: None,
            root_created: now,
            path: Some(String::new()),
            role: Role::Flow,
            design_ref: Some(design_ref),
            status: Status::Queued,
            result: Outcome::default(),
            node_filter: filter,
            scope: Vec::new(),
            subtasks: Vec::new(),
            created: now,
            updated: now,
            terminated: None,
            created_by: Some(by),
            terminated_by: None,
            terminate: false,
            retry: 0,
        }
    }

    /// A part of this one, number `index` of its parts.
    pub fn part(&self, id: String, part: Part<'_>, index: usize, now: Moment) -> Task {
        let path = self.path.as_ref().filter(|_| !part.hidden);
        Task {
            id,
            action: part.action,
            parent: Some(self.id.clone()),
            root: self.root.clone(),
            root_created: self.root_created,
            path: path.map(|path| format!("{path}/{index:08}")),
            role: part.role,
            design_ref: self.design_ref.clone(),
            status: Status::Requested,
            result: Outcome::default(),
            node_filter: Some(by_names(part.scope)),
            scope: part.scope.to_vec(),
            subtasks: Vec::new(),
            created: now,
            updated: now,
            terminated: None,
            created_by: None,
            terminated_by: None,
            terminate: false,
            retry: part.retry,
        }
    }

    /// Whether it was posted.
    pub fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    /// The order it is carried out in: one at a time among those with this key.
    pub fn job_key(&self) -> String {
        match (self.role, self.scope.as_slice()) {
            // Two tasks never talk to one node at the same time.
            (Role::Leaf, [node]) if self.action != Action::BootactionReport => format!("node/{node}"),
            _ => format!("task/{}", self.id),
        }
    }
}

/// What a part is to be.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// What it does.
    pub action: Action,
    /// How.
    pub role: Role,
    /// To which nodes.
    pub scope: &'a [String],
    /// Whether it is left out of what is shown.
    pub hidden: bool,
    /// Round of retries.
    pub retry: u32,
}

/// A node filter for exactly these.
fn by_names(names: &[String]) -> Value {
    serde_json::json!({
        "filter_set_type": "intersection",
        "filter_set": [{"filter_type": "union", "node_names": names}],
    })
}
