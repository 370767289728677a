//! Every change of an object's head, with its history, its usage and the keys that follow from it.
//!
//! Invariant: a head is committed with a check on the head it replaces. So there is one history, and
//! of two writers the second builds on what the first one wrote.

use std::collections::BTreeMap;

use super::{
    blocks::{self, Upload},
    containers::{self, Usage},
    db::{self, Batch, Following, Kept, Stop},
    keys::{self, Slot},
    places::{Place, missing},
    quotas,
};
use crate::{
    faults::{Fault, Kind},
    object::{Content, Object},
    sharing::{EVERYONE, Permissions},
    time::Moment,
};

/// Most bytes of an object's record: a little less than a value may have.
const RECORD: usize = 240 * 1024;

/// The keys that follow from an object, all of which lead to its head.
pub(super) fn following(object: &Object) -> Vec<String> {
    let owner = &object.account;
    let mut found = vec![keys::uuid(&object.uuid)];
    let principals = object.permissions.principals();
    for principal in &principals {
        found.push(format!("{}{}/{}", keys::shared_by(principal, owner), object.container_id, object.uuid));
    }
    if !object.permissions.is_empty() {
        found.push(format!("{}{}/{}", keys::sharing(owner), object.container_id, object.uuid));
    }
    if let Some(id) = &object.public {
        found.push(keys::public(id));
        found.push(format!("{}{}/{}", keys::publishing(owner), object.container_id, object.uuid));
    }
    if let Some(image) = &object.image {
        let place = keys::image_place(image.created, &object.uuid);
        found.push(format!("{}{place}", keys::owned_images(owner)));
        for principal in principals.into_iter().filter(|name| *name != owner) {
            let prefix = if principal == EVERYONE { keys::public_images() } else { keys::shared_images(principal) };
            found.push(format!("{prefix}{place}"));
        }
    }
    found
}

/// A change of one head: what was there, what will be.
pub(super) struct Head<'a> {
    pub slot: &'a Slot,
    pub old: Option<&'a Kept<Object>>,
    pub new: Option<&'a Object>,
}

/// Commit changes of heads with everything that follows from them. No uuid may be at two heads
/// afterwards.
pub(super) fn commit(heads: &[Head<'_>], mut batch: Batch) -> Result<(), Stop> {
    let mut old = BTreeMap::new();
    let mut new = BTreeMap::new();
    let mut truth = None;
    for head in heads {
        let key = head.slot.head();
        batch.unchanged(&key, head.old.map(|kept| kept.version));
        if let Some(kept) = head.old {
            old.extend(following(&kept.value).into_iter().map(|k| (k, key.clone())));
        }
        match head.new {
            Some(object) => {
                let value = serde_json::to_vec(object).unwrap_or_default();
                if value.len() > RECORD {
                    return Err(Stop::Fault(Fault::bad_request(
                        "Too much metadata or too many permissions for one object",
                    )));
                }
                batch.put(key.as_str(), value.clone());
                if head.old.is_none() {
                    for marker in &head.slot.markers {
                        batch.mark(format!("o/{marker}"));
                    }
                }
                new.extend(following(object).into_iter().map(|k| (k, key.clone())));
                truth = Some((key, value));
            }
            None => batch.delete(key),
        }
    }
    let following = Following {
        remove: old.keys().filter(|key| !new.contains_key(*key)).cloned().collect(),
        add: new.into_iter().filter(|(key, value)| old.get(key) != Some(value)).collect(),
    };
    let truth = truth.as_ref();
    following.commit(batch, truth.map(|(key, value)| (key.as_str(), value.as_slice())))
}

/// The number and time of the version that comes after everything at this place.
pub(super) fn next_version(place: &Place, head: Option<&Object>) -> Result<(u64, Moment), Fault> {
    let last = match head {
        Some(object) => object.version,
        None => {
            let history = place.history();
            let page = db::scan(&history, &keys::end_of(&history), 1, true)?;
            match page.entries.first() {
                Some(entry) => db::read_json::<Object>(&entry.value)?.version,
                None => 0,
            }
        }
    };
    let now = Moment::now();
    // Clocks may stand or go back; versions only grow.
    Ok((now.0.max(last + 1), now))
}

/// What changes at a place, for the usage of its container.
pub(super) struct Counted<'a> {
    pub place: &'a Place,
    pub old: Option<&'a Object>,
    pub new: Option<&'a Object>,
}

