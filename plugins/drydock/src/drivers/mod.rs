//! Drivers: what talks to machines and to other services on behalf of a task.
//!
//! Owns the seam: a call gets a node and what the last call left, and says that it is done, or when it is to be called
//! again and with what. So nothing is held while a machine takes its time, and a restart of the host goes on with what was left.
//! Trouble with a machine is a verdict, never an error of the plugin.

pub mod labels;
pub mod oob;
pub mod provision;

use std::time::Duration;

use serde_json::Value;

use crate::design::Node;
use crate::settings::Settings;
use crate::store::boot::NodeContext;
use crate::task::{About, Link, Task};
use crate::world::World;

/// What a driver works with.
pub struct Call<'a> {
    /// Other servers, files, the clock.
    pub world: &'a World,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The task that asks.
    pub task: &'a Task,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// It is done.
    Done(Verdict),
    /// Call again after that long, with this.
    Wait(Duration, Value),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// Whether it went well.
    pub success: bool,
    /// What there is to say.
    pub notes: Vec<Note>,
    /// Pointers for the result.
    pub links: Vec<Link>,
}

/// Something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What.
    pub text: String,
    /// Whether it is an error.
    pub error: bool,
    /// What kind of thing it is about; none: the node, or the site if there is none.
    pub about: Option<(About, String)>,
}

impl Note {
    /// Something that is no error.
    pub fn plain(text: impl Into<String>) -> Note {
        Note { text: text.into(), error: false, about: None }
    }

    /// An error.
    pub fn error(text: impl Into<String>) -> Note {
        Note { text: text.into(), error: true, about: None }
    }
}

impl Verdict {
    /// It went well.
    pub fn good(text: impl Into<String>) -> Verdict {
        Verdict { success: true, notes: vec![Note::plain(text)], links: Vec::new() }
    }

    /// It did not.
    pub fn bad(text: impl Into<String>) -> Verdict {
        Verdict { success: false, notes: vec![Note::error(text)], links: Vec::new() }
    }
}

impl From<Verdict> for Progress {
    fn from(verdict: Verdict) -> Progress {
        Progress::Done(verdict)
    }
}

/// A node with what a provisioner needs of it.
pub struct Machine<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its boot context, while it is deployed.
    pub boot: Option<&'a NodeContext>,
}

/// The text at a place of a document (RFC 6901).
pub(crate) fn text_at<'a>(document: &'a Value, place: &str) -> Option<&'a str> {
    document.pointer(place).and_then(Value::as_str)
}
