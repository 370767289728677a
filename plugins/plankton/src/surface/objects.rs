//! The object store: accounts, containers and objects.
//!
//! Routes and the calls on objects; what lists rows is in [`super::listings`], what copies in
//! [`super::transfers`].

use std::{collections::BTreeMap, time::Duration};

use plugbay_sdk::{
    Answer, DigestAlgorithm, Event, IntoStep as _, More, Params, Park, Receive, ReceiveError, Request, Route, Step,
    Surface,
};
use serde::{Deserialize, Serialize};

use super::{
    ALWAYS, Call, HOST_ERRORS,
    bulk::{self, Progress},
    finish, listings, no_endpoint, not_yet, nowhere, public, reads,
    rows::{Page, broken_off},
    transfers, unknown_path,
};
use crate::{
    conditions,
    faults::{Fault, Kind},
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
        publishing,
    },
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
    let mut surface = Surface::new("objects")
        .errors(HOST_ERRORS.0, HOST_ERRORS.1)
        .without_auto_head()
        .resumable_table(&TABLE, handle, resume);
    for (name, value) in ALWAYS {
        surface = surface.header(name, value);
    }
    surface
}

fn handle(op: Op, request: &Request, params: Params<'_>) -> Step {
    step(request, dispatch(op, request, params, None))
}

fn step(request: &Request, outcome: Result<Outcome, Fault>) -> Step {
    match outcome {
        Ok(Outcome::Answer(answer)) => finish(request, Ok(answer)).into_step(),
        Ok(Outcome::More(answer, going)) => {
            let answer = finish(request, Ok(answer));
            More { head: Some(answer.head), body: answer.body, ..More::new() }.then(&going).into_step()
        }
        Ok(Outcome::Again(going)) => Park::new(Duration::ZERO).then(&going).into_step(),
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
        Some(Going::Data) | None => (None, None),
    };
    Ok(match (op, request.method.as_str()) {
        (Op::Top, _) => listings::accounts(&call, page)?,
        (Op::Account, "HEAD" | "GET") => listings::containers(&call, account, page)?,
        (Op::Account, "POST") => listings::update_account(&call, account)?.into(),
        (Op::Container, "HEAD" | "GET") => listings::objects(&call, account, container, page)?,
        (Op::Container, "PUT") => put_container(&call, account, container)?.into(),
        (Op::Container, "POST") => post_container(&call, account, container)?.into(),
        (Op::Container, "DELETE") => delete_container(&call, account, container, progress)?,
        (Op::Object, "HEAD" | "GET") => reads::read(&call, &target)?.into(),
        (Op::Object, "PUT") => put(&call, &target, progress)?,
        (Op::Object, "POST") => update(&call, &target)?.into(),
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

fn container_change(call: &Call<'_>, replace_meta: bool) -> Result<containers::Change, Fault> {
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

fn post_container(call: &Call<'_>, account: &str, container: &str) -> Result<Answer, Fault> {
    own(call, account)?;
    if is_data(call)? {
        return Err(not_yet("Writing blocks"));
    }
    let change = container_change(call, !call.query.has("update"))?;
    containers::update(account, container, &change)?;
    Ok(Answer::new(202))
}

fn delete_container(
    call: &Call<'_>,
    account: &str,
    container: &str,
    progress: Option<&Progress>,
) -> Result<Outcome, Fault> {
    own(call, account)?;
    // Anything but an integer counts as absent: clients send fractions and mean now.
    let until = call.query.get("until").map(str::parse::<i64>);
    if matches!(until, Some(Ok(_))) {
        return Err(not_yet("Purging the history of a container"));
    }
    if bulk::delimiter(call).is_some() {
        return bulk::empty(call, account, container, progress);
    }
    containers::delete(account, container)?;
    Ok(Answer::new(204).into())
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
    if call.query.has("hashmap") {
        return Err(not_yet("Writing by hashmap"));
    }
    let lacking = |what: &str| Fault::new(Kind::LengthRequired, format!("Missing {what} header field"));
    let length = call.headers.plain("content-length")?;
    if length.is_none() && !call.headers.has("transfer-encoding") {
        return Err(lacking("Content-Length"));
    }
    let written = Written::read(call, &target.account)?;
    if written.content_type.is_none() {
        return Err(lacking("Content-Type"));
    }
    check_entries(written.meta.len())?;
    if length.is_some_and(|length| length.parse().is_ok_and(|length: u64| length > BODY)) {
        return Err(too_large());
    }
    uploading(call, target)?;
    let receive = Receive::up_to(BODY)
        .pieces_of(BLOCK_SIZE)
        .piece_digests([DigestAlgorithm::Sha256])
        .body_digests([DigestAlgorithm::Md5])
        .trim(0);
    Ok(Outcome::Receive(receive, Going::Data))
}

fn too_large() -> Fault {
    Fault::new(Kind::EntityTooLarge, "The data is too long")
}

/// What a step was waiting for has come.
fn resume(op: Op, request: &Request, params: Params<'_>, going: Going, event: Event) -> Step {
    if let Going::Data = going {
        return step(request, put_data(request, params, event).map(Outcome::Answer));
    }
    let outcome = dispatch(op, request, params, Some(&going));
    match (&outcome, &going) {
        (Err(fault), Going::Listing(page)) if page.sent => {
            plugbay_sdk::error!("a listing cannot go on: {fault}");
            broken_off().into_step()
        }
        _ => step(request, outcome),
    }
}

/// The body was taken: make an object of it.
fn put_data(request: &Request, params: Params<'_>, event: Event) -> Result<Answer, Fault> {
    let call = Call::new(request)?;
    let target = Target::of(Op::Object, params)?;
    let received = match event {
        Event::Received(Ok(received)) => received,
        Event::Received(Err(ReceiveError::TooLarge)) => return Err(too_large()),
        Event::Received(Err(ReceiveError::CutOff)) => {
            return Err(Fault::bad_request("The data was cut off"));
        }
        event => {
            plugbay_sdk::error!("a body could not be taken: {event:?}");
            return Err(Fault::new(Kind::Internal, "The data could not be kept"));
        }
    };
    let mut upload = Upload::new(received)?;
    if let Some(etag) = call.headers.plain("etag")?
        && !etag.trim_matches('"').eq_ignore_ascii_case(upload.md5())
    {
        return Err(Fault::new(Kind::Unprocessable, "Object ETag does not match the MD5 of the data"));
    }
    let written = Written::read(&call, &target.account)?;
    let object = objects::write(
        || uploading(&call, &target),
        Some(&mut upload),
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

fn update(call: &Call<'_>, target: &Target) -> Result<Answer, Fault> {
    let Target { account, container, object } = target;
    if is_data(call)? {
        return Err(not_yet("Changing the data of an object"));
    }
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
    objects::remove(
        || {
            let (place, head) = places::writable(account, container, object, &call.user)?;
            Ok((place, head.ok_or_else(places::missing)?))
        },
        &call.user,
    )?;
    Ok(Answer::new(204).into())
}
