//! OCCI with CDMI: a container that is exported to OCCI is a storage there, which machines link to.
//!
//! The export names who may: only machines in its `permissions` get a storage link, whose device is the container's
//! object id. A container that is linked to is not deleted, nor is its export withdrawn.

use serde_json::{Map, Value};

use super::record::{self, Record};
use crate::{
    entity::{Attributes, Entity},
    fault::Fault,
    model::{cdmi, infrastructure},
    service::Service,
    settings::Settings,
    store::{
        batch::{Batch, Stop},
        entities::{self, Sequence},
    },
    view::Reference,
};

const GIB: f64 = 1_073_741_824.0;

/// User metadata with the size of the storage, in GiB.
const SIZE_ITEM: &str = "occi_storage_size";

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
        let storage = storage(&service.settings, container)?;
        container.storage = Some(storage.path.clone());
        entities::create(&service.keys, batch, &storage)?;
    }
    Ok(())
}

fn storage(settings: &Settings, container: &Record) -> Result<Entity, Fault> {
    let seq = Sequence::now().advance()?;
    let stated = container.metadata.get(SIZE_ITEM).and_then(|size| match size {
        Value::String(text) => text.parse::<f64>().ok(),
        other => other.as_f64(),
    });
    let size = stated.filter(|size| *size > 0.0 && size.is_finite()).unwrap_or(1.0 / GIB);
    let attributes = Attributes::from([
        (infrastructure::SIZE.to_owned(), size.into()),
        ("occi.storage.state".to_owned(), "online".into()),
        (crate::model::core::TITLE.to_owned(), container.name.as_str().into()),
        (cdmi::OBJECT_ID.to_owned(), container.id.as_str().into()),
        (cdmi::LOCATION.to_owned(), url(settings, &container.id).into()),
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

/// The container behind a new storage that asks for one, by its mixin; none if it does not. It is exported to nobody
/// yet: that is for the client to say, through CDMI.
///
/// # Errors
/// 500 without randomness.
pub fn behind(service: &Service, storage: &mut Entity) -> Result<Option<Record>, Fault> {
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
    Ok(Some(container))
}

/// Write such a container.
///
/// # Errors
/// Those of the store.
pub fn keep(service: &Service, batch: &mut Batch, container: &Record) -> Result<(), Stop> {
    let keys = &service.keys;
    record::enter(keys, batch, container);
    batch.put_json(record::key(keys, &container.id), container)?;
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
