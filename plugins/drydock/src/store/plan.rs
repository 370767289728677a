//! The effective design of a task at work.
//!
//! It is worked out once, when the task begins, and stays what it was to its end, whatever happens to the reference, so
//! that parts read a few kilobytes and a restart goes on with the same design.

use std::collections::BTreeMap;

use plugbay_sdk::kv::{self, Transaction};
use serde::{Deserialize, Serialize};

use super::content::Content;
use super::keys;
use super::writer::Writer;
use crate::design::bootaction::BootAction;
use crate::design::effective::Shared;
use crate::design::{Node, Site};
use crate::fault::Broken;
use crate::time::Moment;

/// What a task has to know of its nodes before it looks at them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Type of each node's controller.
    pub types: BTreeMap<String, String>,
    /// Digests of boot actions, with their names and whether they report.
    pub actions: Vec<ActionRef>,
}

/// A boot action among the contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRef {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub digest: String,
    /// Whether it reports.
    pub signaling: bool,
}

/// Keep what a task needs of a site for these nodes.
///
/// # Errors
/// Those of the host.
pub fn keep(root: &str, site: &Site, scope: &[String], now: Moment) -> Result<(), Broken> {
    let prefix = keys::plan(root);
    let mut summary = Summary::default();
    let mut targets: BTreeMap<&str, Vec<ActionRef>> = BTreeMap::new();
    for targeted in &site.boot_actions {
        let nodes: Vec<&String> = targeted.nodes.iter().filter(|name| scope.contains(name)).collect();
        if nodes.is_empty() {
            continue;
        }
        let digest = keep_action(&targeted.action, now)?;
        let (name, signaling) = (targeted.name.clone(), targeted.action.signaling);
        let of = ActionRef { name, digest, signaling };
        nodes.into_iter().for_each(|node| targets.entry(node).or_default().push(of.clone()));
        summary.actions.push(of);
    }
    let mut writer = Writer::default();
    for node in site.nodes.iter().filter(|node| scope.contains(&node.name)) {
        writer.put(format!("{prefix}n/{}", node.name), node)?;
        if let Some(actions) = targets.get(node.name.as_str()) {
            writer.put(format!("{prefix}a/{}", node.name), actions)?;
        }
        summary.types.insert(node.name.clone(), node.oob_type.clone().unwrap_or_default());
    }
    writer.flush()?;
    Content::replace(&format!("{prefix}shared"), &serde_json::to_string(&site.shared)?, now)?;
    Content::replace(&format!("{prefix}summary"), &serde_json::to_string(&summary)?, now)
}

/// A boot action by its content, so that nodes and deployments share it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    content: Content,
    /// When a task last needed it.
    used: Moment,
}

fn keep_action(action: &BootAction, now: Moment) -> Result<String, Broken> {
    let text = serde_json::to_string(action)?;
    let digest = plugbay_sdk::crypto::hex(&plugbay_sdk::crypto::sha256(text.as_bytes())?);
    let key = keys::content(&digest);
    kv::transact(|tx| {
        let kept = tx.get_json::<Kept>(&key)?.map(|kept| kept.value.content);
        let content = match kept {
            Some(content) => content,
            None => Content::keep(tx, &text, now)?,
        };
        tx.put_json(&*key, &Kept { content, used: now })?;
        Ok::<_, Broken>(())
    })?;
    Ok(digest)
}

/// Forget the content under a key, unless a task needed it after that moment.
///
/// # Errors
/// Those of the store.
pub fn forget_action(key: &str, before: Moment) -> Result<(), Broken> {
    kv::transact(|tx| {
        let kept = tx.get_json::<Kept>(key)?.map(|kept| kept.value);
        if let Some(kept) = kept.filter(|kept| kept.used < before) {
            if let Some(blob) = kept.content.blob() {
                tx.drop_blob(blob);
            }
            tx.delete(key);
        }
        Ok::<_, Broken>(())
    })?;
    Ok(())
}

/// Posted tasks whose designs are kept.
///
/// # Errors
/// Those of the store.
pub fn at_work() -> Result<Vec<String>, Broken> {
    let mut roots: Vec<String> = Vec::new();
    loop {
        let mut scan = kv::prefix(keys::PLANS).limit(1);
        if let Some(last) = roots.last() {
            // Behind everything of that task.
            scan = scan.after(&format!("{}\u{7f}", keys::plan(last)));
        }
        let Some(first) = scan.page()?.entries.into_iter().next() else { return Ok(roots) };
        let rest = first.key.strip_prefix(keys::PLANS).unwrap_or_default();
        roots.push(rest.split('/').next().unwrap_or_default().to_owned());
    }
}

/// A boot action by its digest.
///
/// # Errors
/// Those of the host.
pub fn action(digest: &str) -> Result<Option<BootAction>, Broken> {
    match kv::get_json::<Kept>(&keys::content(digest))? {
        Some(kept) => Ok(Some(serde_json::from_str(&kept.value.content.read()?)?)),
        None => Ok(None),
    }
}

/// The boot actions of a node in a task's design.
///
/// # Errors
/// Those of the store.
pub fn actions_of(root: &str, node: &str) -> Result<Vec<ActionRef>, Broken> {
    let kept = kv::get_json(&format!("{}a/{node}", keys::plan(root)))?;
    Ok(kept.map(|stored| stored.value).unwrap_or_default())
}

/// A node of a task's design.
///
/// # Errors
/// Those of the store.
pub fn node(root: &str, name: &str) -> Result<Option<Node>, Broken> {
    Ok(kv::get_json(&format!("{}n/{name}", keys::plan(root)))?.map(|stored| stored.value))
}

/// What the nodes of a task share.
///
/// # Errors
/// Those of the host.
pub fn shared(root: &str) -> Result<Shared, Broken> {
    text(root, "shared")
}

/// The summary of a task's design.
///
/// # Errors
/// Those of the host.
pub fn summary(root: &str) -> Result<Summary, Broken> {
    text(root, "summary")
}

fn text<T: for<'de> Deserialize<'de> + Default>(root: &str, what: &str) -> Result<T, Broken> {
    match kv::get_json::<Content>(&format!("{}{what}", keys::plan(root)))? {
        Some(content) => Ok(serde_json::from_str(&content.value.read()?)?),
        None => Ok(T::default()),
    }
}

/// Forget the design of a task.
///
/// # Errors
/// Those of the host.
pub fn forget(root: &str) -> Result<(), Broken> {
    let prefix = keys::plan(root);
    let mut tx = Transaction::new();
    for what in ["shared", "summary"] {
        if let Some(content) = kv::get_json::<Content>(&format!("{prefix}{what}"))?
            && let Some(blob) = content.value.blob()
        {
            tx.drop_blob(blob);
        }
        tx.delete(format!("{prefix}{what}"));
    }
    tx.commit()?;
    let mut writer = Writer::default();
    writer.delete_all(&prefix)?;
    Ok(writer.flush()?)
}
