//! What a machine boots from: the operator's images, those of an image service, and copies of machines.
//!
//! An image of the service is fetched when a machine is first started from it. Nobody waits for that in a request: the
//! machine is noted as waiting and starts when the image is here.

use serde_json::json;

use super::{
    Qemu,
    disk::{self, Source},
    failure,
};
use crate::{
    entity::Entity,
    images,
    model::templates::{self, Format},
    provider::{Effects, Failure, Left},
};

/// How often a machine looks whether its image is here, in milliseconds.
const LOOK_MS: u64 = 250;

const STATE: &str = "occi.compute.state";
const MESSAGE: &str = "occi.compute.state.message";

/// What a machine boots from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A disk with nothing on it.
    Empty,
    /// A file.
    File(Source),
    /// An image that is still elsewhere; the term of its template.
    Away(String),
}

impl Qemu {
    /// What a machine's template has.
    ///
    /// # Errors
    /// `Refused` if it is not there yet, or not any more.
    pub(super) fn origin(&self, machine: &Entity) -> Result<Origin, Failure> {
        let mut terms = machine.mixins.iter().filter(|id| id.scheme() == templates::IMAGES);
        let Some(term) = terms.next().map(|id| id.term()) else { return Ok(Origin::Empty) };
        let disks = self.disks();
        let source = match disks.of_operator(term) {
            Some(Some(source)) => source,
            Some(None) => return Ok(Origin::Empty),
            None => match images::find(term).map_err(failure)?.filter(|_| self.has_service) {
                Some(image) => {
                    let Some(path) = image.file.filter(|file| disks.exists(file)) else {
                        return Ok(Origin::Away(term.to_owned()));
                    };
                    Source { path, format: image.format }
                }
                None => Source { path: disk::saved(term), format: Format::Qcow2 },
            },
        };
        // What is elsewhere on the host is the operator's, and `qemu-img` says if it is not there.
        if source.path.starts_with('/') || disks.exists(&source.path) {
            Ok(Origin::File(source))
        } else {
            Err(Failure::Refused(format!("The image {term} is not there yet, or not any more.")))
        }
    }

    /// Make what a machine boots from, unless it is there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn ensure_root(&self, machine: &Entity) -> Result<(), Failure> {
        let disks = self.disks();
        if disks.exists(&disk::root(&machine.seq)) {
            return Ok(());
        }
        match self.origin(machine)? {
            Origin::Empty => disks.ensure_root(machine, None),
            Origin::File(source) => {
                // Noted first, so that the file stays as long as something is made of it.
                if source.path.starts_with(images::FOLDER) {
                    self.amend(machine, false, |record| {
                        record.image = Some(source.path.clone());
                        Ok(())
                    })?;
                }
                disks.ensure_root(machine, Some(&source))
            }
            Origin::Away(term) => Err(Failure::Refused(format!("The image {term} is not here yet; try again."))),
        }
    }

    /// Have a machine wait for its image, if that is away; what it shows then.
    pub(super) fn wait_for_image(&self, machine: &Entity) -> Result<Option<Effects>, Failure> {
        if self.disks().exists(&disk::root(&machine.seq)) {
            return Ok(None);
        }
        let Origin::Away(term) = self.origin(machine)? else { return Ok(None) };
        images::want(&term).map_err(failure)?;
        self.change(machine, true, |record| {
            record.waits = true;
            Ok(())
        })?;
        let message = "The image is being fetched; the machine starts when it is here.";
        Ok(Some(vec![(STATE, json!("inactive")), (MESSAGE, json!(message))]))
    }

    /// A machine waits for its image.
    pub(super) fn go_on_waiting(&self, machine: &Entity) -> Result<Left, Failure> {
        let over = || {
            self.amend(machine, false, |record| {
                record.waits = false;
                Ok(())
            })
        };
        let why = match self.origin(machine) {
            Ok(Origin::Away(term)) => match images::find(&term).map_err(failure)? {
                Some(image) if image.wanted => return Ok(Left::LookIn(LOOK_MS)),
                Some(image) => image.failed.unwrap_or_else(|| "nobody fetches it".to_owned()),
                None => "the service has it no more".to_owned(),
            },
            Err(Failure::Refused(why)) => why,
            Err(other) => return Err(other),
            Ok(Origin::Empty | Origin::File(_)) => {
                let started = if self.runs(machine)? { Ok(()) } else { self.spawn(machine) };
                // What is refused may be possible in a moment.
                if !matches!(started, Err(Failure::Refused(_) | Failure::Unavailable(_))) {
                    over()?;
                }
                return started.map(|()| Left::Nothing);
            }
        };
        over()?;
        Err(Failure::Failed(format!("The image cannot be had: {why}")))
    }
}
