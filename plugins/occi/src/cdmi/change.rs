//! Creating, changing and deleting objects.

use plugbay_sdk::{Piece, blobs, kv};
use serde_json::{Map, Value};

use super::{
    exports,
    fields::Fields,
    id, image,
    place::Place,
    record::{self, Kept, Kind, Record},
    value::{self, broken},
    wish::{Wish, base64},
};
use crate::{
    fault::Fault,
    service::Service,
    store::{
        batch::{Batch, Stop, attempt},
        entities::Sequence,
        keys::Keys,
    },
};

/// Objects that are deleted in one commit.
const TOGETHER: usize = 20;

/// A new value.
#[derive(Debug, Clone)]
pub struct NewValue {
    /// Its bytes; none if it is empty.
    pub piece: Option<Piece>,
    /// How many.
    pub size: u64,
    /// Whether it goes as text.
    pub utf8: bool,
}

/// What becomes of an object, whichever way it was asked for.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// A new value.
    pub value: Option<NewValue>,
    /// A new media type.
    pub mimetype: Option<String>,
    /// New items of metadata.
    pub metadata: Option<Map<String, Value>>,
    /// New exports.
    pub exports: Option<Map<String, Value>>,
    /// Whether more is to come.
    pub partial: bool,
}

/// An id that no object has.
///
/// # Errors
/// 500 without randomness.
pub fn new_id() -> Result<String, Fault> {
    Ok(id::of(&Sequence::now().advance()?))
}

/// A value of these bytes.
///
/// # Errors
/// 500 if they cannot be kept.
pub fn of_bytes(bytes: &[u8], utf8: bool) -> Result<NewValue, Fault> {
    let piece = if bytes.is_empty() { None } else { Some(blobs::write(bytes, &[]).map_err(broken)?) };
    Ok(NewValue { piece, size: bytes.len() as u64, utf8 })
}

impl Change {
    /// What a document asks for, of the object that is there (or of a new one).
    ///
    /// # Errors
    /// 400 for a bad value or range, 404 for a source that is not there.
    pub fn of(keys: &Keys, wish: Wish, fields: &Fields, before: Option<&Record>) -> Result<Change, Fault> {
        let new = match (fields.value, before, &wish.value) {
            (Some(range), Some(before), Some(part)) => Some(overwritten(before, range, &base64(part)?)?),
            _ => match &wish.copy {
                Some(source) => Some(copied(keys, source)?),
                None => wish.bytes()?.map(|(bytes, utf8)| of_bytes(&bytes, utf8)).transpose()?,
            },
        };
        let metadata = match (wish.metadata, before) {
            // Only the items named are touched; one that is not in the document goes.
            (given, Some(before)) if !fields.metadata.is_empty() => {
                let given = given.unwrap_or_default();
                let mut items = before.metadata.clone();
                items.retain(|name, _| !fields.metadata.contains(name));
                items.extend(given.into_iter().filter(|(name, _)| fields.metadata.contains(name)));
                Some(items)
            }
            (given, _) => given,
        };
        Ok(Change { value: new, mimetype: wish.mimetype, metadata, exports: wish.exports, partial: false })
    }

    fn apply(self, record: &mut Record, batch: &mut Batch, keys: &Keys) -> Result<(), Fault> {
        if let Some(value) = self.value {
            if let Some(old) = record.blob.take() {
                batch.drop_blob(&old);
            }
            if let Some(piece) = &value.piece {
                let name = format!("cdmi/{}/{}/{}", keys.space(), record.id, Sequence::now().advance()?);
                batch.attach(&name, piece);
                record.blob = Some(name);
            }
            record.file = None;
            record.size = value.size;
            record.utf8 = value.utf8;
        }
        if let Some(mimetype) = self.mimetype {
            record.mimetype = mimetype;
        }
        if let Some(metadata) = self.metadata {
            record.metadata = metadata;
        }
        record.partial = self.partial;
        record.touch();
        Ok(())
    }
}

/// A value with these bytes from `from` to `to` on; a longer one if they go past the end.
fn overwritten(before: &Record, (from, to): (u64, u64), bytes: &[u8]) -> Result<NewValue, Fault> {
    if bytes.len() as u64 != to - from + 1 || from > before.size {
        return Err(Fault::bad_request("The range and the value do not fit each other, or the object."));
    }
    let middle = blobs::write(bytes, &[]).map_err(broken)?;
    let mut ranges = value::ranges(before, 0, from)?;
    ranges.push(middle.range());
    ranges.extend(value::ranges(before, to + 1, before.size.saturating_sub(to + 1))?);
    let piece = blobs::concat(&ranges, &[]).map_err(broken)?;
    Ok(NewValue { size: piece.size, piece: Some(piece), utf8: before.utf8 })
}

fn copied(keys: &Keys, source: &str) -> Result<NewValue, Fault> {
    let Place::Taken(found) = Place::of(keys, source)? else {
        return Err(Fault::not_found(format!("There is nothing at {source}.")));
    };
    if found.record.kind != Kind::DataObject {
        return Err(Fault::bad_request("Only data objects can be copied."));
    }
    let ranges = value::ranges(&found.record, 0, found.record.size)?;
    let piece = if ranges.is_empty() { None } else { Some(blobs::concat(&ranges, &[]).map_err(broken)?) };
    Ok(NewValue { piece, size: found.record.size, utf8: found.record.utf8 })
}

