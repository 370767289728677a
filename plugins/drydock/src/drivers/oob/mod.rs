//! Out-of-band drivers: power and boot device through a machine's management controller.

pub mod redfish;
mod simple;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::{Call, Progress};
use crate::design::Node;
use crate::settings::Settings;
use crate::task::Action;

pub use simple::{Manual, Noop};

/// A kind of management controller.
pub trait OutOfBand {
    /// Do what the task's action says to this node. `left` is what the last call left; none in the first.
    fn act(&self, action: Action, node: &Node, left: Option<Value>, call: &Call<'_>) -> Progress;
}

/// The driver of a type; none if there is none.
pub fn driver(kind: &str, settings: &Settings) -> Option<Box<dyn OutOfBand>> {
    if settings.oob.pretend.iter().any(|pretended| pretended == kind) {
        return Some(Box::new(Noop));
    }
    match kind {
        "redfish" => Some(Box::new(redfish::Redfish)),
        "manual" => Some(Box::new(Manual)),
        "noop" => Some(Box::new(Noop)),
        _ => None,
    }
}
