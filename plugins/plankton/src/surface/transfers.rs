//! Copying and moving objects, by either end's request.

use super::{
    Call,
    bulk::{self, Progress},
    objects::{Outcome, Target, own},
    writes::{Written, created},
};
use crate::{
    conditions,
    faults::Fault,
    headers::decode,
    object::{Object, check_entries, check_object_name, overlay},
    store::{
        objects::{self, Draft},
        places, versions,
    },
};

/// `PUT` with `X-Copy-From` or `X-Move-From`.
pub(super) fn from_source(
    call: &Call<'_>,
    target: &Target,
    field: &str,
    moves: bool,
    progress: Option<&Progress>,
) -> Result<Outcome, Fault> {
    transfer(call, &source(call, field)?, target, moves, progress)
}

/// The object that a field such as `X-Copy-From` names, in the account that `X-Source-Account` names.
pub(super) fn source(call: &Call<'_>, field: &str) -> Result<Target, Fault> {
    let account = call.headers.text("x-source-account")?;
    let (container, object) = path(call, field)?;
    Ok(Target { account: account.unwrap_or_else(|| call.user.clone()), container, object })
}

/// `COPY` or `MOVE` with `Destination`.
pub(super) fn to_destination(
    call: &Call<'_>,
    source: &Target,
    moves: bool,
    progress: Option<&Progress>,
) -> Result<Outcome, Fault> {
    let account = call.headers.text("destination-account")?;
    let (container, object) = path(call, "destination")?;
    let target = Target { account: account.unwrap_or_else(|| call.user.clone()), container, object };
    transfer(call, source, &target, moves, progress)
}

/// `/container/object`, percent-encoded.
fn path(call: &Call<'_>, field: &str) -> Result<(String, String), Fault> {
    let text = call.headers.plain(field)?.unwrap_or_default();
    text.strip_prefix('/')
        .unwrap_or(text)
        .split_once('/')
        .filter(|(container, object)| !container.is_empty() && !object.is_empty())
        .map(|(container, object)| Ok((decode(container.as_bytes())?, decode(object.as_bytes())?)))
        .unwrap_or_else(|| Err(Fault::bad_request(format!("Missing or invalid {field} header field"))))
}

fn transfer(
    call: &Call<'_>,
    source: &Target,
    target: &Target,
    moves: bool,
    progress: Option<&Progress>,
) -> Result<Outcome, Fault> {
    // Only what is there now can be moved.
    let version = if moves { None } else { call.headers.text("x-source-version")?.filter(|text| !text.is_empty()) };
    check_object_name(&target.object)?;
    let mut written = Written::read(call, &target.account)?;
    if call.query.has("ignore_content_type") {
        written.content_type = None;
    }
    if moves {
        own(call, &source.account)?;
    }
    let find_source = || {
        let Target { account, container, object } = source;
        match &version {
            Some(version) => versions::readable(account, container, object, &call.user, version),
            None => places::readable(account, container, object, &call.user),
        }
    };
    let find_target = || {
        let (place, head) = places::writable(&target.account, &target.container, &target.object, &call.user)?;
        let current = head.as_ref().map(|kept| kept.value.current());
        conditions::before_write(&call.headers, current.as_ref())?;
        Ok((place, head))
    };
    if let Some(delimiter) = bulk::delimiter(call) {
        // Refused before anything is changed.
        let (_, from) = find_source()?;
        let (_, there) = find_target()?;
        draft(call, &written, &from.value, there.as_ref().map(|kept| &kept.value))?;
        if let Some(outcome) = bulk::transfer(call, source, target, (delimiter, moves), progress)? {
            return Ok(outcome);
        }
    }
    let made = objects::transfer(find_source, find_target, moves, |from, there| draft(call, &written, from, there))?;
    Ok(created(&made).into())
}

/// Metadata is carried over and overlaid with what the request gives; permissions and publicity are
/// those of the target, if it has any.
fn draft(call: &Call<'_>, written: &Written, from: &Object, there: Option<&Object>) -> Result<Draft, Fault> {
    let mut draft = Draft::of(from, &call.user);
    if let Some(kind) = &written.content_type {
        draft.content_type.clone_from(kind);
    }
    overlay(&mut draft.meta, written.meta.clone());
    overlay(&mut draft.presentation, written.presentation.clone());
    check_entries(draft.meta.len())?;
    draft.publish = written.publish;
    draft.permissions =
        written.permissions.clone().or_else(|| there.map(|object| object.permissions.clone())).unwrap_or_default();
    Ok(draft)
}
