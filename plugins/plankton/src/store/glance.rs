//! Images as Glance v1 makes, fills, changes and removes them.
//!
//! An image made here is an object in the container [`HOME`] of its owner, named by its id; one that has no
//! data yet is an empty object whose metadata says so. So there is nothing to keep in step, and all rules of
//! objects hold. Invariant: an image and its data appear in one commit. Until then a new one does not exist
//! and a reserved one stays reserved, so a body that breaks off leaves nothing to clear.

use super::{
    blocks::Upload,
    containers::{self, PolicyChange},
    db::{self, Batch, Kept},
    images,
    objects::{self, Draft},
    places::{self, Place},
};
use crate::{
    faults::{Fault, Kind},
    glance::{ACTIVE, QUEUED, View, changes, fields::Given, members::Member},
    image::{Image, Metadata, Reserved},
    location::Location,
    object::Object,
    sharing::{Access, EVERYONE, Permissions, is_uuid},
    time::Moment,
};

/// Name of the container that holds what was uploaded here; made when it is first needed, without a history.
pub const HOME: &str = "glance";

const CONTENT_TYPE: &str = "application/octet-stream";

/// The fault for an image that is not there for the caller.
pub fn missing(id: &str) -> Fault {
    Fault::not_found(format!("Image {id} could not be found."))
}

fn conflict(reason: impl Into<String>) -> Fault {
    Fault::new(Kind::Conflict, reason)
}

/// The image of this id, for a user with at least this access. Who may not read it is told that there is none.
fn accessible(id: &str, user: &str, least: Access) -> Result<(Place, Kept<Object>), Fault> {
    let (place, head) = images::find(id).map_err(|fault| match fault.status() {
        400 | 404 => missing(id),
        _ => fault,
    })?;
    let access = places::access(&place, Some(&head.value), user)?;
    if access < Access::Read {
        return Err(missing(id));
    }
    if access < least {
        return Err(Fault::forbidden("You are not permitted to change this image."));
    }
    Ok((place, head))
}

fn owned(object: &Object, user: &str) -> Result<(), Fault> {
    if object.account == user { Ok(()) } else { Err(Fault::forbidden("Only the owner of this image may do this.")) }
}

fn image(object: &Object) -> Result<Image<'_>, Fault> {
    Image::of(object).ok_or_else(|| missing(&object.uuid))
}

/// The object behind an image that a user may read.
pub fn get(id: &str, user: &str) -> Result<Object, Fault> {
    Ok(accessible(id, user, Access::Read)?.1.value)
}

/// The object behind an image whose data can be had.
pub fn active(id: &str, user: &str) -> Result<Object, Fault> {
    let object = get(id, user)?;
    if View(image(&object)?).status() == ACTIVE {
        Ok(object)
    } else {
        Err(Fault::not_found(format!("Image {id} is not active.")))
    }
}

/// The id of a new image: the one given, if it is a uuid and free, else a random one.
pub fn new_id(given: &Given) -> Result<String, Fault> {
    let Some(id) = &given.id else {
        return db::random_uuid();
    };
    if !is_uuid(id) {
        return Err(Fault::bad_request(format!("Invalid image id '{id}': it has to be a uuid")));
    }
    let id = id.to_ascii_lowercase();
    objects::claim(&id, &mut Batch::default())?;
    Ok(id)
}

/// What a creation makes of its headers. With data the formats have to be there.
pub fn new_metadata(given: &Given, data: bool) -> Result<Metadata, Fault> {
    let mut metadata = changes::made(given, Moment::now())?;
    if data {
        changes::activable(&metadata)?;
    } else {
        metadata.reserved = Some(changes::announced(None, given));
    }
    Ok(metadata)
}

