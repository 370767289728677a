//! The object store: accounts, containers and objects.
//!
//! Routes and the calls on objects; what lists rows is in [`super::listings`], what copies in
//! [`super::transfers`].

use std::{collections::BTreeMap, time::Duration};

use plugbay_sdk::{
    Answer, DigestAlgorithm, Event, IntoStep as _, More, Params, Park, Receive, ReceiveError, Received, Request, Route,
    Step, Surface,
};
use serde::{Deserialize, Serialize};

use super::{
    ALWAYS, Call, HOST_ERRORS,
    bulk::{self, Progress},
    finish, hashmaps, listings, no_endpoint, nowhere, public, reads,
    rows::{Page, broken_off},
    sending::Sending,
    transfers, unknown_path, updates,
};
use crate::{
    conditions,
    faults::{Fault, Kind},
    hashmap,
    headers::decode,
    merkle::BLOCK_SIZE,
    object::{self, BODY, Object, check_container_name, check_entries, check_object_name, overlay},
    sharing::Permissions,
    store::{
        blocks::Upload,
        containers,
        db::Kept,
        objects::{self, Draft},
        places::{self, Place},
        publishing, versions,
    },
    time::Moment,
};

#[derive(Debug, Clone, Copy)]
enum Op {
    Top,
    Account,
    Container,
    Object,
    Nowhere,
}

const fn route(method: &'static str, path: &'static str, operation: &'static str) -> Route {
    Route::new(method, path, operation).plugin_decides().staged()
}

/// Commits of one step that purges history.
const PURGES: usize = 64;

const ACCOUNT: &str = "/{account}";
const ACCOUNT_SLASH: &str = "/{account}/";
const CONTAINER: &str = "/{account}/{container}";
const OBJECT: &str = "/{account}/{container}/{*object}";

const TABLE: [(Op, Route); 24] = [
    (Op::Top, route("GET", "/", "account-list")),
    (Op::Account, route("HEAD", ACCOUNT, "account-show")),
    (Op::Account, route("GET", ACCOUNT, "container-list")),
    (Op::Account, route("POST", ACCOUNT, "account-update")),
    (Op::Account, route("HEAD", ACCOUNT_SLASH, "account-show")),
    (Op::Account, route("GET", ACCOUNT_SLASH, "container-list")),
    (Op::Account, route("POST", ACCOUNT_SLASH, "account-update")),
    (Op::Container, route("HEAD", CONTAINER, "container-show")),
    (Op::Container, route("GET", CONTAINER, "object-list")),
    (Op::Container, route("PUT", CONTAINER, "container-create")),
    (Op::Container, route("POST", CONTAINER, "container-update")),
    (Op::Container, route("DELETE", CONTAINER, "container-delete")),
    (Op::Object, route("HEAD", OBJECT, "object-show")),
    (Op::Object, route("GET", OBJECT, "object-read")),
    (Op::Object, route("PUT", OBJECT, "object-write")),
    (Op::Object, route("POST", OBJECT, "object-update")),
    (Op::Object, route("COPY", OBJECT, "object-copy")),
    (Op::Object, route("MOVE", OBJECT, "object-move")),
    (Op::Object, route("DELETE", OBJECT, "object-delete")),
    (Op::Nowhere, nowhere("GET")),
    (Op::Nowhere, nowhere("HEAD")),
    (Op::Nowhere, nowhere("POST")),
    (Op::Nowhere, nowhere("PUT")),
    (Op::Nowhere, nowhere("DELETE")),
];

/// The surface.
pub fn surface() -> Surface {
    let mut surface = Surface::new("objects").errors(HOST_ERRORS.0, HOST_ERRORS.1).without_auto_head().resumable_table(
        &TABLE,
        handle,
        |op, request, params, going, event| step(request, resume(op, request, params, going, event)),
    );
    for (name, value) in ALWAYS {
        surface = surface.header(name, value);
    }
    surface
}

