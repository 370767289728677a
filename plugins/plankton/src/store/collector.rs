//! Taking back the space of blocks that nothing uses any more, and of containers that were removed.
//!
//! Owns the `g` keys, once they are old enough: what each leads to is dealt with in small commits, and
//! the key goes with the last of them. How blocks go is in the header of [`super::keys`]. Nothing is
//! held between two runs, so a run may end anywhere and several may run at once: whatever was begun is
//! gone on with. One key that cannot be dealt with keeps none of the others back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    blocks::{self, CHUNK, Garbage, Record, reading},
    db::{self, Batch, COMMIT, Kept, Stop},
    keys, versions,
};
use crate::{
    faults::Fault,
    merkle::{EMPTY, Hash, hex},
    object::Object,
    settings::Settings,
    time::Moment,
};

/// Name of the periodic job.
pub const JOB: &str = "collect-blocks";

/// Seconds between two runs.
pub const EVERY: u32 = 15;

/// Most commits of one run: seconds, as a rule.
const COMMITS: usize = 2_048;

/// `g` keys read at once.
const PAGE: u32 = 32;

/// Classes of keys that name what is in a container. Of a removed one, markers of long names and the
/// names of removed objects are left.
const NAMED: [char; 2] = ['o', 'n'];

/// Blocks in one commit: three checks and ops for each, and the `g` keys around them.
const TOGETHER: usize = (COMMIT - 3) / 3;

/// One run, with the operator's wait; with the default one while the settings do not read.
pub fn run() -> Result<(), Fault> {
    let settings = Settings::load().unwrap_or_default();
    collect(Duration::from_secs(settings.collect_after), COMMITS)
}

/// Deal with what was left to the collector that long ago, in at most so many commits.
pub fn collect(wait: Duration, commits: usize) -> Result<(), Fault> {
    let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
    let due = Moment(Moment::now().0.saturating_sub(wait));
    let mut run = Run { due, left: commits };
    let mut from = keys::GARBAGE.to_owned();
    let end = keys::garbage_until(due);
    while run.left > 0 && from < end {
        let page = db::scan(&from, &end, PAGE, false)?;
        for entry in page.entries {
            if run.left == 0 {
                return Ok(());
            }
            from = format!("{}\0", entry.key);
            let done = db::read_json(&entry.value)
                .map_err(Stop::Fault)
                .and_then(|garbage| run.look(&entry.key, &Kept { value: garbage, version: entry.version }));
            match done {
                Ok(()) | Err(Stop::Raced) => {}
                Err(Stop::Fault(fault)) => plugbay_sdk::error!("collecting `{}`: {fault}", entry.key),
            }
        }
        if !page.more {
            break;
        }
    }
    Ok(())
}

/// What a run may still do.
struct Run {
    /// What is older than this is due.
    due: Moment,
    /// Commits.
    left: usize,
}

impl Run {
    fn commit(&mut self, batch: Batch) -> Result<u64, Stop> {
        self.left = self.left.saturating_sub(1);
        batch.commit()
    }

    fn look(&mut self, key: &str, garbage: &Kept<Garbage>) -> Result<(), Stop> {
        if let Some(doomed) = &garbage.value.doomed {
            return self.drop_blocks(key, doomed);
        }
        if let Some(container) = &garbage.value.container {
            return self.remove_container(key, container);
        }
        let Some((_, map)) = key.rsplit_once('/') else {
            return Ok(());
        };
        if in_use(map, &garbage.value)? {
            return self.forget(key, garbage.version, []);
        }
        self.release(key, map, garbage)
    }

    /// The collector is done with this key, and with what it led to.
    fn forget(&mut self, key: &str, version: u64, with: impl IntoIterator<Item = String>) -> Result<(), Stop> {
        let mut batch = Batch::default();
        batch.unchanged(key, Some(version));
        batch.delete(key);
        for key in with {
            batch.delete(key);
        }
        self.commit(batch)?;
        Ok(())
    }