/// Make an image of this id: with its data, or reserved.
pub fn create(id: &str, given: &Given, user: &str, upload: Option<&mut Upload>) -> Result<Object, Fault> {
    let metadata = new_metadata(given, upload.is_some())?;
    if let Some(came) = upload.as_deref().map(Came::of) {
        came.check(&changes::announced(None, given))?;
    }
    let mut permissions = Permissions::default();
    if given.is_public == Some(true) {
        permissions.read.insert(EVERYONE.to_owned());
    }
    objects::write_as(
        || {
            let place = home(user, id)?;
            let head = place.head()?;
            Ok((place, head))
        },
        Some(id),
        upload,
        |_, there| {
            if there.is_some() {
                return Err(conflict(format!("There is an object named {id} in the container '{HOME}'")));
            }
            Ok(Draft {
                by: user.to_owned(),
                content_type: CONTENT_TYPE.to_owned(),
                presentation: Default::default(),
                meta: Default::default(),
                image: Some(metadata.clone()),
                permissions: permissions.clone(),
                publish: None,
            })
        },
    )
}

/// The place of an image's data in the container of its owner, which is made if need be.
fn home(user: &str, id: &str) -> Result<Place, Fault> {
    if let Some(place) = Place::find(user, HOME, id)? {
        return Ok(place);
    }
    let policy = PolicyChange { forget: Some(true), ..PolicyChange::default() };
    containers::put(user, HOME, &containers::Change { policy, ..containers::Change::default() })?;
    Place::find(user, HOME, id)?.ok_or_else(containers::missing)
}

/// Size and MD5 of data that came.
struct Came {
    size: u64,
    md5: String,
}

impl Came {
    fn of(upload: &Upload) -> Came {
        Came { size: upload.size(), md5: upload.md5().to_owned() }
    }

    fn check(&self, announced: &Reserved) -> Result<(), Fault> {
        Given::check_data(announced.size, announced.checksum.as_deref(), (self.size, Some(&self.md5)))
    }
}

/// Make an image of the object at a location, in place. Its id is the object's.
pub fn adopt(location: &Location, given: &Given, user: &str) -> Result<Object, Fault> {
    let Location { account, container, object } = location;
    objects::write(
        || {
            let (place, head) = places::readable(account, container, object, user)?;
            Ok((place, Some(head)))
        },
        None,
        |_, there| {
            let object = there.ok_or_else(places::missing)?;
            owned(object, user)?;
            if given.id.as_ref().is_some_and(|id| !id.eq_ignore_ascii_case(&object.uuid)) {
                return Err(conflict(format!("The object at this location has the id {}", object.uuid)));
            }
            Given::check_data(
                given.size,
                given.checksum.as_deref(),
                (object.content.size, object.content.md5.as_deref()),
            )?;
            let created = object.image.as_ref().map_or_else(Moment::now, |image| image.created);
            let metadata = changes::made(given, created)?;
            changes::activable(&metadata)?;
            let mut permissions = Permissions::default();
            if given.is_public == Some(true) {
                permissions.read.insert(EVERYONE.to_owned());
            }
            Ok(Draft { image: Some(metadata), permissions, ..Draft::of(object, user) })
        },
    )
}

/// What an update makes of an image, with or without data.
fn updated(object: &Object, given: &Given, user: &str, came: Option<&Came>) -> Result<Draft, Fault> {
    let there = image(object)?;
    let view = View(there);
    let mut metadata = changes::changed(there.metadata, given, !given.purge || came.is_some())?;
    metadata.reserved = match (there.awaits(), came) {
        (Some(reserved), Some(came)) => {
            came.check(&changes::announced(Some(reserved), given))?;
            changes::activable(&metadata)?;
            None
        }
        (Some(reserved), None) => Some(changes::announced(Some(reserved), given)),
        (None, Some(_)) => return Err(not_queued()),
        (None, None) => {
            let size = given.size.is_some_and(|size| size != view.size());
            let checksum = given.checksum.as_deref().is_some_and(|checksum| view.checksum() != Some(checksum));
            if size || checksum {
                return Err(Fault::forbidden("Size and checksum of an active image are those of its data."));
            }
            None
        }
    };
    let mut permissions = object.permissions.clone();
    if let Some(public) = given.is_public
        && public != permissions.is_public()
    {
        owned(object, user)?;
        if public {
            permissions.read.insert(EVERYONE.to_owned());
        } else {
            permissions.read.remove(EVERYONE);
        }
    }
    Ok(Draft { image: Some(metadata), permissions, ..Draft::of(object, user) })
}

fn not_queued() -> Fault {
    conflict("Data can be given to a queued image only.")
}

