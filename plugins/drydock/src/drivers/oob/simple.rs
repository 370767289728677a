//! Types without a controller: `manual` leaves each step to the operator, `noop` pretends.

use serde_json::Value;

use super::OutOfBand;
use crate::design::Node;
use crate::drivers::{Call, Progress, Verdict};
use crate::task::Action;

/// A person does it.
#[derive(Debug, Clone, Copy)]
pub struct Manual;

impl OutOfBand for Manual {
    fn act(&self, action: Action, node: &Node, _left: Option<Value>, _call: &Call<'_>) -> Progress {
        let text =
            format!("{} of {} is left to the operator: its controller is of type manual", action.name(), node.name);
        Verdict::good(text).into()
    }
}

/// Nobody does it.
#[derive(Debug, Clone, Copy)]
pub struct Noop;

impl OutOfBand for Noop {
    fn act(&self, action: Action, node: &Node, _left: Option<Value>, _call: &Call<'_>) -> Progress {
        Verdict::good(format!("{} of {}: there is no controller, nothing was done", action.name(), node.name)).into()
    }
}
