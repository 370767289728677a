//! OCCI with CDMI: a container that is exported to OCCI is a storage there, which machines link to.
//!
//! The export names who may: only machines in its `permissions` get a storage link, whose device is the container's
//! object id. A container that is linked to is not deleted, nor is its export withdrawn, nor its disk written through CDMI.

use serde_json::{Map, Value};

use super::{
    image::{self, SIZE_ITEM},
    record::{self, Record},
};
use crate::{
    entity::{Attributes, Entity},
    fault::Fault,
    model::{
        cdmi,
        infrastructure::{self, gibibytes},
    },
    service::Service,
    settings::Settings,
    store::{
        batch::{Batch, Stop},
        entities::{self, Sequence},
    },
    view::Reference,
};

/// Give a container these exports; one to OCCI makes it a storage.
///
/// # Errors
/// 400 for exports that are none, 409 if one is withdrawn that a machine uses.
pub fn change(
    service: &Service,
    batch: &mut Batch,
    container: &mut Record,
    wanted: &Map<String, Value>,
) -> Result<(), Stop> {
    for (protocol, export) in wanted {
        if !protocol.starts_with("OCCI/") {
            return Err(Fault::bad_request(format!("Containers are not exported by {protocol}, but to OCCI.")).into());
        }
        let permissions = export.get("permissions");
        let all_texts = permissions.and_then(Value::as_array).is_none_or(|list| list.iter().all(Value::is_string));
        if !export.is_object() || permissions.is_some_and(|list| !list.is_array()) || !all_texts {
            return Err(Fault::bad_request(format!("The export by {protocol} is not of the expected shape.")).into());
        }
    }
    container.exports.clone_from(wanted);
    if wanted.is_empty() {
        may_delete(service, container)?;
        withdraw(service, batch, container)?;
        container.storage = None;
    } else if container.storage.is_none() {
        let storage = storage(service, container)?;
        container.storage = Some(storage.path.clone());
        entities::create(&service.keys, batch, &storage)?;
    }
    Ok(())
}

fn storage(service: &Service, container: &Record) -> Result<Entity, Fault> {
    let seq = Sequence::after_all(&service.keys)?.advance()?;
    // Which object is the disk may be told later.
    let size = image::size(&service.keys, container).unwrap_or_default().max(1);
    let attributes = Attributes::from([
        (infrastructure::SIZE.to_owned(), gibibytes(size).into()),
        ("occi.storage.state".to_owned(), "online".into()),
        (crate::model::core::TITLE.to_owned(), container.name.as_str().into()),
        (cdmi::OBJECT_ID.to_owned(), container.id.as_str().into()),
        (cdmi::LOCATION.to_owned(), url(&service.settings, &container.id).into()),
    ]);
    let mut entity = Entity {
        seq,
        path: String::new(),
        kind: infrastructure::id("storage"),
        mixins: vec![cdmi::container()],
        attributes,
        links: Vec::new(),
        ends: None,
    };
    entity.path = format!("/storage/{}", entity.id().trim_start_matches("urn:uuid:"));
    Ok(entity)
}

/// The storage of a container is as large as the disk in it.
///
/// # Errors
/// Those of the store.
pub fn resize(service: &Service, batch: &mut Batch, container: &Record, size: u64) -> Result<(), Stop> {
    let Some(storage) = &container.storage else { return Ok(()) };
    let Some(kept) = entities::get(&service.keys, storage)? else { return Ok(()) };
    let mut after = kept.entity.clone();
    after.attributes.insert(infrastructure::SIZE.to_owned(), gibibytes(size.max(1)).into());
    entities::update(&service.keys, batch, &kept, &after)
}

/// The same when an object of it is written.
///
/// # Errors
/// Those of the store.
pub fn follow(service: &Service, batch: &mut Batch, container: &Record, object: &Record) -> Result<(), Stop> {
    if container.storage.is_some() && image::is_disk(&service.keys, container, object)? {
        resize(service, batch, container, object.size.max(image::stated(container)))?;
    }
    Ok(())
}

/// Whether the value of an object can be written, or the object go.
///
/// # Errors
/// 409 if it is the disk that a machine is linked to.
pub fn may_write(service: &Service, container: &Record, object: &Record) -> Result<(), Fault> {
    if container.storage.is_some() && image::is_disk(&service.keys, container, object)? {
        may_delete(service, container)?;
    }
    Ok(())
}

