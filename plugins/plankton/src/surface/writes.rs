//! Writing an object: what a request says of it beside data, the checks before data is taken, and the new
//! version made of it.

use std::collections::BTreeMap;

use plugbay_sdk::{Answer, DigestAlgorithm, Event, Receive, ReceiveError, Received};

use super::{
    Call,
    bulk::Progress,
    objects::{Going, Outcome, Target, own},
    public, transfers, updates,
};
use crate::{
    conditions,
    faults::{Fault, Kind},
    hashmap,
    merkle::BLOCK_SIZE,
    object::{self, BODY, Object, check_entries, check_object_name, overlay},
    sharing::Permissions,
    store::{
        blocks::Upload,
        db::Kept,
        objects::{self, Draft},
        places::{self, Place},
        publishing, quotas,
    },
};

/// Whether the request writes data rather than metadata.
pub(super) fn is_data(call: &Call<'_>) -> Result<bool, Fault> {
    let kind = call.headers.plain("content-type")?.unwrap_or_default();
    Ok(kind.trim() == "application/octet-stream" || call.headers.has("x-source-object"))
}

/// What a write gives beside data: metadata, presentation, permissions, publicity.
pub(super) struct Written {
    pub content_type: Option<String>,
    pub meta: Vec<(String, String)>,
    pub presentation: Vec<(String, String)>,
    pub permissions: Option<Permissions>,
    pub publish: Option<bool>,
}

impl Written {
    /// Read the headers of a write to this account; sharing and publishing are the owner's.
    pub fn read(call: &Call<'_>, account: &str) -> Result<Written, Fault> {
        let permissions = match call.headers.text("x-object-sharing")? {
            None => None,
            Some(text) => {
                let permissions = Permissions::parse(&text)?;
                own(call, account)?;
                Some(permissions)
            }
        };
        let publish = public::asked(&call.headers)?;
        if publish == Some(true) {
            own(call, account)?;
        }
        let content_type = call.headers.text("content-type")?;
        Ok(Written {
            content_type: content_type.filter(|kind| !kind.is_empty()),
            meta: object::metadata(&call.headers, "x-object-meta-")?,
            presentation: object::presentation(&call.headers)?,
            permissions,
            publish,
        })
    }

    /// A `POST` over what is there: with `?update` it merges, without it replaces.
    pub fn over(&self, there: &Object, call: &Call<'_>) -> Result<Draft, Fault> {
        let mut draft = Draft::of(there, &call.user);
        if !call.query.has("update") {
            draft.meta.clear();
            draft.presentation.clear();
        }
        overlay(&mut draft.meta, self.meta.clone());
        overlay(&mut draft.presentation, self.presentation.clone());
        check_entries(draft.meta.len())?;
        if let Some(permissions) = &self.permissions {
            draft.permissions.clone_from(permissions);
        }
        draft.publish = self.publish;
        Ok(draft)
    }
}

/// The checks of an upload that need no data; made before it is taken, and again with it.
fn uploading(call: &Call<'_>, target: &Target) -> Result<(Place, Option<Kept<Object>>), Fault> {
    let Target { account, container, object } = target;
    let (place, head) = places::writable(account, container, object, &call.user)?;
    let current = head.as_ref().map(|kept| kept.value.current());
    conditions::before_write(&call.headers, current.as_ref())?;
    Ok((place, head))
}

/// `PUT`: a copy, or a body to be taken.
pub(super) fn put(call: &Call<'_>, target: &Target, progress: Option<&Progress>) -> Result<Outcome, Fault> {
    check_object_name(&target.object)?;
    for (name, moves) in [("x-copy-from", false), ("x-move-from", true)] {
        if call.headers.has(name) {
            return transfers::from_source(call, target, name, moves, progress);
        }
    }
    let length = length_given(call)?;
    let written = Written::read(call, &target.account)?;
    if written.content_type.is_none() {
        return Err(lacking("Content-Type"));
    }
    check_entries(written.meta.len())?;
    let (place, head) = uploading(call, target)?;
    if call.query.has("hashmap") {
        return Ok(Outcome::Receive(Receive::up_to(hashmap::BODY), Going::Hashmap));
    }
    if let Some(length) = length {
        quotas::admit(&place, head.as_ref().map(|kept| &kept.value), length)?;
    }
    Ok(Outcome::Receive(in_blocks(), Going::Data))
}

