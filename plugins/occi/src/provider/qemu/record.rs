//! What is kept of a machine beside its entity: where it is, and work that is under way.

use std::collections::BTreeMap;

use plugbay_sdk::{NewJob, kv};
use serde::{Deserialize, Serialize};

use crate::{
    entity::Entity,
    fault::Fault,
    provider::Failure,
    store::{
        batch::{Batch, attempt},
        keys::{Keys, MACHINES},
    },
};

/// The job that brings work forward.
pub const SETTLE: &str = "settle";

/// The first of the places on the machine's bus that links get; those before are the machine's own.
const FIRST_PLACE: u8 = 5;

/// The last.
const LAST_PLACE: u8 = 31;

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name space.
    pub space: String,
    /// Its path there.
    pub path: String,
    /// Places on its bus by path of the link.
    #[serde(default)]
    pub places: BTreeMap<String, u8>,
    /// A guest that was asked to power itself off.
    #[serde(default)]
    pub leaving: Option<Leaving>,
    /// How far its hibernation is.
    #[serde(default)]
    pub hibernation: Hibernation,
    /// Copies under way: ids of images.
    #[serde(default)]
    pub copies: Vec<Copy>,
    /// Whether it is to start when its image is here.
    #[serde(default)]
    pub waits: bool,
    /// File of the image service that its disk is made of.
    #[serde(default)]
    pub image: Option<String>,
}

/// In place of a process: the next is being started.
pub const BEING_STARTED: u32 = 0;

/// A guest that was asked to power itself off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// Which process; another one was not asked. [`BEING_STARTED`] when it has left and its successor is on its way.
    pub pid: u32,
    /// When its time is up, in milliseconds since 1970.
    pub until: u64,
    /// Whether it is started again then.
    pub restart: bool,
}

/// How far a hibernation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hibernation {
    /// There is none.
    #[default]
    None,
    /// The stopped guest is being written into its disk.
    Saving,
    /// It is in its disk, and nothing has run since.
    Saved,
    /// It runs again; what is in the disk is to go.
    Stale,
}

/// A copy of a machine's disk that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Id of the image.
    pub image: String,
    /// Whether it begins when the machine has ended.
    pub deferred: bool,
}

/// Key of a machine's record.
pub fn key(seq: &str) -> String {
    format!("{MACHINES}{seq}")
}

/// The record of a machine; none if it never had one.
///
/// # Errors
/// Those of the store.
pub fn find(seq: &str) -> Result<Option<Record>, Fault> {
    Ok(kv::get_json::<Record>(&key(seq))?.map(|stored| stored.value))
}

/// The machines that have a record: `seq` and record.
///
/// # Errors
/// Those of the store.
pub fn all() -> Result<Vec<(String, Record)>, Fault> {
    let mut all = Vec::new();
    for entry in kv::prefix(MACHINES).iter() {
        let entry = entry?;
        let seq = entry.key.strip_prefix(MACHINES).unwrap_or_default().to_owned();
        all.push((seq, entry.json::<Record>()?.value));
    }
    Ok(all)
}

/// Change a machine's record, which is made if there is none. With `soon`, what is under way is looked at by a job.
/// What the change returns.
///
/// # Errors
/// What the change refuses, and the store's.
pub fn change<T>(
    keys: &Keys,
    machine: &Entity,
    soon: bool,
    with: impl FnMut(&mut Record) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let new = Record { space: keys.space().to_owned(), path: machine.path.clone(), ..Record::default() };
    write(&machine.seq, Some(&new), soon, with)
}

/// The same for a machine that has a record. One that has none is being deleted, and whatever goes on for it ends here.
///
/// # Errors
/// `Refused` without a record, else as for [`change`].
pub fn amend<T>(
    machine: &Entity,
    soon: bool,
    with: impl FnMut(&mut Record) -> Result<T, Failure>,
) -> Result<T, Failure> {
    write(&machine.seq, None, soon, with)
}

/// What those are told who come too late.
pub const DELETED: &str = "The machine is being deleted.";

fn write<T>(
    seq: &str,
    new: Option<&Record>,
    soon: bool,
    mut with: impl FnMut(&mut Record) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let key = key(seq);
    let mut refused = None;
    let done = attempt(|| {
        let before = kv::get_json::<Record>(&key)?;
        let Some(mut record) = before.as_ref().map(|stored| &stored.value).or(new).cloned() else {
            refused = Some(Failure::Refused(DELETED.to_owned()));
            return Ok(None);
        };
        let value = match with(&mut record) {
            Ok(value) => value,
            Err(failure) => {
                refused = Some(failure);
                return Ok(None);
            }
        };
        let mut batch = Batch::default();
        if before.as_ref().is_none_or(|stored| stored.value != record) {
            batch.unchanged(&key, before.map(|stored| stored.version));
            batch.put_json(key.clone(), &record)?;
        }
        if soon {
            let job = NewJob::named(SETTLE).key(seq.to_owned()).payload(seq.as_bytes());
            batch.enqueue(job);
        }
        batch.commit()?;
        Ok(Some(value))
    });
    match (done, refused) {
        (Ok(Some(value)), _) => Ok(value),
        (_, Some(failure)) => Err(failure),
        (Ok(None), None) => Err(Failure::Unavailable("The store did not answer.".to_owned())),
        (Err(fault), None) => Err(Failure::Unavailable(fault.message)),
    }
}

/// Forget the copies that a machine with a record was to be made of.
///
/// # Errors
/// `Refused` without a record, and the store's.
pub fn forget_copies(seq: &str) -> Result<(), Failure> {
    write(seq, None, false, |record| {
        record.copies.clear();
        Ok(())
    })
}

/// Forget a machine, unless a copy of it is being made. From here on nobody starts it: see [`amend`].
///
/// # Errors
/// 409 if there is a copy, and those of the store.
pub fn forget(seq: &str) -> Result<(), Fault> {
    let key = key(seq);
    attempt(|| {
        let Some(known) = kv::get_json::<Record>(&key)? else { return Ok(()) };
        if !known.value.copies.is_empty() {
            return Err(Fault::conflict("A copy of the machine is being made; try again.").into());
        }
        let mut batch = Batch::default();
        batch.unchanged(&key, Some(known.version));
        batch.delete(key.clone());
        batch.commit()
    })
}

impl Record {
    /// A place on the bus for a link: the one it has, or a free one.
    ///
    /// # Errors
    /// If all are taken.
    pub fn place(&mut self, machine: &Entity, link: &str) -> Result<u8, Failure> {
        if let Some(place) = self.places.get(link) {
            return Ok(*place);
        }
        self.places.retain(|known, _| machine.links.contains(known));
        let free = (FIRST_PLACE..=LAST_PLACE).find(|place| self.places.values().all(|taken| taken != place));
        let place = free.ok_or_else(|| {
            let most = LAST_PLACE - FIRST_PLACE + 1;
            Failure::Refused(format!("A machine has at most {most} disks and interfaces."))
        })?;
        self.places.insert(link.to_owned(), place);
        Ok(place)
    }

    /// Whether nothing is under way.
    pub fn is_settled(&self) -> bool {
        let hibernation = matches!(self.hibernation, Hibernation::None | Hibernation::Saved);
        hibernation && self.leaving.is_none() && self.copies.is_empty() && !self.waits
    }
}
