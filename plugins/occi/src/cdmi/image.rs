//! The disk of a container that is a storage: one raw data object in it, which becomes a file when a machine gets it.
//!
//! Which one it is: what the container's metadata names, else the only data object, else one that is made, of zeros. Once a
//! machine had it, it stays the one as long as it is there.
//!
//! Invariant: whoever makes the file writes the record of the object, even if nothing changes. A client that writes the
//! value looks whether a machine is linked after it has read that record, so that one of both is told.

use plugbay_sdk::{FileRange, Segment, blobs, kv};

use super::{
    record::{self, Kept, Kind, Record},
    value,
};
use crate::{
    fault::Fault,
    model::infrastructure::bytes,
    store::{
        batch::{Batch, attempt},
        keys::Keys,
    },
};

/// User metadata of a container with the size of its disk, in GiB.
pub const SIZE_ITEM: &str = "occi_storage_size";

/// User metadata with the name of the object that is its disk.
pub const IMAGE_ITEM: &str = "occi_storage_image";

/// Name of a disk that nobody named.
pub const NAME: &str = "disk.raw";

/// Folder of the files, in the private directory.
pub const FOLDER: &str = "cdmi";

/// Permissions of the files.
const MODE: u32 = 0o600;

const SECTOR: u64 = 512;

/// Bytes that a container's metadata asks for; 0 if it does not say.
pub fn stated(container: &Record) -> u64 {
    let size = container.metadata.get(SIZE_ITEM).and_then(|size| match size {
        serde_json::Value::String(text) => text.parse::<f64>().ok(),
        other => other.as_f64(),
    });
    size.filter(|size| *size > 0.0 && size.is_finite()).map_or(0, bytes)
}

/// A disk of zeros for a new container.
pub fn empty(id: String, container: &Record, name: &str) -> Record {
    let mut image = Record::new(id, Kind::DataObject, name, Some(container.id.clone()), &container.owner);
    "application/octet-stream".clone_into(&mut image.mimetype);
    image.utf8 = false;
    image.size = stated(container);
    image
}

fn wanted(container: &Record) -> Option<&str> {
    container.metadata.get(IMAGE_ITEM).and_then(serde_json::Value::as_str)
}

/// The data object that is a container's disk; none if there is none yet.
///
/// # Errors
/// 409 if it cannot be told.
pub fn find(keys: &Keys, container: &Record) -> Result<Option<Kept>, Fault> {
    if let Some(known) = &container.image
        && let Some(image) = record::by_id(keys, known)?
    {
        return Ok(Some(image));
    }
    if let Some(name) = wanted(container) {
        return match record::child(keys, &container.id, name)? {
            Some((Kind::DataObject, id)) => record::by_id(keys, &id),
            Some((Kind::Container, _)) => Err(Fault::conflict(format!("{name} is a container, and no disk."))),
            None => Ok(None),
        };
    }
    let mut found = None;
    for entry in kv::prefix(&record::names(keys, &container.id)).iter() {
        let (kind, id) = record::leads_to(entry?.value)?;
        if kind == Kind::DataObject && found.replace(id).is_some() {
            let message = format!("The container holds several data objects; name one of them in {IMAGE_ITEM}.");
            return Err(Fault::conflict(message));
        }
    }
    Ok(found.map(|id| record::by_id(keys, &id)).transpose()?.flatten())
}

/// Bytes that the disk of a container has, or is to have; 0 if nobody says.
///
/// # Errors
/// 409 if it cannot be told which object is the disk.
pub fn size(keys: &Keys, container: &Record) -> Result<u64, Fault> {
    let image = find(keys, container)?.map_or(0, |kept| kept.record.size);
    Ok(image.max(stated(container)).div_ceil(SECTOR) * SECTOR)
}

/// The same, where there has to be one.
///
/// # Errors
/// 409 if there is none.
pub fn size_of_disk(keys: &Keys, container: &str) -> Result<u64, Fault> {
    let holder = record::by_id(keys, container)?.ok_or_else(gone)?;
    match size(keys, &holder.record)? {
        0 => Err(Fault::conflict(format!(
            "The container holds no disk, and does not say in {SIZE_ITEM} how large one is."
        ))),
        size => Ok(size),
    }
}

fn gone() -> Fault {
    Fault::conflict("The container is gone.")
}

/// Make the disk of a container a file, unless it is one. Its path in the private directory, whose folder has to be there.
///
/// # Errors
/// 409 if there is no disk, 507 if there is no room for it.
pub fn ensure(keys: &Keys, container: &str) -> Result<String, Fault> {
    attempt(|| {
        let size = size_of_disk(keys, container)?;
        let holder = record::by_id(keys, container)?.ok_or_else(gone)?;
        let mut batch = Batch::default();
        let (mut image, version) = match find(keys, &holder.record)? {
            Some(kept) => (kept.record, kept.version),
            None => {
                let name = wanted(&holder.record).unwrap_or(NAME);
                let image = empty(super::change::new_id()?, &holder.record, name);
                record::enter(keys, &mut batch, &image);
                (image, None)
            }
        };
        let file = image.file.clone().unwrap_or_else(|| format!("{FOLDER}/{}-{}.raw", keys.space(), image.id));
        let value = value::segment(&image);
        let grown = Segment::Zeros(size.saturating_sub(image.size));
        match (&image.file, size > image.size) {
            (Some(file), true) => {
                let whole = Segment::File(FileRange::whole(file));
                blobs::to_file(&[whole, grown], file, MODE).map_err(value::broken)?;
            }
            (Some(_), false) => {}
            (None, _) => drop(blobs::to_file(&[value, grown], &file, MODE).map_err(value::broken)?),
        }
        if let Some(blob) = image.blob.take() {
            batch.drop_blob(&blob);
        }
        (image.file, image.size) = (Some(file.clone()), size);
        let key = record::key(keys, &image.id);
        batch.unchanged(&key, version);
        batch.put_json(key, &image)?;
        let key = record::key(keys, &holder.record.id);
        batch.unchanged(&key, holder.version);
        if holder.record.image.as_ref() != Some(&image.id) {
            batch.put_json(key, &Record { image: Some(image.id), ..holder.record })?;
        }
        batch.commit()?;
        Ok(file)
    })
}

/// Whether an object is, or is to be, the disk of its container.
///
/// # Errors
/// Those of the store.
pub fn is_disk(keys: &Keys, container: &Record, object: &Record) -> Result<bool, Fault> {
    if object.kind != Kind::DataObject {
        return Ok(false);
    }
    match find(keys, container) {
        Ok(Some(found)) => Ok(found.record.id == object.id),
        // It is about to come, and is alone, or the one that is named.
        Ok(None) => Ok(wanted(container).is_none_or(|name| name == object.name)),
        Err(fault) if fault.status == 409 => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Remove files that no object has any more, which a host that was killed may leave.
///
/// # Errors
/// Those of the store.
pub fn sweep() -> Result<(), Fault> {
    let files = std::fs::read_dir(format!("/{FOLDER}")).into_iter().flatten().flatten();
    for name in files.filter_map(|file| file.file_name().into_string().ok()) {
        let Some((space, id)) = name.strip_suffix(".raw").and_then(|stem| stem.split_once('-')) else { continue };
        let file = format!("{FOLDER}/{name}");
        let kept = record::by_id(&Keys::within(space), id)?;
        if kept.is_none_or(|kept| kept.record.file.as_ref() != Some(&file)) {
            value::remove(&file);
        }
    }
    Ok(())
}
