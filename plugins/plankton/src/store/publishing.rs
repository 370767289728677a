//! Published objects: reading them by their public id, and changing whether an object is one, together
//! with its permissions.

use super::{
    db::{self, Batch, Kept},
    keys,
    objects::{Head, commit, publicity},
    places::{Place, missing},
};
use crate::{faults::Fault, object::Object, sharing::Permissions};

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

/// Change who may read and write an object that is there, and whether it is published: none stays as it
/// is. This is no new version.
pub fn change(
    find: impl Fn() -> Result<(Place, Kept<Object>), Fault>,
    permissions: Option<&Permissions>,
    publish: Option<bool>,
) -> Result<(), Fault> {
    db::attempt(|| {
        let (place, old) = find()?;
        let public = publicity(publish, Some(&old.value))?;
        let permissions = permissions.unwrap_or(&old.value.permissions).clone();
        let new = Object { permissions, public, ..old.value.clone() };
        if new == old.value {
            return Ok(());
        }
        let head = Head { slot: &place.slot, old: Some(&old), new: Some(&new) };
        commit(&[head], Batch::default())
    })
}
