//! Calls that take several steps: what is remembered between two of them.

use serde::{Deserialize, Serialize};

use super::{bulk::Progress, rows::Page};

/// How a call goes on. A call that waits for its body remembers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Resumed {
    /// A listing, from here.
    Listing(Page),
    /// A call on a whole subtree, from here.
    Bulk(Progress),
}