/// Create an object in a container, or one without a name.
///
/// # Errors
/// Those of the store, and of exports.
pub fn create(service: &Service, parent: Option<&Kept>, record: Record, change: &Change) -> Result<Record, Fault> {
    let keys = &service.keys;
    attempt(|| {
        let mut batch = Batch::default();
        let mut made = record.clone();
        change.clone().apply(&mut made, &mut batch, keys)?;
        if let Some(parent) = parent {
            let parent =
                record::by_id(keys, &parent.record.id)?.ok_or_else(|| Fault::not_found("The container is gone."))?;
            made.parent = Some(parent.record.id.clone());
            exports::follow(service, &mut batch, &parent.record, &made)?;
            touch(keys, &mut batch, parent)?;
        }
        record::enter(keys, &mut batch, &made);
        made.created = made.modified;
        made.changes = 0;
        if let Some(wanted) = &change.exports {
            exports::change(service, &mut batch, &mut made, wanted)?;
        }
        let key = record::key(keys, &made.id);
        batch.unchanged(&key, None);
        batch.put_json(key, &made)?;
        match batch.commit() {
            // Someone else took the name: that is for the client to know.
            Err(Stop::Raced) if taken(keys, &made)? => Err(Fault::conflict("The name has just been taken.").into()),
            other => other.map(|()| made),
        }
    })
}

fn taken(keys: &Keys, record: &Record) -> Result<bool, Fault> {
    match &record.parent {
        Some(parent) => Ok(record::child(keys, parent, &record.name)?.is_some()),
        None => Ok(false),
    }
}

fn touch(keys: &Keys, batch: &mut Batch, mut kept: Kept) -> Result<(), Fault> {
    let key = record::key(keys, &kept.record.id);
    batch.unchanged(&key, kept.version);
    kept.record.touch();
    batch.put_json(key, &kept.record)
}

/// Change an object.
///
/// # Errors
/// 404 if it is gone; those of exports.
pub fn update(service: &Service, id: &str, change: &Change) -> Result<Record, Fault> {
    let keys = &service.keys;
    let (before, after) = attempt(|| {
        let before = record::by_id(keys, id)?.ok_or_else(|| Fault::not_found("The object is gone."))?;
        let mut after = before.record.clone();
        let mut batch = Batch::default();
        change.clone().apply(&mut after, &mut batch, keys)?;
        if change.value.is_some() {
            let parent = after.parent.as_ref().map(|parent| record::by_id(keys, parent)).transpose()?.flatten();
            if let Some(parent) = parent {
                exports::may_write(service, &parent.record, &after)?;
                exports::follow(service, &mut batch, &parent.record, &after)?;
            }
        }
        match &change.exports {
            Some(wanted) => exports::change(service, &mut batch, &mut after, wanted)?,
            None if after.storage.is_some() => {
                exports::resize(service, &mut batch, &after, image::size(keys, &after).unwrap_or_default())?;
            }
            None => {}
        }
        let key = record::key(keys, id);
        batch.unchanged(&key, before.version);
        batch.put_json(key, &after)?;
        batch.commit()?;
        Ok((before.record, after))
    })?;
    if let Some(file) = before.file.as_ref().filter(|_| after.file.is_none()) {
        value::remove(file);
    }
    Ok(after)
}

/// Delete an object; a container with all that it holds.
///
/// # Errors
/// 400 for the root, 409 if a machine is linked to a container among them.
pub fn delete(service: &Service, object: &Kept) -> Result<(), Fault> {
    if object.record.id == record::root_id(&service.keys) {
        return Err(Fault::bad_request("The root cannot be deleted."));
    }
    // What is below goes first, so that whatever is left can still be reached. All is asked before anything goes.
    let below = everything(service, &object.record)?;
    let parent =
        object.record.parent.as_ref().map(|parent| record::by_id(&service.keys, parent)).transpose()?.flatten();
    if let Some(parent) = &parent {
        exports::may_write(service, &parent.record, &object.record)?;
    }
    for record in &below {
        exports::may_delete(service, record)?;
    }
    for some in below.chunks(TOGETHER) {
        attempt(|| {
            let mut batch = Batch::default();
            for record in some {
                let Some(kept) = record::by_id(&service.keys, &record.id)? else { continue };
                let key = record::key(&service.keys, &record.id);
                batch.unchanged(&key, kept.version);
                batch.delete(key);
                if let Some(parent) = &kept.record.parent {
                    batch.delete(format!("{}{}", record::names(&service.keys, parent), kept.record.name));
                }
                if let Some(blob) = &kept.record.blob {
                    batch.drop_blob(blob);
                }
                exports::withdraw(service, &mut batch, &kept.record)?;
            }
            batch.commit()
        })?;
        some.iter().filter_map(|record| record.file.as_ref()).for_each(|file| value::remove(file));
    }
    match parent.and_then(|parent| parent.record.storage.is_some().then_some(parent.record.id)) {
        Some(parent) => attempt(|| {
            let Some(parent) = record::by_id(&service.keys, &parent)? else { return Ok(()) };
            let mut batch = Batch::default();
            let size = image::size(&service.keys, &parent.record).unwrap_or_default();
            exports::resize(service, &mut batch, &parent.record, size)?;
            batch.commit()
        }),
        None => Ok(()),
    }
}

/// Most objects that one request deletes.
const MOST: usize = 20_000;

/// An object and all below it, the innermost first.
fn everything(service: &Service, top: &Record) -> Result<Vec<Record>, Fault> {
    let mut found = vec![top.clone()];
    let mut at = 0;
    while let Some(record) = found.get(at) {
        at += 1;
        if record.kind != Kind::Container {
            continue;
        }
        let prefix = record::names(&service.keys, &record.id);
        for entry in kv::prefix(&prefix).iter() {
            let (_, id) = record::leads_to(entry?.value)?;
            found.extend(record::by_id(&service.keys, &id)?.map(|kept| kept.record));
            if found.len() > MOST {
                return Err(Fault::new(413, "That is too much to be deleted at once; delete parts of it."));
            }
        }
    }
    found.reverse();
    Ok(found)
}