/// Take a body as blocks, with the MD5 of the whole.
pub(super) fn in_blocks() -> Receive {
    Receive::up_to(BODY)
        .pieces_of(BLOCK_SIZE)
        .piece_digests([DigestAlgorithm::Sha256])
        .body_digests([DigestAlgorithm::Md5])
        .trim(0)
}

/// The length of the body, if it is said; 411 if it is neither said nor chunked, 413 if it is too much.
pub(super) fn length_given(call: &Call<'_>) -> Result<Option<u64>, Fault> {
    let length = call.headers.plain("content-length")?;
    if length.is_none() && !call.headers.has("transfer-encoding") {
        return Err(lacking("Content-Length"));
    }
    let length = length.and_then(|length| length.parse().ok());
    if length.is_some_and(|length| length > BODY) {
        return Err(too_large());
    }
    Ok(length)
}

fn lacking(what: &str) -> Fault {
    Fault::new(Kind::LengthRequired, format!("Missing {what} header field"))
}

pub(super) fn too_large() -> Fault {
    Fault::new(Kind::EntityTooLarge, "The data is too long")
}

/// The body, if it came whole.
pub(super) fn received(event: Event) -> Result<Received, Fault> {
    match event {
        Event::Received(Ok(received)) => Ok(received),
        Event::Received(Err(ReceiveError::TooLarge)) => Err(too_large()),
        Event::Received(Err(ReceiveError::CutOff)) => Err(Fault::bad_request("The data was cut off")),
        event => {
            plugbay_sdk::error!("a body could not be taken: {event:?}");
            Err(Fault::new(Kind::Internal, "The data could not be kept"))
        }
    }
}

/// Make an object of a body that was taken.
pub(super) fn put_data(call: &Call<'_>, target: &Target, received: Received) -> Result<Answer, Fault> {
    let mut upload = Upload::new(received)?;
    if let Some(etag) = call.headers.plain("etag")?
        && !etag.trim_matches('"').eq_ignore_ascii_case(upload.md5())
    {
        return Err(Fault::new(Kind::Unprocessable, "Object ETag does not match the MD5 of the data"));
    }
    stored(call, target, &mut upload)
}

/// Make an object of an upload.
pub(super) fn stored(call: &Call<'_>, target: &Target, upload: &mut Upload) -> Result<Answer, Fault> {
    let written = Written::read(call, &target.account)?;
    let object = objects::write(
        || uploading(call, target),
        Some(upload),
        |_, there| {
            let mut draft = Draft {
                by: call.user.clone(),
                content_type: written.content_type.clone().unwrap_or_default(),
                presentation: BTreeMap::new(),
                meta: BTreeMap::new(),
                image: there.and_then(|object| object.image.clone()),
                permissions: there.map(|object| object.permissions.clone()).unwrap_or_default(),
                publish: written.publish,
            };
            overlay(&mut draft.presentation, written.presentation.clone());
            overlay(&mut draft.meta, written.meta.clone());
            check_entries(draft.meta.len())?;
            if let Some(permissions) = &written.permissions {
                draft.permissions.clone_from(permissions);
            }
            Ok(draft)
        },
    )?;
    Ok(created(&object))
}

/// The answer to a write.
pub(super) fn created(object: &Object) -> Answer {
    Answer::new(201)
        .header("ETag", object.etag())
        .header("Last-Modified", object.modified.http())
        .header("X-Object-Version", object.version.to_string())
}

/// `POST`: change data or metadata.
pub(super) fn update(call: &Call<'_>, target: &Target) -> Result<Outcome, Fault> {
    if is_data(call)? {
        return updates::begin(call, target);
    }
    update_metadata(call, target).map(Outcome::Answer)
}

fn update_metadata(call: &Call<'_>, target: &Target) -> Result<Answer, Fault> {
    let Target { account, container, object } = target;
    let written = Written::read(call, account)?;
    let find = || {
        let (place, head) = places::writable(account, container, object, &call.user)?;
        Ok((place, head.ok_or_else(places::missing)?))
    };
    if call.query.has("update") && written.meta.is_empty() && written.presentation.is_empty() {
        publishing::change(find, written.permissions.as_ref(), written.publish)?;
        return Ok(Answer::new(202));
    }
    let object = objects::write(
        || find().map(|(place, head)| (place, Some(head))),
        None,
        |_, there| written.over(there.ok_or_else(places::missing)?, call),
    )?;
    Ok(Answer::new(202).header("X-Object-Version", object.version.to_string()))
}
