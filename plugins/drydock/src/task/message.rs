//! Messages of tasks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::time::Moment;

/// Longest text of a message that is kept, in characters.
const TEXT: usize = 127;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum About {
    /// A node.
    #[serde(rename = "node")]
    Node,
    /// A task.
    #[serde(rename = "task")]
    Task,
    /// The site.
    #[serde(rename = "site")]
    Site,
    /// A network.
    #[serde(rename = "network")]
    Network,
    /// A boot action.
    #[serde(rename = "bootaction")]
    Bootaction,
    /// A controller of racks.
    #[serde(rename = "rack_ctlr")]
    RackController,
    /// A cluster.
    #[serde(rename = "cluster")]
    Cluster,
    /// Nothing in particular.
    #[serde(rename = "NA")]
    Nothing,
}

/// A message of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// What happened.
    pub message: String,
    /// Whether it is an error.
    pub error: bool,
    /// What kind of thing it is about.
    pub context_type: About,
    /// Its name or id.
    pub context: String,
    /// When.
    pub ts: Moment,
    /// Whatever else was said.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Message {
    /// A message, cut to what is kept.
    pub fn new(text: impl AsRef<str>, error: bool, about: About, context: impl Into<String>, now: Moment) -> Message {
        let message = text.as_ref().chars().take(TEXT).collect();
        Message { message, error, context_type: about, context: context.into(), ts: now, extra: Map::new() }
    }
}