fn handle(op: Op, request: &Request, params: Params<'_>) -> Step {
    step(request, dispatch(op, request, params, None))
}

pub(super) fn step(request: &Request, outcome: Result<Outcome, Fault>) -> Step {
    match outcome {
        Ok(Outcome::Answer(answer)) => finish(request, Ok(answer)).into_step(),
        Ok(Outcome::More(answer, going)) => {
            let answer = finish(request, Ok(answer));
            More { head: Some(answer.head), body: answer.body, ..More::new() }.then(&going).into_step()
        }
        Ok(Outcome::Again(going)) => Park::new(Duration::from_millis(1)).then(&going).into_step(),
        Ok(Outcome::Receive(receive, going)) => receive.then(&going).into_step(),
        Err(fault) => finish(request, Err(fault)).into_step(),
    }
}

/// How a step ends.
pub(super) enum Outcome {
    /// With the answer, or the last of it.
    Answer(Answer),
    /// With a part of the answer.
    More(Answer, Going),
    /// With work left over, before anything is answered; others have their turn.
    Again(Going),
    /// The body is to be taken first.
    Receive(Receive, Going),
}

/// What a call goes on with in its next step.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Going {
    /// Make an object of the body.
    Data,
    /// Make an object of the blocks that the body names.
    Hashmap,
    /// Keep the body as blocks.
    Blocks,
    /// Lay the body over an object.
    Update,
    /// Send what is left.
    Send(Sending),
    /// Purge history from this key on.
    Purge(String),
    /// List what comes after this.
    Listing(Page),
    /// Go on with a subtree.
    Bulk(Progress),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Outcome {
        Outcome::Answer(answer)
    }
}

/// Account, container and object of a path.
pub(super) struct Target {
    pub account: String,
    pub container: String,
    pub object: String,
}

impl Target {
    fn of(op: Op, params: Params<'_>) -> Result<Target, Fault> {
        let text = |name: &str| params.get(name).to_owned();
        let empty = String::new;
        Ok(match op {
            Op::Top | Op::Nowhere => Target { account: empty(), container: empty(), object: empty() },
            Op::Account => Target { account: text("account"), container: empty(), object: empty() },
            Op::Container => Target { account: text("account"), container: text("container"), object: empty() },
            Op::Object => Target {
                account: text("account"),
                container: text("container"),
                object: decode(params.get("object").as_bytes())?,
            },
        })
    }
}

fn dispatch(op: Op, request: &Request, params: Params<'_>, going: Option<&Going>) -> Result<Outcome, Fault> {
    if matches!(op, Op::Nowhere) {
        return Ok(no_endpoint(&TABLE, request)?.into());
    }
    let call = Call::new(request)?;
    let target = Target::of(op, params)?;
    let Target { account, container, object } = &target;
    // A slash at the end of a container's path means the same as none.
    let op = match op {
        Op::Object if object.is_empty() => Op::Container,
        op => op,
    };
    let (page, progress) = match going {
        Some(Going::Listing(page)) => (Some(page), None),
        Some(Going::Bulk(progress)) => (None, Some(progress)),
        _ => (None, None),
    };
    Ok(match (op, request.method.as_str()) {
        (Op::Top, _) => listings::accounts(&call, page)?,
        (Op::Account, "HEAD" | "GET") => listings::containers(&call, account, page)?,
        (Op::Account, "POST") => listings::update_account(&call, account)?.into(),
        (Op::Container, "HEAD" | "GET") => listings::objects(&call, account, container, page)?,
        (Op::Container, "PUT") => put_container(&call, account, container)?.into(),
        (Op::Container, "POST") => post_container(&call, account, container)?,
        (Op::Container, "DELETE") => delete_container(&call, account, container, progress)?,
        (Op::Object, "HEAD" | "GET") => reads::read(&call, &target)?,
        (Op::Object, "PUT") => put(&call, &target, progress)?,
        (Op::Object, "POST") => update(&call, &target)?,
        (Op::Object, "COPY") => transfers::to_destination(&call, &target, false, progress)?,
        (Op::Object, "MOVE") => transfers::to_destination(&call, &target, true, progress)?,
        (Op::Object, "DELETE") => delete(&call, &target, progress)?,
        _ => return Err(unknown_path()),
    })
}

