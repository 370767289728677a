//! What goes with the tasks that were deleted: build data and boot actions.
//!
//! They stay while their task does, and beyond it only where they are still of use: of a node's build data the newest record of each
//! generator, of its boot actions those of its present deployment. A sweep looks at everything once, in as many jobs as it
//! takes; one follows each `DELETE /tasks`, and one comes every day.
//!
//! Invariants: a sweep deletes nothing whose task is there; it can stop anywhere and begin again.

use std::collections::BTreeSet;
use std::time::Duration;

use plugbay_sdk::kv::{self, Transaction};
use plugbay_sdk::{Job, NewJob};
use serde::{Deserialize, Serialize};

use crate::fault::Broken;
use crate::settings::Settings;
use crate::store::writer::Writer;
use crate::store::{boot, builddata, inventory, keys, plan, tasks};
use crate::time::Moment;
use crate::world::World;

/// The job.
pub const JOB: &str = "sweep";
/// Records that one job looks at.
const RECORDS: u32 = 500;
/// Contents of boot actions that nothing names stay that long, since a task may be about to name them.
const SPARED: Duration = Duration::from_secs(24 * 60 * 60);

/// What a sweep goes through, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Among {
    #[default]
    BuildData,
    Actions,
    Contents,
}

/// Where it goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    among: Among,
    after: Option<String>,
    /// The node whose records are being looked at, newest first, and the generators seen of it.
    node: String,
    generators: BTreeSet<String>,
}

/// Have everything looked at.
///
/// # Errors
/// Those of the store.
pub fn begin() -> Result<(), Broken> {
    go_on(&Cursor::default())
}

fn go_on(cursor: &Cursor) -> Result<(), Broken> {
    let mut tx = Transaction::new();
    tx.enqueue(NewJob::named(JOB).key(JOB).json(cursor)?);
    tx.commit()?;
    Ok(())
}

/// Look at the next records.
pub(super) fn run(world: &World, job: &Job) -> Result<(), Broken> {
    let mut cursor = job.json::<Cursor>()?;
    let (now, settings) = (world.now(), Settings::load()?);
    let more = match cursor.among {
        Among::BuildData => build_data(&mut cursor, now, &settings)?,
        Among::Actions => actions(&mut cursor)?,
        Among::Contents => contents(&mut cursor, now)?,
    };
    let next = match (more, cursor.among) {
        (true, _) => cursor,
        (false, Among::BuildData) => Cursor { among: Among::Actions, ..Cursor::default() },
        (false, Among::Actions) => Cursor { among: Among::Contents, ..Cursor::default() },
        (false, Among::Contents) => return Ok(()),
    };
    go_on(&next)
}

/// A page of what has this prefix, from where the cursor is.
fn page(cursor: &Cursor, prefix: &str, reverse: bool) -> Result<kv::Page, Broken> {
    let mut scan = kv::prefix(prefix).limit(RECORDS);
    if reverse {
        scan = scan.reverse();
    }
    if let Some(after) = &cursor.after {
        scan = scan.after(after);
    }
    Ok(scan.page()?)
}

fn build_data(cursor: &mut Cursor, now: Moment, settings: &Settings) -> Result<bool, Broken> {
    let found = page(cursor, keys::BUILD_DATA, true)?;
    let long_ago = now.minus(Duration::from_secs(u64::from(settings.build_data_days) * 86_400));
    let mut writer = Writer::default();
    for entry in found.entries {
        let record = entry.json::<builddata::Record>()?.value;
        if record.node() != cursor.node {
            record.node().clone_into(&mut cursor.node);
            cursor.generators.clear();
        }
        let newest = cursor.generators.insert(record.generator().to_owned());
        let of_use = match record.task() {
            Some(task) if tasks::get(task)?.is_some() => true,
            _ if newest => record.collected() > long_ago || inventory::get(record.node())?.is_some(),
            Some(_) => false,
            None => record.collected() > long_ago,
        };
        if !of_use {
            if let Some(blob) = record.blob() {
                writer.drop_blob(blob.to_owned())?;
            }
            writer.delete(entry.key.clone())?;
        }
        cursor.after = Some(entry.key);
    }
    writer.flush()?;
    Ok(found.more)
}

fn actions(cursor: &mut Cursor) -> Result<bool, Broken> {
    let found = page(cursor, keys::BOOT_ACTIONS, false)?;
    let mut writer = Writer::default();
    for entry in found.entries {
        let action = entry.json::<boot::ActionRecord>()?.value;
        let present = boot::context(&action.node_name)?.is_some_and(|context| context.value.lists(&action.action_id));
        if !present && tasks::get(&action.task_id)?.is_none() {
            writer.delete(format!("{}{}", keys::incomplete(&action.root), action.action_id))?;
            writer.delete(entry.key.clone())?;
        }
        cursor.after = Some(entry.key);
    }
    writer.flush()?;
    Ok(found.more)
}

fn contents(cursor: &mut Cursor, now: Moment) -> Result<bool, Broken> {
    let named = named()?;
    let found = page(cursor, keys::CONTENTS, false)?;
    for entry in found.entries {
        let digest = entry.key.strip_prefix(keys::CONTENTS).unwrap_or_default();
        if !named.contains(digest) {
            plan::forget_action(&entry.key, now.minus(SPARED))?;
        }
        cursor.after = Some(entry.key);
    }
    Ok(found.more)
}

/// Digests that a deployed node or a task at work names.
fn named() -> Result<BTreeSet<String>, Broken> {
    let mut named = BTreeSet::new();
    for entry in kv::prefix(keys::BOOT_NODES) {
        let context = entry?.json::<boot::NodeContext>()?.value;
        named.extend(context.actions.into_iter().map(|(_, action)| action.digest));
    }
    for root in plan::at_work()? {
        named.extend(plan::summary(&root)?.actions.into_iter().map(|action| action.digest));
    }
    Ok(named)
}
