//! Images: objects found by uuid, changed through the registry, and listed in order of registration.

use std::collections::{BTreeSet, VecDeque};

use super::{
    accounts,
    db::{self, Kept},
    keys,
    objects::{self, Draft},
    places::{self, Place},
};
use crate::{
    faults::Fault,
    image::{Image, Metadata, fields::Given},
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
fn find(uuid: &str) -> Result<(Place, Kept<Object>), Fault> {
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
                permissions: Permissions { read, write: BTreeSet::new() },
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
            if permissions != object.permissions {
                owned(object, user)?;
            }
            Ok(permissions)
        },
    )
}

/// A place in the order of registration: time, then id.
type Position = String;

/// A list of keys `PREFIX TIME/UUID`, read from its end.
struct Source {
    prefix: String,
    end: String,
    more: bool,
    ahead: VecDeque<(Position, String)>,
}

impl Source {
    fn new(prefix: String) -> Source {
        Source { end: keys::end_of(&prefix), prefix, more: true, ahead: VecDeque::new() }
    }

    /// The newest position not taken yet.
    fn peek(&mut self, at_once: u32) -> Result<Option<&Position>, Fault> {
        if self.ahead.is_empty() && self.more {
            let page = db::scan(&self.prefix, &self.end, at_once, true)?;
            self.more = page.more;
            for entry in page.entries {
                if let Some(place) = entry.key.strip_prefix(&self.prefix) {
                    let head = db::read_text(entry.value)?;
                    self.ahead.push_back((place.to_owned(), head));
                }
                self.end = entry.key;
            }
        }
        Ok(self.ahead.front().map(|(place, _)| place))
    }
}

/// The images a user can see, the newest registration first: own ones, shared ones, public ones.
///
/// Several lists are merged as they are read, so taking the first hundred costs about the same
/// however many there are.
pub struct Visible {
    user: String,
    sources: Vec<Source>,
    at_once: u32,
}

impl Visible {
    /// Everything that this user can see. `expected` is how many images will be taken, for reading
    /// ahead.
    pub fn to(user: &str, expected: u32) -> Result<Visible, Fault> {
        let mut sources = vec![Source::new(keys::owned_images(user))];
        for principal in accounts::principals(user)? {
            sources.push(Source::new(if principal == EVERYONE {
                keys::public_images()
            } else {
                keys::shared_images(&principal)
            }));
        }
        Ok(Visible { user: user.to_owned(), sources, at_once: expected.clamp(1, 256) })
    }

    /// Only what one account registered, whoever may see it: for the account itself.
    pub fn owned_by(user: &str) -> Visible {
        Visible { user: user.to_owned(), sources: vec![Source::new(keys::owned_images(user))], at_once: 256 }
    }

    /// The next image. Keys that lead to something else by now are passed over.
    pub fn next_image(&mut self) -> Result<Option<Object>, Fault> {
        loop {
            let mut newest: Option<Position> = None;
            for source in &mut self.sources {
                if let Some(place) = source.peek(self.at_once)?
                    && newest.as_ref().is_none_or(|newest| place > newest)
                {
                    newest = Some(place.clone());
                }
            }
            let Some(newest) = newest else {
                return Ok(None);
            };
            let mut leads = BTreeSet::new();
            for source in &mut self.sources {
                while source.ahead.front().is_some_and(|(place, _)| *place == newest) {
                    leads.extend(source.ahead.pop_front().map(|(_, head)| head));
                }
            }
            for lead in leads {
                if let Some(kept) = db::get_json::<Object>(&lead)?
                    && self.shows(&kept.value, &newest)?
                {
                    return Ok(Some(kept.value));
                }
            }
        }
    }

    fn shows(&self, object: &Object, position: &str) -> Result<bool, Fault> {
        let Some(image) = Image::of(object) else {
            return Ok(false);
        };
        Ok(keys::image_place(image.metadata.created, &object.uuid) == position
            && (object.account == self.user || places::stated(object, &self.user)?))
    }
}

impl std::fmt::Debug for Visible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visible").field("user", &self.user).finish_non_exhaustive()
    }
}