/// Only the account's owner may do this.
pub(super) fn own(call: &Call<'_>, account: &str) -> Result<(), Fault> {
    if call.user == account { Ok(()) } else { Err(places::denied()) }
}

pub(super) fn container_change(call: &Call<'_>, replace_meta: bool) -> Result<containers::Change, Fault> {
    let policy = |name: &str| call.headers.text(&format!("x-container-policy-{name}"));
    let bad = |what: &str| Fault::bad_request(format!("Bad policy value for '{what}'"));
    let forget = match policy("versioning")?.as_deref() {
        None => None,
        Some("auto") => Some(false),
        Some("none") => Some(true),
        Some(_) => return Err(bad("versioning")),
    };
    let quota = policy("quota")?.map(|text| text.trim().parse().map_err(|_| bad("quota"))).transpose()?;
    Ok(containers::Change {
        meta: object::metadata(&call.headers, "x-container-meta-")?,
        replace_meta,
        policy: containers::PolicyChange { quota, forget, project: policy("project")? },
    })
}

fn put_container(call: &Call<'_>, account: &str, container: &str) -> Result<Answer, Fault> {
    own(call, account)?;
    check_container_name(container)?;
    let new = containers::put(account, container, &container_change(call, false)?)?;
    Ok(Answer::new(if new { 201 } else { 202 }))
}

fn post_container(call: &Call<'_>, account: &str, container: &str) -> Result<Outcome, Fault> {
    own(call, account)?;
    if is_data(call)? {
        return hashmaps::begin_blocks(call, account, container);
    }
    let change = container_change(call, !call.query.has("update"))?;
    containers::update(account, container, &change)?;
    Ok(Answer::new(202).into())
}

fn delete_container(
    call: &Call<'_>,
    account: &str,
    container: &str,
    progress: Option<&Progress>,
) -> Result<Outcome, Fault> {
    own(call, account)?;
    if let Some(until) = until(call) {
        return purge(&versions::history_of_container(account, container)?, None, until);
    }
    if bulk::delimiter(call).is_some() {
        return bulk::empty(call, account, container, progress);
    }
    containers::delete(account, container)?;
    Ok(Answer::new(204).into())
}

/// `until`, which is an integer of seconds: clients send fractions and mean now, so anything else
/// counts as absent.
fn until(call: &Call<'_>) -> Option<Moment> {
    let seconds: i64 = call.query.get("until")?.parse().ok()?;
    Some(Moment(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000)))
}

/// Purge history up to a moment, going on from a key.
fn purge(history: &str, from: Option<String>, until: Moment) -> Result<Outcome, Fault> {
    Ok(match versions::purge(history, from, Some(until), PURGES)? {
        Some(rest) => Outcome::Again(Going::Purge(rest)),
        None => Answer::new(204).into(),
    })
}

/// Whether the request writes data rather than metadata.
fn is_data(call: &Call<'_>) -> Result<bool, Fault> {
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
}

/// The checks of an upload that need no data; made before it is taken, and again with it.
fn uploading(call: &Call<'_>, target: &Target) -> Result<(Place, Option<Kept<Object>>), Fault> {
    let Target { account, container, object } = target;
    let (place, head) = places::writable(account, container, object, &call.user)?;
    let current = head.as_ref().map(|kept| kept.value.current());
    conditions::before_write(&call.headers, current.as_ref())?;
    Ok((place, head))
}

