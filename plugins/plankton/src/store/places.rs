//! Finding objects, and who may do what at a name.
//!
//! Owns the way from names to a head and the rules of access: the owner may everything, others what
//! the object's permissions say or, if it has none, those of the nearest directory above it.

use super::{
    accounts,
    containers::{self, Container},
    db::{self, Kept},
    keys::Slot,
};
use crate::{
    faults::Fault,
    object::Object,
    sharing::{Access, Permissions, inheritance, is_directory},
};

/// A name in a container that is there.
#[derive(Debug, Clone)]
pub struct Place {
    /// The account.
    pub account: String,
    /// The container's name.
    pub container: String,
    /// The container's record.
    pub record: Kept<Container>,
    /// The object's name.
    pub name: String,
    pub(super) slot: Slot,
}

impl Place {
    /// The place of this name; none if there is no such container.
    pub fn find(account: &str, container: &str, name: &str) -> Result<Option<Place>, Fault> {
        Ok(containers::get(account, container)?.map(|record| Place {
            account: account.to_owned(),
            container: container.to_owned(),
            slot: Slot::of(&record.value.id, name),
            record,
            name: name.to_owned(),
        }))
    }

    /// The place of another name in the same container.
    pub(super) fn sibling(&self, name: &str) -> Place {
        Place { slot: Slot::of(&self.record.value.id, name), name: name.to_owned(), ..self.clone() }
    }

    /// The object that is there now.
    pub fn head(&self) -> Result<Option<Kept<Object>>, Fault> {
        if self.name.is_empty() || self.name.contains('\0') {
            return Ok(None);
        }
        db::get_json(&self.slot.head())
    }

    /// Prefix of the keys of what was there.
    pub(super) fn history(&self) -> String {
        self.slot.history(&self.record.value.id)
    }
}

/// The fault for an object that is not there.
pub fn missing() -> Fault {
    Fault::not_found("Object does not exist")
}

/// The fault for what the caller may not do.
pub fn denied() -> Fault {
    Fault::forbidden("Not allowed")
}

/// Whether an object's own permissions let a user read it. The owner is not asked about.
pub fn stated(object: &Object, user: &str) -> Result<bool, Fault> {
    let access = object.permissions.access(user, |group| accounts::in_group(group, user))?;
    Ok(access >= Access::Read)
}

/// The permissions that count at a place, and the name they come from: the object's own, or those
/// of the nearest directory above it that has any.
pub fn permissions(place: &Place, head: Option<&Object>) -> Result<Option<(String, Permissions)>, Fault> {
    for name in inheritance(&place.name) {
        let found = if name == place.name {
            head.map(|object| object.permissions.clone())
        } else {
            place
                .sibling(&name)
                .head()?
                .filter(|parent| is_directory(&parent.value.content_type))
                .map(|parent| parent.value.permissions)
        };
        if let Some(permissions) = found.filter(|permissions| !permissions.is_empty()) {
            return Ok(Some((name, permissions)));
        }
    }
    Ok(None)
}

/// What a user may do at a place. What is published may be read by every user.
pub fn access(place: &Place, head: Option<&Object>, user: &str) -> Result<Access, Fault> {
    let permitted = permitted(place, head, user)?;
    let public = head.is_some_and(|object| object.public.is_some());
    Ok(if public { permitted.max(Access::Read) } else { permitted })
}

/// What a user may do at a place by its owner's permissions: what is published and not shared is in
/// no listing of others.
pub fn permitted(place: &Place, head: Option<&Object>, user: &str) -> Result<Access, Fault> {
    if place.account == user {
        return Ok(Access::Write);
    }
    match permissions(place, head)? {
        Some((_, permissions)) => permissions.access(user, |group| accounts::in_group(group, user)),
        None => Ok(Access::None),
    }
}

/// The object at a place, as a user who may read it. Whoever may not read what is there, or would
/// not be allowed to, gets a 403 whether or not something is there; the owner gets a 404.
pub fn readable(account: &str, container: &str, name: &str, user: &str) -> Result<(Place, Kept<Object>), Fault> {
    let own = account == user;
    let Some(place) = Place::find(account, container, name)? else {
        return Err(if own { missing() } else { denied() });
    };
    let head = place.head()?;
    if access(&place, head.as_ref().map(|kept| &kept.value), user)? < Access::Read {
        return Err(denied());
    }
    let kept = head.ok_or_else(missing)?;
    Ok((place, kept))
}

/// The place where a user may write; 403 if the user may not, 404 if there is no such container.
pub fn writable(
    account: &str,
    container: &str,
    name: &str,
    user: &str,
) -> Result<(Place, Option<Kept<Object>>), Fault> {
    let own = account == user;
    let Some(place) = Place::find(account, container, name)? else {
        return Err(if own { containers::missing() } else { denied() });
    };
    let head = place.head()?;
    if access(&place, head.as_ref().map(|kept| &kept.value), user)? < Access::Write {
        return Err(denied());
    }
    Ok((place, head))
}
