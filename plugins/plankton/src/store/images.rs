//! Images: objects found by uuid and changed through the registry.

use std::collections::BTreeSet;

use super::{
    db::{self, Kept},
    keys,
    objects::{self, Draft},
    places::{self, Place},
};
use crate::{
    faults::Fault,
    image::{Metadata, fields::Given},
    location::Location,
    object::Object,
    sharing::{Access, EVERYONE, Permissions, is_uuid},
    time::Moment,
};

/// The fault for an image that is not there.
pub fn missing() -> Fault {
    Fault::not_found("Image not found")
}

/// The image of this id, whoever asks. An id that is no uuid is a 400.
pub(super) fn find(uuid: &str) -> Result<(Place, Kept<Object>), Fault> {
    if !is_uuid(uuid) {
        return Err(Fault::bad_request("Invalid image id"));
    }
    let key = db::get(&keys::uuid(&uuid.to_ascii_lowercase()))?.ok_or_else(missing)?;
    let object = db::get_json::<Object>(&db::read_text(key.value)?)?.ok_or_else(missing)?;
    let Object { account, container, name, .. } = &object.value;
    let place = Place::find(account, container, name)?.ok_or_else(missing)?;
    let head = place.head()?.ok_or_else(missing)?;
    // What leads here is checked: it may be left over from something that moved or went away.
    if head.value.uuid != object.value.uuid || head.value.image.is_none() {
        return Err(missing());
    }
    Ok((place, head))
}

/// The image of this id for a user with at least this access; 404 comes before 403.
fn accessible(uuid: &str, user: &str, least: Access) -> Result<(Place, Kept<Object>), Fault> {
    let (place, head) = find(uuid)?;
    if places::access(&place, Some(&head.value), user)? < least {
        return Err(Fault::forbidden(""));
    }
    Ok((place, head))
}

fn owned(object: &Object, user: &str) -> Result<(), Fault> {
    if object.account == user { Ok(()) } else { Err(Fault::forbidden("")) }
}

/// The object behind an image that a user may read.
pub fn get(uuid: &str, user: &str) -> Result<Object, Fault> {
    Ok(accessible(uuid, user, Access::Read)?.1.value)
}

/// Register the object at a location, or register it again. Permissions start afresh: the owner
/// reads, and everyone if it is public.
pub fn register(location: &Location, given: &Given, user: &str) -> Result<Object, Fault> {
    let Location { account, container, object } = location;
    objects::write(
        || {
            let (place, head) = places::readable(account, container, object, user).map_err(quiet)?;
            Ok((place, Some(head)))
        },
        None,
        |_, there| {
            let object = there.ok_or_else(places::missing)?;
            given.agrees_with(object.content.size, &object.content.root)?;
            owned(object, user)?;
            let created = object.image.as_ref().map_or_else(Moment::now, |image| image.created);
            let mut read = BTreeSet::from([object.account.clone()]);
            if given.is_public == Some(true) {
                read.insert(EVERYONE.to_owned());
            }
            Ok(Draft {
                image: Some(Metadata::registered(given, created)?),
                permissions: Permissions { read, ..Permissions::default() },
                ..Draft::of(object, user)
            })
        },
    )
}

/// The registry leaves the message of a 403 empty.
fn quiet(fault: Fault) -> Fault {
    if fault.status() == 403 { Fault::forbidden("") } else { fault }
}

/// Change an image's metadata. Publicity is the owner's; the rest takes write permission.
pub fn update(uuid: &str, given: &Given, user: &str) -> Result<Object, Fault> {
    change(uuid, user, |object, image| {
        let mut permissions = object.permissions.clone();
        if let Some(public) = given.is_public {
            owned(object, user)?;
            if public {
                permissions.read.insert(EVERYONE.to_owned());
            } else {
                permissions.read.remove(EVERYONE);
            }
        }
        Ok((Some(image.updated(given)?), permissions))
    })
}

/// Take an image out of the registry; the object stays as it is.
pub fn unregister(uuid: &str, user: &str) -> Result<(), Fault> {
    change(uuid, user, |object, _| Ok((None, object.permissions.clone())))?;
    Ok(())
}

fn change(
    uuid: &str,
    user: &str,
    make: impl Fn(&Object, &Metadata) -> Result<(Option<Metadata>, Permissions), Fault>,
) -> Result<Object, Fault> {
    objects::write(
        || {
            let (place, head) = accessible(uuid, user, Access::Write)?;
            Ok((place, Some(head)))
        },
        None,
        |_, there| {
            let object = there.ok_or_else(missing)?;
            let metadata = object.image.as_ref().ok_or_else(missing)?;
            let (image, permissions) = make(object, metadata)?;
            Ok(Draft { image, permissions, ..Draft::of(object, user) })
        },
    )
}

/// Change who is a member. Whoever may read the image may ask for what is so already; a change is
/// the owner's.
pub fn set_members(uuid: &str, user: &str, change: impl Fn(&mut BTreeSet<String>)) -> Result<(), Fault> {
    objects::share(
        || accessible(uuid, user, Access::Read),
        |object| {
            let mut permissions = object.permissions.clone();
            change(&mut permissions.read);
            permissions.share.retain(|member| permissions.read.contains(member));
            if permissions != object.permissions {
                owned(object, user)?;
            }
            Ok(permissions)
        },
    )
}