fn put(call: &Call<'_>, target: &Target, progress: Option<&Progress>) -> Result<Outcome, Fault> {
    check_object_name(&target.object)?;
    for (name, moves) in [("x-copy-from", false), ("x-move-from", true)] {
        if call.headers.has(name) {
            return transfers::from_source(call, target, name, moves, progress);
        }
    }
    length_given(call)?;
    let written = Written::read(call, &target.account)?;
    if written.content_type.is_none() {
        return Err(lacking("Content-Type"));
    }
    check_entries(written.meta.len())?;
    uploading(call, target)?;
    if call.query.has("hashmap") {
        return Ok(Outcome::Receive(Receive::up_to(hashmap::BODY), Going::Hashmap));
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

/// What a step was waiting for has come.
fn resume(op: Op, request: &Request, params: Params<'_>, going: Going, event: Event) -> Result<Outcome, Fault> {
    let going = match going {
        Going::Send(sending) => return Ok(sending.resume()),
        going @ (Going::Listing(_) | Going::Bulk(_)) => {
            return match (dispatch(op, request, params, Some(&going)), &going) {
                (Err(fault), Going::Listing(page)) if page.sent => {
                    plugbay_sdk::error!("a listing cannot go on: {fault}");
                    Ok(broken_off().into())
                }
                (outcome, _) => outcome,
            };
        }
        going => going,
    };
    let call = Call::new(request)?;
    let target = Target::of(op, params)?;
    Ok(match going {
        Going::Purge(from) => return delete_on(&call, &target, from),
        Going::Hashmap => hashmaps::put(&call, &target, &received(event)?)?.into(),
        Going::Blocks => hashmaps::blocks(&call, &target, received(event)?)?.into(),
        Going::Update => updates::with_body(&call, &target, received(event)?)?.into(),
        _ => put_data(&call, &target, received(event)?)?.into(),
    })
}

/// The body, if it came whole.
fn received(event: Event) -> Result<Received, Fault> {
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

fn put_data(call: &Call<'_>, target: &Target, received: Received) -> Result<Answer, Fault> {
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

fn update(call: &Call<'_>, target: &Target) -> Result<Outcome, Fault> {
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
    find()?;
    if let Some(permissions) = &written.permissions {
        objects::share(find, |_| Ok(permissions.clone()))?;
    }
    if let Some(publish) = written.publish {
        publishing::publish(find, publish)?;
    }
    let merges = call.query.has("update");
    if merges && written.meta.is_empty() && written.presentation.is_empty() {
        return Ok(Answer::new(202));
    }
    let object = objects::write(
        || find().map(|(place, head)| (place, Some(head))),
        None,
        |_, there| {
            let mut draft = Draft::of(there.ok_or_else(places::missing)?, &call.user);
            if !merges {
                draft.meta.clear();
                draft.presentation.clear();
            }
            overlay(&mut draft.meta, written.meta.clone());
            overlay(&mut draft.presentation, written.presentation.clone());
            check_entries(draft.meta.len())?;
            Ok(draft)
        },
    )?;
    Ok(Answer::new(202).header("X-Object-Version", object.version.to_string()))
}

fn delete(call: &Call<'_>, target: &Target, progress: Option<&Progress>) -> Result<Outcome, Fault> {
    let Target { account, container, object } = target;
    own(call, account)?;
    if let Some(delimiter) = bulk::delimiter(call) {
        return bulk::remove(call, target, delimiter, progress);
    }
    if let Some(until) = until(call) {
        return purge(&versions::history_of_object(account, container, object)?, None, until);
    }
    objects::remove(
        || {
            let (place, head) = places::writable(account, container, object, &call.user)?;
            Ok((place, head.ok_or_else(places::missing)?))
        },
        &call.user,
    )?;
    Ok(Answer::new(204).into())
}

/// Go on purging.
fn delete_on(call: &Call<'_>, target: &Target, from: String) -> Result<Outcome, Fault> {
    let Target { account, container, object } = target;
    own(call, account)?;
    let history = if object.is_empty() {
        versions::history_of_container(account, container)?
    } else {
        versions::history_of_object(account, container, object)?
    };
    purge(&history, Some(from), until(call).unwrap_or_default())
}