/// The container behind a new storage that asks for one, by its mixin, and the disk in it; none if it does not. It is exported
/// to nobody yet: that is for the client to say, through CDMI.
///
/// # Errors
/// 500 without randomness.
pub fn behind(service: &Service, storage: &mut Entity) -> Result<Option<[Record; 2]>, Fault> {
    if !storage.mixins.contains(&cdmi::container()) {
        return Ok(None);
    }
    let id = super::change::new_id()?;
    let name = storage.path.trim_start_matches('/').replace('/', "-");
    let root = record::root_id(&service.keys);
    let mut container = Record::new(id.clone(), record::Kind::Container, &name, Some(root), "occi");
    container.storage = Some(storage.path.clone());
    let export = serde_json::json!({ "identifier": id, "permissions": [] });
    container.exports.insert("OCCI/NFS".to_owned(), export);
    let size = storage.attributes.get(infrastructure::SIZE).cloned().unwrap_or_default();
    container.metadata.insert(SIZE_ITEM.to_owned(), size);
    storage.attributes.insert(cdmi::LOCATION.to_owned(), url(&service.settings, &id).into());
    storage.attributes.insert(cdmi::OBJECT_ID.to_owned(), id.into());
    let disk = image::empty(super::change::new_id()?, &container, image::NAME);
    container.image = Some(disk.id.clone());
    Ok(Some([container, disk]))
}

/// Write such a container, or its disk.
///
/// # Errors
/// Those of the store.
pub fn keep(service: &Service, batch: &mut Batch, record: &Record) -> Result<(), Stop> {
    let keys = &service.keys;
    record::enter(keys, batch, record);
    batch.put_json(record::key(keys, &record.id), record)?;
    Ok(())
}

fn url(settings: &Settings, id: &str) -> String {
    format!("{}/cdmi_objectid/{id}", settings.cdmi.trim_end_matches('/'))
}

/// 403 for the mixin of containers on a storage that is there already.
///
/// # Errors
/// As it says.
pub fn only_at_creation(entity: &Entity, mixin: &crate::model::TypeId) -> Result<(), Fault> {
    if *mixin == cdmi::container() && !entity.mixins.contains(mixin) {
        return Err(Fault::forbidden(format!("{mixin} is given at creation, or by CDMI.")));
    }
    Ok(())
}

/// Whether a container can go, or stop being a storage.
///
/// # Errors
/// 409 if a machine is linked to it.
pub fn may_delete(service: &Service, container: &Record) -> Result<(), Fault> {
    let Some(storage) = &container.storage else { return Ok(()) };
    if service.incoming(storage)?.is_empty() {
        Ok(())
    } else {
        Err(Fault::conflict(format!("A machine is linked to the container {}.", container.name)))
    }
}

/// Take the storage of a container away.
///
/// # Errors
/// Those of the store.
pub fn withdraw(service: &Service, batch: &mut Batch, container: &Record) -> Result<(), Stop> {
    if let Some(storage) = &container.storage
        && let Some(kept) = entities::get(&service.keys, storage)?
    {
        entities::delete(&service.keys, batch, &kept);
    }
    Ok(())
}

/// Path of the storage that a CDMI URL stands for; none if it stands for none.
///
/// # Errors
/// Those of the store.
pub fn storage_of_url(service: &Service, url: &str) -> Result<Option<String>, Fault> {
    let Some((_, id)) = url.rsplit_once("/cdmi_objectid/") else { return Ok(None) };
    let container = record::by_id(&service.keys, id.trim_end_matches('/'))?;
    Ok(container.and_then(|kept| kept.record.storage))
}

/// Check the export of a container, and name it as the link's device.
///
/// # Errors
/// 403 if the machine is not among those that may.
pub fn attach(service: &Service, link: &mut Entity, source: &Entity, target: Option<&Entity>) -> Result<(), Fault> {
    let Some(id) = target.and_then(|target| target.text(cdmi::OBJECT_ID)) else { return Ok(()) };
    let container = record::by_id(&service.keys, id)?.ok_or_else(|| Fault::conflict("The container is gone."))?;
    let may = |permission: &Value| {
        let reference = permission.as_str().unwrap_or_default();
        service.names.resolve(reference).is_ok_and(|found| found == Reference::Local(source.path.clone()))
    };
    let lists = container.record.exports.values().filter_map(|export| export.get("permissions")?.as_array());
    if !lists.flatten().any(may) {
        return Err(Fault::forbidden("The container is not exported to this machine."));
    }
    link.attributes.insert(infrastructure::DEVICE.to_owned(), id.into());
    Ok(())
}

/// Whether an entity can be deleted.
///
/// # Errors
/// 409 for the storage of a container that is exported.
pub fn may_remove(service: &Service, entity: &Entity) -> Result<(), Fault> {
    let Some(id) = entity.text(cdmi::OBJECT_ID) else { return Ok(()) };
    match record::by_id(&service.keys, id)? {
        Some(kept) if kept.record.storage.as_deref() == Some(&entity.path) => {
            Err(Fault::conflict("This storage is a container; withdraw its export to take it away."))
        }
        _ => Ok(()),
    }
}
