//! Published objects: reading them by their public id, and changing whether an object is one.

use super::{
    db::{self, Batch, Kept},
    keys,
    objects::{Head, commit, publicity},
    places::{Place, missing},
};
use crate::{faults::Fault, object::Object};

/// The object that is published under this id.
pub fn find(id: &str) -> Result<Object, Fault> {
    // Ids are of the plugin's making; nothing else is looked up.
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(missing());
    }
    let lead = db::get(&keys::public(id))?.ok_or_else(missing)?;
    let head = db::get_json::<Object>(&db::read_text(lead.value)?)?.ok_or_else(missing)?;
    // What leads here is checked: it may be left over.
    if head.value.public.as_deref() == Some(id) { Ok(head.value) } else { Err(missing()) }
}

/// Publish an object that is there, or take it back. This is no new version.
pub fn publish(find: impl Fn() -> Result<(Place, Kept<Object>), Fault>, publish: bool) -> Result<(), Fault> {
    db::attempt(|| {
        let (place, old) = find()?;
        let public = publicity(Some(publish), Some(&old.value))?;
        if public == old.value.public {
            return Ok(());
        }
        let new = Object { public, ..old.value.clone() };
        let head = Head { slot: &place.slot, old: Some(&old), new: Some(&new) };
        commit(&[head], Batch::default())
    })
}
