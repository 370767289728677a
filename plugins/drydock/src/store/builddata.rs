//! Build data of nodes: records by node and time, found by task too.

use plugbay_sdk::kv::{self, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::content::Content;
use super::{ids, keys};
use crate::fault::Broken;
use crate::time::Moment;

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    node_name: String,
    task_id: Option<String>,
    collected_date: Moment,
    generator: String,
    data_format: String,
    data: Content,
}

/// A record that is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct New<'a> {
    /// The node.
    pub node: &'a str,
    /// The task that collected it.
    pub task: Option<&'a str>,
    /// What made it.
    pub generator: &'a str,
    /// MIME type.
    pub format: &'a str,
    /// The data.
    pub data: &'a str,
}

/// Keep a record.
///
/// # Errors
/// Those of the host.
pub fn add(new: New<'_>, now: Moment) -> Result<(), Broken> {
    let mut tx = Transaction::new();
    let record = Record {
        node_name: new.node.to_owned(),
        task_id: new.task.map(str::to_owned),
        collected_date: now,
        generator: new.generator.to_owned(),
        data_format: new.format.to_owned(),
        data: Content::keep(&mut tx, new.data, now)?,
    };
    let order = ids::order(now)?;
    let key = format!("{}{order}", keys::build_data(new.node));
    tx.put_json(&*key, &record)?;
    if let Some(task) = new.task {
        tx.put(format!("{}{order}", keys::build_data_of(task)), key.as_bytes());
    }
    tx.commit()?;
    Ok(())
}

/// Records of a node, oldest first; with `latest` the newest of each generator.
///
/// # Errors
/// Those of the host.
pub fn of_node(node: &str, latest: bool) -> Result<Vec<Value>, Broken> {
    if node.len() > 255 || node.contains('/') {
        return Ok(Vec::new());
    }
    let mut records: Vec<Record> = Vec::new();
    for entry in kv::prefix(&keys::build_data(node)) {
        let record: Record = entry?.json()?.value;
        if latest {
            records.retain(|known| known.generator != record.generator);
        }
        records.push(record);
    }
    records.iter().map(Record::view).collect()
}

/// The newest data of a generator about a node.
///
/// # Errors
/// Those of the host.
pub fn newest(node: &str, generator: &str) -> Result<Option<String>, Broken> {
    for entry in kv::prefix(&keys::build_data(node)).reverse() {
        let record: Record = entry?.json()?.value;
        if record.generator == generator {
            return record.data.read().map(Some);
        }
    }
    Ok(None)
}

/// Records that a task collected, oldest first.
///
/// # Errors
/// Those of the host.
pub fn of_task(task: &str) -> Result<Vec<Value>, Broken> {
    let mut records = Vec::new();
    for entry in kv::prefix(&keys::build_data_of(task)) {
        let key = String::from_utf8_lossy(&entry?.value).into_owned();
        if let Some(record) = kv::get_json::<Record>(&key)? {
            records.push(record.value.view()?);
        }
    }
    Ok(records)
}

impl Record {
    /// The node.
    pub fn node(&self) -> &str {
        &self.node_name
    }

    /// The task that collected it.
    pub fn task(&self) -> Option<&str> {
        self.task_id.as_deref()
    }

    /// What made it.
    pub fn generator(&self) -> &str {
        &self.generator
    }

    /// When.
    pub fn collected(&self) -> Moment {
        self.collected_date
    }

    /// The blob that has its data, if one has.
    pub fn blob(&self) -> Option<&str> {
        self.data.blob()
    }

    fn view(&self) -> Result<Value, Broken> {
        Ok(json!({
            "node_name": self.node_name,
            "task_id": self.task_id,
            "collected_date": self.collected_date.text(),
            "generator": self.generator,
            "data_format": self.data_format,
            "data_element": self.data.read()?,
        }))
    }
}