/// Count objects' coming, going and changing in the usage of their containers, and keep to quotas.
pub(super) fn count(changes: &[Counted<'_>], batch: &mut Batch) -> Result<(), Fault> {
    quotas::check(changes)?;
    let size = |object: Option<&Object>| object.map_or(0, |object| object.content.size);
    let mut shards: BTreeMap<String, (Option<u64>, Usage)> = BTreeMap::new();
    for Counted { place, old, new } in changes {
        let (account, container) = (&place.account, &place.record.value);
        let key = keys::usage(account, &container.id, place.slot.shard());
        if !shards.contains_key(&key) {
            let there = db::get_json::<Usage>(&key)?;
            let version = there.as_ref().map(|kept| kept.version);
            let usage = there.map(|kept| kept.value).unwrap_or_default();
            shards.insert(key.clone(), (version, usage));
        }
        if let Some((_, usage)) = shards.get_mut(&key) {
            let change = |now: u64, less: u64, more: u64| now.saturating_add(more).saturating_sub(less);
            usage.objects = change(usage.objects, u64::from(old.is_some()), u64::from(new.is_some()));
            usage.bytes = change(usage.bytes, size(*old), size(*new));
            usage.modified = Moment::now();
        }
    }
    for (key, (version, usage)) in shards {
        batch.unchanged(&key, version);
        batch.put_json(key, &usage)?;
    }
    Ok(())
}

/// Keep what was there in the history, or have the collector look at it.
pub(super) fn retire(place: &Place, old: &Object, new: Option<&Object>, batch: &mut Batch) -> Result<(), Fault> {
    let history = place.history();
    if !place.record.value.policy.forget {
        return batch.put_json(keys::version(&history, old.version), old);
    }
    let map = &old.content.map;
    if !map.is_empty() && new.is_none_or(|new| new.content.map != *map) {
        blocks::discard(&old.content, &place.slot.head(), &history, batch)?;
    }
    Ok(())
}

/// Write a new version at a place. `make` sees what is there and says what will be; number, time,
/// uuid and place are filled in here. It runs again when another writer was faster. With an upload,
/// the content is the upload's.
pub fn write(
    find: impl Fn() -> Result<(Place, Option<Kept<Object>>), Fault>,
    upload: Option<&mut Upload>,
    make: impl Fn(&Place, Option<&Object>) -> Result<Draft, Fault>,
) -> Result<Object, Fault> {
    write_as(find, None, upload, make)
}

/// As [`write()`], with the uuid that a new object is to have: 409 if it is another one's. A new object
/// without an upload is then empty.
pub fn write_as(
    find: impl Fn() -> Result<(Place, Option<Kept<Object>>), Fault>,
    uuid: Option<&str>,
    mut upload: Option<&mut Upload>,
    make: impl Fn(&Place, Option<&Object>) -> Result<Draft, Fault>,
) -> Result<Object, Fault> {
    if let Some(upload) = upload.as_deref_mut() {
        // Refused before a block is kept.
        let (place, old) = find()?;
        let there = old.as_ref().map(|kept| &kept.value);
        make(&place, there)?;
        quotas::admit(&place, there, upload.size())?;
        upload.write_ahead()?;
    }
    db::attempt(|| {
        let (place, old) = find()?;
        let there = old.as_ref().map(|kept| &kept.value);
        let mut batch = Batch::default();
        let draft = make(&place, there)?;
        let content = match (&upload, there) {
            (Some(upload), _) => upload.content(&mut batch)?,
            (None, Some(object)) => object.content.clone(),
            (None, None) if uuid.is_some() => Content::empty(),
            (None, None) => return Err(Stop::Fault(missing())),
        };
        put(&place, old.as_ref(), uuid, draft, content, upload.is_some() || there.is_none(), batch)
    })
}

/// Write a new version with content that follows from the content that is there. `build` makes it,
/// and makes it anew if another writer has changed the content meanwhile; it is told when it is asked
/// again.
pub fn rewrite(
    find: impl Fn() -> Result<(Place, Kept<Object>), Fault>,
    mut build: impl FnMut(&Object, bool) -> Result<Upload, Fault>,
    make: impl Fn(&Object) -> Result<Draft, Fault>,
) -> Result<Object, Fault> {
    let mut built: Option<(Content, Upload)> = None;
    db::attempt(|| {
        let (place, old) = find()?;
        let draft = make(&old.value)?;
        let again = built.is_some();
        let upload = match &mut built {
            Some((base, upload)) if *base == old.value.content => upload,
            stale => {
                let mut upload = build(&old.value, again)?;
                quotas::admit(&place, Some(&old.value), upload.size())?;
                upload.write_ahead()?;
                &mut stale.insert((old.value.content.clone(), upload)).1
            }
        };
        let mut batch = Batch::default();
        let content = upload.content(&mut batch)?;
        put(&place, Some(&old), None, draft, content, true, batch)
    })
}

/// Commit a new version with this content; `given` is the uuid of an object that was not there, `counts`
/// if the content is not the one that was there.
fn put(
    place: &Place,
    old: Option<&Kept<Object>>,
    given: Option<&str>,
    draft: Draft,
    content: Content,
    counts: bool,
    mut batch: Batch,
) -> Result<Object, Stop> {
    let there = old.map(|kept| &kept.value);
    let (version, modified) = next_version(place, there)?;
    let uuid = match (there, given) {
        (Some(object), _) => object.uuid.clone(),
        (None, Some(uuid)) => {
            claim(uuid, &mut batch)?;
            uuid.to_owned()
        }
        (None, None) => db::random_uuid()?,
    };
    let public = publicity(draft.publish, there)?;
    let new = Object { public, ..draft.object(place, uuid, (version, modified), content) };
    if there.is_none() {
        let key = containers::key(&place.account, &place.container);
        batch.unchanged(&key, Some(place.record.version));
    }
    if counts {
        let change = Counted { place, old: there, new: Some(&new) };
        count(&[change], &mut batch)?;
    }
    if let Some(object) = there {
        retire(place, object, Some(&new), &mut batch)?;
    }
    let head = Head { slot: &place.slot, old, new: Some(&new) };
    commit(&[head], batch)?;
    Ok(new)
}

/// Have a batch fail if an object has this uuid by then; 409 if one has it now.
pub fn claim(uuid: &str, batch: &mut Batch) -> Result<(), Fault> {
    let key = keys::uuid(uuid);
    let lead = db::get(&key)?;
    batch.unchanged(&key, lead.as_ref().map(|kept| kept.version));
    if let Some(lead) = lead
        && db::get_json::<Object>(&db::read_text(lead.value)?)?.is_some_and(|object| object.value.uuid == uuid)
    {
        return Err(Fault::new(Kind::Conflict, format!("The id {uuid} is taken")));
    }
    Ok(())
}

/// What a writer says of a new version.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Who writes.
    pub by: String,
    /// `Content-Type`.
    pub content_type: String,
    /// Encoding, disposition, manifest.
    pub presentation: BTreeMap<String, String>,
    /// The object store's domain.
    pub meta: BTreeMap<String, String>,
    /// The image registry's domain.
    pub image: Option<crate::image::Metadata>,
    /// The permissions.
    pub permissions: Permissions,
    /// Whether it is published from now on; none: stays as it is at this place.
    pub publish: Option<bool>,
}