    /// Take a map's references away, and doom the blocks that have no other.
    fn release(&mut self, key: &str, map: &str, garbage: &Kept<Garbage>) -> Result<(), Stop> {
        let mut version = garbage.version;
        let mut garbage = garbage.value.clone();
        let listed = garbage.blocks.as_deref().map(blocks::hashes);
        loop {
            // One chunk of the list, and where in it to go on.
            let (chunk, first) = match &listed {
                Some(hashes) => (hashes.clone(), garbage.done),
                None => {
                    let blocks = reading::chunk(map, garbage.done / CHUNK)?;
                    (blocks.iter().map(|block| block.hash).collect(), garbage.done % CHUNK)
                }
            };
            let rest = chunk.get(first..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            for some in rest.chunks(TOGETHER) {
                if self.left == 0 {
                    return Ok(());
                }
                garbage.done += some.len();
                let mut batch = Batch::default();
                batch.unchanged(key, Some(version));
                batch.put_json(key, &garbage)?;
                doom(map, some, &mut batch)?;
                version = self.commit(batch)?;
            }
        }
        let chunks = if listed.is_some() { 0 } else { garbage.done.div_ceil(CHUNK) };
        self.forget(key, version, (0..chunks).map(|index| keys::chunk(map, index)))
    }

    /// Drop the blocks of these that are still doomed, as long as they were to be.
    fn drop_blocks(&mut self, key: &str, doomed: &[String]) -> Result<(), Stop> {
        let mut batch = Batch::default();
        for hash in doomed {
            let block = keys::block(hash);
            let Some(Kept { value, version }) = db::get_json::<Record>(&block)? else {
                continue;
            };
            // Someone may have used it since; or used it and let go of it again, under a later key.
            if value.doomed.is_none_or(|since| since > self.due) {
                continue;
            }
            batch.unchanged(&block, Some(version));
            if referenced(hash, None)? {
                batch.put_json(block, &Record { doomed: None, ..value })?;
            } else {
                batch.delete(block);
                batch.drop_blob(keys::blob(hash));
            }
        }
        batch.delete(key);
        self.commit(batch)?;
        Ok(())
    }

    /// Remove what is left of a container: what its objects were, and the names in it.
    fn remove_container(&mut self, key: &str, container: &str) -> Result<(), Stop> {
        let before = self.left;
        let history = keys::histories(container);
        let rest = versions::purge(&history, None, None, before)?;
        if rest.is_some() {
            self.left = 0;
            return Ok(());
        }
        for class in NAMED {
            if !self.clear(class, container)? {
                return Ok(());
            }
        }
        let mut batch = Batch::default();
        batch.delete(key);
        self.commit(batch)?;
        Ok(())
    }

    /// Remove what is left of a class of names in a container; false if there is more to do.
    fn clear(&mut self, class: char, container: &str) -> Result<bool, Stop> {
        let mut spaces = vec![container.to_owned()];
        while let Some(space) = spaces.pop() {
            let prefix = keys::space(class, &space);
            loop {
                if self.left == 0 {
                    return Ok(false);
                }
                let limit = u32::try_from(COMMIT).unwrap_or(PAGE);
                let page = db::scan(&prefix, &keys::end_of(&prefix), limit, false)?;
                if page.entries.is_empty() {
                    break;
                }
                // What is below a marker goes first: the marker is the way to it.
                let below: Vec<String> = page
                    .entries
                    .iter()
                    .filter_map(|entry| entry.key.strip_prefix(&prefix)?.strip_suffix('\0'))
                    .map(|head| keys::below(&space, head))
                    .collect();
                let mut full = false;
                for space in &below {
                    let prefix = keys::space(class, space);
                    full |= !db::scan(&prefix, &keys::end_of(&prefix), 1, false)?.entries.is_empty();
                }
                if full {
                    spaces.push(space);
                    spaces.extend(below);
                    break;
                }
                let mut batch = Batch::default();
                for entry in page.entries {
                    batch.delete(entry.key);
                }
                self.commit(batch)?;
            }
        }
        Ok(true)
    }
}

/// Whether a version at the path still uses a map.
fn in_use(map: &str, garbage: &Garbage) -> Result<bool, Fault> {
    let (Some(head), Some(history)) = (&garbage.head, &garbage.history) else {
        return Ok(false);
    };
    if db::get_json::<Object>(head)?.is_some_and(|object| object.value.content.map == map) {
        return Ok(true);
    }
    for entry in plugbay_sdk::kv::prefix(history).iter() {
        let version: Object = db::read_json(&entry?.value)?;
        if version.content.map == map {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a map, other than this one, refers to a block.
fn referenced(hash: &str, but: Option<&str>) -> Result<bool, Fault> {
    let prefix = keys::references(hash);
    let page = db::scan(&prefix, &keys::end_of(&prefix), 2, false)?;
    Ok(page.entries.iter().any(|entry| entry.key.strip_prefix(&prefix) != but))
}

/// Take a map's references to these blocks away, and doom those that nothing else refers to.
fn doom(map: &str, hashes: &[Hash], batch: &mut Batch) -> Result<(), Stop> {
    let now = Moment::now();
    let mut doomed = Vec::new();
    let distinct: BTreeSet<&Hash> = hashes.iter().filter(|hash| **hash != EMPTY).collect();
    // Read before the references: one that is added after this changes no record, and is seen before
    // the block is dropped.
    let mut records: BTreeMap<&Hash, Kept<Record>> = BTreeMap::new();
    for hash in &distinct {
        if let Some(kept) = db::get_json::<Record>(&keys::block(&hex(*hash)))? {
            records.insert(hash, kept);
        }
    }
    for hash in distinct {
        let text = hex(hash);
        batch.delete(keys::reference(&text, map));
        if let Some(kept) = records.get(hash)
            && !referenced(&text, Some(map))?
        {
            let block = keys::block(&text);
            batch.unchanged(&block, Some(kept.version));
            batch.put_json(block, &Record { doomed: Some(now), ..kept.value })?;
            doomed.push(text);
        }
    }
    if !doomed.is_empty() {
        let key = keys::garbage(now, &format!("doomed-{}", db::random_hex(8)?));
        batch.put_json(key, &Garbage { doomed: Some(doomed), ..Garbage::default() })?;
    }
    Ok(())
}