/// The checks of an upload that need no data.
pub fn awaiting(id: &str, given: &Given, user: &str) -> Result<(), Fault> {
    let (_, head) = accessible(id, user, Access::Write)?;
    let there = image(&head.value)?;
    if View(there).status() != QUEUED {
        return Err(not_queued());
    }
    changes::activable(&changes::changed(there.metadata, given, true)?)
}

/// Change an image's metadata, and give it the data it awaits.
pub fn update(id: &str, given: &Given, user: &str, upload: Option<&mut Upload>) -> Result<Object, Fault> {
    let came = upload.as_deref().map(Came::of);
    let find = || accessible(id, user, Access::Write);
    if came.is_some() {
        // Refused before any block is written.
        updated(&find()?.1.value, given, user, came.as_ref())?;
    }
    objects::write(
        || find().map(|(place, head)| (place, Some(head))),
        upload,
        |_, there| updated(there.ok_or_else(|| missing(id))?, given, user, came.as_ref()),
    )
}

/// Remove an image: with its data if they were uploaded here, else only from the registry.
pub fn delete(id: &str, user: &str) -> Result<(), Fault> {
    let find = || {
        let (place, head) = accessible(id, user, Access::Read)?;
        owned(&head.value, user)?;
        if image(&head.value)?.metadata.protected {
            return Err(Fault::forbidden(format!("Image {id} is protected and cannot be deleted.")));
        }
        Ok((place, head))
    };
    let object = find()?.1.value;
    if object.container == HOME && object.name == object.uuid {
        return objects::remove(find, user);
    }
    objects::write(
        || find().map(|(place, head)| (place, Some(head))),
        None,
        |_, there| {
            let object = there.ok_or_else(|| missing(id))?;
            Ok(Draft { image: None, ..Draft::of(object, user) })
        },
    )?;
    Ok(())
}

/// The members of an image, without its owner, and whether each may share it.
pub fn members(id: &str, user: &str) -> Result<Vec<(String, bool)>, Fault> {
    let object = get(id, user)?;
    let permissions = &object.permissions;
    let members = permissions.members().filter(|member| *member != object.account);
    Ok(members.map(|member| (member.to_owned(), permissions.share.contains(member))).collect())
}

/// Change who is a member. That is the owner's, and of members who may share the image.
fn change_members(
    id: &str,
    user: &str,
    change: impl Fn(&Object, &mut Permissions) -> Result<(), Fault>,
) -> Result<(), Fault> {
    objects::share(
        || accessible(id, user, Access::Read),
        |object| {
            let mut permissions = object.permissions.clone();
            if object.account != user && !(permissions.read.contains(user) && permissions.share.contains(user)) {
                return Err(Fault::forbidden("You are not permitted to share this image."));
            }
            change(object, &mut permissions)?;
            permissions.share.retain(|member| permissions.read.contains(member));
            Ok(permissions)
        },
    )
}

fn admit(permissions: &mut Permissions, (member, can_share): &Member) {
    permissions.read.insert(member.clone());
    match can_share {
        Some(true) => permissions.share.insert(member.clone()),
        Some(false) => permissions.share.remove(member),
        None => false,
    };
}

/// Add a member, or change whether it may share the image.
pub fn add_member(id: &str, user: &str, member: &Member) -> Result<(), Fault> {
    change_members(id, user, |_, permissions| {
        admit(permissions, member);
        Ok(())
    })
}

/// Put these members in the place of all.
pub fn replace_members(id: &str, user: &str, members: &[Member]) -> Result<(), Fault> {
    change_members(id, user, |object, permissions| {
        permissions.read.retain(|name| name == EVERYONE || *name == object.account);
        permissions.share.clear();
        members.iter().for_each(|member| admit(permissions, member));
        Ok(())
    })
}

/// Remove a member; 404 if it is none.
pub fn remove_member(id: &str, user: &str, member: &str) -> Result<(), Fault> {
    change_members(id, user, |object, permissions| {
        if member == object.account || !permissions.read.remove(member) {
            return Err(Fault::not_found(format!("{member} is no member of image {id}.")));
        }
        Ok(())
    })
}