impl Draft {
    /// Everything as it is, written by this user.
    pub fn of(object: &Object, by: &str) -> Draft {
        Draft {
            by: by.to_owned(),
            content_type: object.content_type.clone(),
            presentation: object.presentation.clone(),
            meta: object.meta.clone(),
            image: object.image.clone(),
            permissions: object.permissions.clone(),
            publish: None,
        }
    }

    /// The version it makes at a place, not published.
    pub(super) fn object(
        self,
        place: &Place,
        uuid: String,
        (version, modified): (u64, Moment),
        content: Content,
    ) -> Object {
        Object {
            account: place.account.clone(),
            container: place.container.clone(),
            container_id: place.record.value.id.clone(),
            name: place.name.clone(),
            uuid,
            version,
            modified,
            modified_by: self.by,
            content,
            content_type: self.content_type,
            presentation: self.presentation,
            meta: self.meta,
            image: self.image,
            permissions: self.permissions,
            public: None,
            deleted: false,
        }
    }
}

/// The public id of an object from now on: the one there is, or an unguessable new one.
pub(super) fn publicity(publish: Option<bool>, there: Option<&Object>) -> Result<Option<String>, Fault> {
    match (publish, there.and_then(|object| object.public.clone())) {
        (Some(false), _) => Ok(None),
        (Some(true), None) => db::random_hex(16).map(Some),
        (_, id) => Ok(id),
    }
}

