//! Boot contexts of nodes, and the boot actions they are to report.
//!
//! A new deployment replaces a node's context; actions of earlier ones keep their keys.

use plugbay_sdk::kv::{self, Stored, Transaction};
use serde::{Deserialize, Serialize};

use super::plan::ActionRef;
use super::{ids, keys};
use crate::bootaction::template::NodeView;
use crate::fault::Broken;
use crate::task::Task;
use crate::time::Moment;

/// Boot actions of one node: as many as one commit holds.
pub const MOST: usize = 40;

/// What a deployed node may ask for, and with which key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeContext {
    /// The node.
    pub node_name: String,
    /// Its deploy_node task.
    pub task_id: String,
    /// The posted task.
    pub root: String,
    /// 32 bytes in hexadecimal.
    pub key: String,
    /// Its design.
    pub design_ref: Option<String>,
    /// What templates see of it.
    pub view: NodeView,
    /// Its actions: id, and which one.
    pub actions: Vec<(String, ActionRef)>,
}

impl NodeContext {
    /// Whether a boot action is one of this deployment.
    pub fn lists(&self, action: &str) -> bool {
        self.actions.iter().any(|(id, _)| id == action)
    }
}

/// Where a boot action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionStatus {
    /// To be reported.
    Incomplete,
    /// Reported well.
    Success,
    /// Reported ill.
    Failure,
    /// Not to be reported.
    Unreported,
}

/// One boot action of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// The node.
    pub node_name: String,
    /// ULID.
    pub action_id: String,
    /// Its name in the design.
    pub action_name: String,
    /// The node's deploy_node task.
    pub task_id: String,
    /// The posted task.
    pub root: String,
    /// The key of its deployment.
    pub key: String,
    /// Where it is.
    pub action_status: ActionStatus,
}

/// Make the context of a node that is about to be deployed by this task, unless this task made it already. None if
/// no boot action is for it.
///
/// # Errors
/// Those of the host.
pub fn make(task: &Task, actions: &[ActionRef], view: &NodeView, now: Moment) -> Result<Option<NodeContext>, Broken> {
    let node = &view.hostname;
    let actions = actions.get(..MOST).unwrap_or(actions);
    let made = kv::transact(|tx| {
        let old = tx.get_json::<NodeContext>(&keys::boot_node(node))?.map(|stored| stored.value);
        match old {
            Some(old) if old.task_id == task.id => return Ok(Some(old)),
            Some(old) => release(tx, &old),
            None => {}
        }
        if actions.is_empty() {
            tx.delete(keys::boot_node(node));
            return Ok(None);
        }
        let mut context = NodeContext {
            node_name: node.clone(),
            task_id: task.id.clone(),
            root: task.root.clone(),
            key: ids::node_key()?,
            design_ref: task.design_ref.clone(),
            view: view.clone(),
            actions: Vec::new(),
        };
        for action in actions {
            let record = ActionRecord {
                node_name: node.clone(),
                action_id: ids::ulid(now)?,
                action_name: action.name.clone(),
                task_id: task.id.clone(),
                root: task.root.clone(),
                key: context.key.clone(),
                action_status: if action.signaling { ActionStatus::Incomplete } else { ActionStatus::Unreported },
            };
            tx.put_json(keys::boot_action(&record.action_id), &record)?;
            if action.signaling {
                tx.put(format!("{}{}", keys::incomplete(&task.root), record.action_id), node.as_bytes());
            }
            context.actions.push((record.action_id, action.clone()));
        }
        tx.put_json(keys::boot_node(node), &context)?;
        Ok::<_, Broken>(Some(context))
    })?;
    Ok(made.value)
}

/// Nobody waits for these reports any more.
fn release(tx: &mut Transaction, context: &NodeContext) {
    for (id, action) in &context.actions {
        if action.signaling {
            tx.delete(format!("{}{id}", keys::incomplete(&context.root)));
        }
    }
}

/// The node was not deployed: nobody waits for its reports.
///
/// # Errors
/// Those of the store.
pub fn give_up(node: &str, task: &str) -> Result<(), Broken> {
    if let Some(context) = context(node)?.filter(|context| context.value.task_id == task) {
        let mut tx = Transaction::new();
        release(&mut tx, &context.value);
        if tx.size() > 0 {
            tx.commit()?;
        }
    }
    Ok(())
}

/// The node is no more: nobody may ask for its boot data, and nobody waits for its reports.
///
/// # Errors
/// Those of the store.
pub fn forget(node: &str) -> Result<(), Broken> {
    kv::transact(|tx| {
        if let Some(context) = tx.get_json::<NodeContext>(&keys::boot_node(node))? {
            release(tx, &context.value);
            tx.delete(keys::boot_node(node));
        }
        Ok::<_, Broken>(())
    })?;
    Ok(())
}

/// The context of a node.
///
/// # Errors
/// Those of the store.
pub fn context(node: &str) -> Result<Option<Stored<NodeContext>>, Broken> {
    if node.is_empty() || node.len() > 255 {
        return Ok(None);
    }
    Ok(kv::get_json(&keys::boot_node(node))?)
}

/// A boot action.
///
/// # Errors
/// Those of the store.
pub fn action(id: &str) -> Result<Option<ActionRecord>, Broken> {
    if !ids::is_ulid(id) {
        return Ok(None);
    }
    Ok(kv::get_json(&keys::boot_action(id))?.map(|stored| stored.value))
}
