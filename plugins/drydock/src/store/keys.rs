//! The key space.
//!
//! | key | value |
//! | --- | --- |
//! | `t/TASK` | a task |
//! | `m/TASK/ORDER` | a message of a task |
//! | `r/ROOT` + path | id of a shown task, in the order of the tree |
//! | `c/PARENT/TASK` | a part that has not ended |
//! | `w/TASK` | where the work of a task is |
//! | `x/ROOT` | the posted task is to end |
//! | `q/ORDER` | id of a posted task that waits |
//! | `slots` | ids of posted tasks at work |
//! | `p/ROOT/…` | the effective design of a task at work |
//! | `n/NODE` | boot context of a node |
//! | `a/ACTION` | a boot action of a node |
//! | `i/ROOT/ACTION` | one that a deployment waits for |
//! | `d/DIGEST` | content of boot actions |
//! | `h/NODE` | the built-in inventory |
//! | `s/PART` | what all nodes share, for the built-in provisioner |
//! | `b/NODE/ORDER` | a record of build data |
//! | `bt/TASK/ORDER` | the key of one, by task |

/// Posted tasks at work.
pub const SLOTS: &str = "slots";
/// All tasks.
pub const TASKS: &str = "t/";
/// All messages.
pub const MESSAGES: &str = "m/";
/// The queue.
pub const QUEUE: &str = "q/";
/// The inventory.
pub const INVENTORY: &str = "h/";
/// What all nodes share.
pub const SITE: &str = "s/";
/// All build data.
pub const BUILD_DATA: &str = "b/";
/// All boot actions of nodes.
pub const BOOT_ACTIONS: &str = "a/";
/// All boot contexts.
pub const BOOT_NODES: &str = "n/";
/// All contents of boot actions.
pub const CONTENTS: &str = "d/";
/// Designs of tasks at work.
pub const PLANS: &str = "p/";

/// A task.
pub fn task(id: &str) -> String {
    format!("t/{id}")
}

/// Messages of a task.
pub fn messages(id: &str) -> String {
    format!("m/{id}/")
}

/// The tree below a posted task, from a path on.
pub fn tree(root: &str, path: &str) -> String {
    format!("r/{root}{path}")
}

/// Parts that have not ended.
pub fn parts(parent: &str) -> String {
    format!("c/{parent}/")
}

/// One of them.
pub fn part(parent: &str, id: &str) -> String {
    format!("c/{parent}/{id}")
}

/// Where the work of a task is.
pub fn work(id: &str) -> String {
    format!("w/{id}")
}

/// The posted task is to end.
pub fn stop(root: &str) -> String {
    format!("x/{root}")
}

/// The effective design of a task at work.
pub fn plan(root: &str) -> String {
    format!("p/{root}/")
}

/// Boot context of a node.
pub fn boot_node(node: &str) -> String {
    format!("n/{node}")
}

/// A boot action of a node.
pub fn boot_action(id: &str) -> String {
    format!("a/{id}")
}

/// Boot actions that a deployment waits for.
pub fn incomplete(root: &str) -> String {
    format!("i/{root}/")
}

/// Content of boot actions.
pub fn content(digest: &str) -> String {
    format!("d/{digest}")
}

/// A node of the inventory.
pub fn inventory(node: &str) -> String {
    format!("h/{node}")
}

/// Build data of a node.
pub fn build_data(node: &str) -> String {
    format!("b/{node}/")
}

/// Build data of a task.
pub fn build_data_of(task: &str) -> String {
    format!("bt/{task}/")
}