/// Change the permissions of an object that is there. This is no new version.
pub fn share(
    find: impl Fn() -> Result<(Place, Kept<Object>), Fault>,
    change: impl Fn(&Object) -> Result<Permissions, Fault>,
) -> Result<(), Fault> {
    db::attempt(|| {
        let (place, old) = find()?;
        let permissions = change(&old.value)?;
        if permissions == old.value.permissions {
            return Ok(());
        }
        let new = Object { permissions, ..old.value.clone() };
        let head = Head { slot: &place.slot, old: Some(&old), new: Some(&new) };
        commit(&[head], Batch::default())
    })
}

/// Remove an object that is there. Its history stays, and ends with a mark of the removal.
pub fn remove(find: impl Fn() -> Result<(Place, Kept<Object>), Fault>, by: &str) -> Result<(), Fault> {
    db::attempt(|| {
        let (place, old) = find()?;
        let mut batch = Batch::default();
        let change = Counted { place: &place, old: Some(&old.value), new: None };
        count(&[change], &mut batch)?;
        retire_removed(&place, &old.value, by, &mut batch)?;
        let head = Head { slot: &place.slot, old: Some(&old), new: None };
        commit(&[head], batch)
    })
}

pub(super) fn retire_removed(place: &Place, old: &Object, by: &str, batch: &mut Batch) -> Result<(), Fault> {
    retire(place, old, None, batch)?;
    if !place.record.value.policy.forget {
        let (version, modified) = next_version(place, Some(old))?;
        let mark = Object {
            version,
            modified,
            modified_by: by.to_owned(),
            permissions: Permissions::default(),
            public: None,
            deleted: true,
            ..old.clone()
        };
        batch.put_json(keys::version(&place.history(), version), &mark)?;
        batch.put(place.slot.departed(), []);
        for marker in &place.slot.markers {
            batch.mark(format!("n/{marker}"));
        }
    }
    Ok(())
}

/// Copy an object or a version of one, or move an object. A copy is another object; a moved one keeps
/// its uuid, and so does what a version of its own is laid over. Permissions are not carried over.
/// `make` sees the source and what is at the target.
pub fn transfer(
    source: impl Fn() -> Result<(Place, Kept<Object>), Fault>,
    target: impl Fn() -> Result<(Place, Option<Kept<Object>>), Fault>,
    moves: bool,
    make: impl Fn(&Object, Option<&Object>) -> Result<Draft, Fault>,
) -> Result<Object, Fault> {
    db::attempt(|| {
        let (from, old) = source()?;
        let (to, there) = target()?;
        let same = from.slot == to.slot;
        let there = there.as_ref();
        let draft = make(&old.value, there.map(|kept| &kept.value))?;
        let mut batch = Batch::default();
        let current = there.map(|kept| &kept.value);
        // Only what the head refers to stays referred to by the same map: an older version's map may
        // be on its way to the collector.
        let content = match current {
            Some(object) if same && object.content.map == old.value.content.map => object.content.clone(),
            _ => blocks::share(&old.value.content, &mut batch)?,
        };
        let (version, modified) = next_version(&to, there.map(|kept| &kept.value))?;
        let uuid = match current {
            Some(object) if same => object.uuid.clone(),
            _ if moves => old.value.uuid.clone(),
            _ => db::random_uuid()?,
        };
        let by = draft.by.clone();
        let public = publicity(draft.publish, there.map(|kept| &kept.value))?;
        let new = Object { public, ..draft.object(&to, uuid, (version, modified), content) };
        match there {
            Some(there) => retire(&to, &there.value, Some(&new), &mut batch)?,
            None => {
                let key = containers::key(&to.account, &to.container);
                batch.unchanged(&key, Some(to.record.version));
            }
        }
        let mut counted = vec![Counted { place: &to, old: there.map(|kept| &kept.value), new: Some(&new) }];
        let mut heads = vec![Head { slot: &to.slot, old: there, new: Some(&new) }];
        if moves && !same {
            retire_removed(&from, &old.value, &by, &mut batch)?;
            counted.push(Counted { place: &from, old: Some(&old.value), new: None });
            heads.push(Head { slot: &from.slot, old: Some(&old), new: None });
        }
        count(&counted, &mut batch)?;
        commit(&heads, batch)?;
        Ok(new)
    })
}
