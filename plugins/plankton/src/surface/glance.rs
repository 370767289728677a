//! Glance v1 over the same images: `/v1/images`, its members, and `/v1/shared-images`.
//!
//! Routes and answers in that API's form; what it takes is in [`crate::glance`], what it does to images in
//! [`crate::store::glance`]. Image data is received by the host and sent by it.

use plugbay_sdk::{
    Answer, DigestAlgorithm, Event, IntoStep as _, More, Params, Receive, ReceiveError, Request, Route, Step, Surface,
};
use serde_json::json;

use super::{
    Call, JSON, bare, dressed, json,
    lists::{self, Continuation, Cursor, Going, Listing},
    methods_of, nowhere,
    objects::{self, Outcome},
    sending::{Sending, Source},
    without_body,
};
use crate::{
    conditions::Stretch,
    faults::{Fault, Kind},
    glance::{
        View,
        fields::Given,
        members,
        query::{Filters, Page, bad_marker},
    },
    image::Image,
    location::Location,
    merkle::BLOCK_SIZE,
    object::{BODY, Object},
    store::{
        blocks::Upload,
        glance,
        visible::{Visible, position, visible},
    },
    xml,
};

/// Most bytes of a JSON body, and of one that is passed over.
const SMALL: u32 = 1024 * 1024;

/// The versions, newest first, with what is said of each.
const VERSIONS: [(&str, &str); 2] = [("v1.1", "CURRENT"), ("v1.0", "SUPPORTED")];

#[derive(Debug, Clone, Copy)]
enum Op {
    List,
    Detail,
    Create,
    Show,
    Data,
    Update,
    Delete,
    Members,
    ReplaceMembers,
    AddMember,
    RemoveMember,
    Shared,
    Nowhere,
}

const fn route(method: &'static str, path: &'static str, operation: &'static str) -> Route {
    Route::new(method, path, operation).plugin_decides().buffered(SMALL)
}

const fn data(method: &'static str, path: &'static str, operation: &'static str) -> Route {
    Route::new(method, path, operation).plugin_decides().staged()
}

const TABLE: [(Op, Route); 20] = [
    (Op::List, route("GET", "/{version}/images", "image-list")),
    (Op::List, route("GET", "/{version}/images/", "image-list")),
    (Op::Detail, route("GET", "/{version}/images/detail", "image-detail")),
    (Op::Create, data("POST", "/{version}/images", "image-create")),
    (Op::Create, data("POST", "/{version}/images/", "image-create")),
    (Op::Show, route("HEAD", "/{version}/images/{id}", "image-show")),
    (Op::Data, route("GET", "/{version}/images/{id}", "image-data")),
    (Op::Update, data("PUT", "/{version}/images/{id}", "image-update")),
    (Op::Delete, route("DELETE", "/{version}/images/{id}", "image-delete")),
    (Op::Members, route("GET", "/{version}/images/{id}/members", "member-list")),
    (Op::ReplaceMembers, route("PUT", "/{version}/images/{id}/members", "member-replace")),
    (Op::AddMember, route("PUT", "/{version}/images/{id}/members/{member}", "member-add")),
    (Op::RemoveMember, route("DELETE", "/{version}/images/{id}/members/{member}", "member-remove")),
    (Op::Shared, route("GET", "/{version}/shared-images/{member}", "shared-list")),
    (Op::Nowhere, nowhere("GET")),
    (Op::Nowhere, nowhere("HEAD")),
    (Op::Nowhere, nowhere("POST")),
    (Op::Nowhere, nowhere("PUT")),
    (Op::Nowhere, nowhere("DELETE")),
    (Op::Nowhere, nowhere("PATCH")),
];

/// How errors made by the host look.
const HOST_ERROR: &str = "<html>\n<head><title>{status} {reason}</title></head>\n<body><h1>{status} {reason}</h1>\n{detail}\n</body>\n</html>";

/// Content type of errors.
const HTML: &str = "text/html; charset=UTF-8";

/// The surface.
pub fn surface() -> Surface {
    let surface = Surface::new("glance")
        .errors(HTML, HOST_ERROR)
        .without_auto_head()
        .double_slash_root()
        .resumable_table(&TABLE, handle, resume);
    dressed(surface)
}

fn handle(op: Op, request: &Request, params: Params<'_>) -> Step {
    step(op, request, params).unwrap_or_else(|fault| refused(request, &fault).into_step())
}

fn resume(op: Op, request: &Request, params: Params<'_>, continuation: Continuation, event: Event) -> Step {
    let call = Call::of(request, continuation.user);
    match continuation.rest {
        Going::Data => finish(request, taken(op, &call, params, event)).into_step(),
        Going::Send(sending) => sent(&call, sending.resume()),
        Going::List(cursor) => {
            list(op, &call, params, Some(cursor)).unwrap_or_else(|fault| lists::broken_off(request, &fault))
        }
    }
}

fn finish(request: &Request, result: Result<Answer, Fault>) -> Answer {
    let mut answer = result.unwrap_or_else(|fault| refused(request, &fault));
    if request.method == "HEAD" {
        without_body(&mut answer);
    }
    answer
}

/// A fault as a page, with the reason on a line of its own.
fn refused(request: &Request, fault: &Fault) -> Answer {
    let (status, _) = fault.kind.status();
    let reason = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    let detail = if fault.details.is_empty() { &fault.message } else { &fault.details };
    let detail = xml::text(detail);
    let page = format!(
        "<html>\n<head><title>{status} {reason}</title></head>\n<body><h1>{status} {reason}</h1>\n{detail}\n</body>\n</html>"
    );
    let mut answer = Answer::bytes(status, HTML, page);
    if status == 401 {
        answer = answer.header("www-authenticate", "Keystone");
    }
    if request.method == "HEAD" {
        without_body(&mut answer);
    }
    answer
}

fn wrong_method(request: &Request, methods: &[&str]) -> Answer {
    let fault = Fault::new(Kind::NotAllowed, "The method is not allowed for this resource.");
    refused(request, &fault).header("allow", methods.join(", "))
}

fn not_found() -> Fault {
    Fault::not_found("The resource could not be found.")
}

/// Paths outside the versions: a list of these, for anyone.
fn versions(request: &Request) -> Answer {
    let url = request.url("/v1/");
    let versions: Vec<_> = VERSIONS
        .iter()
        .map(|(id, status)| json!({ "id": id, "status": status, "links": [{ "rel": "self", "href": url }] }))
        .collect();
    Answer::bytes(300, JSON, json!({ "versions": versions }).to_string())
}

fn step(op: Op, request: &Request, params: Params<'_>) -> Result<Step, Fault> {
    let first = request.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if !matches!(first, "v1" | "v1.0" | "v1.1") {
        let version = first.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if first.is_empty() || first == "versions" || version {
            return Ok(finish(request, Ok(versions(request))).into_step());
        }
        return Err(not_found());
    }
    // The host falls back to `{id}` where the literal path does not have the method.
    let below = request.path.trim_matches('/').split('/').skip(1);
    if below.eq(["images", "detail"]) && !matches!(op, Op::Detail) {
        return Ok(wrong_method(request, &["GET"]).into_step());
    }
    if matches!(op, Op::Nowhere) {
        let methods = methods_of(&TABLE, &request.path);
        if methods.is_empty() || methods.contains(&request.method.as_str()) {
            return Err(not_found());
        }
        return Ok(wrong_method(request, &methods).into_step());
    }
    let call = Call::new(request)?;
    match op {
        Op::List | Op::Detail | Op::Shared => list(op, &call, params, None),
        Op::Data => read(&call, &glance::active(params.get("id"), &call.user)?),
        Op::Create | Op::Update if has_data(&call)? => receive(op, &call, params),
        _ => answer(op, &call, params).map(|answer| finish(request, Ok(answer)).into_step()),
    }
}

fn answer(op: Op, call: &Call<'_>, params: Params<'_>) -> Result<Answer, Fault> {
    let user = call.user.as_str();
    let id = || params.get("id");
    let member = || members::member(params.get("member"));
    let done = || Ok(Answer::new(204));
    match op {
        Op::Create => create(call),
        Op::Show => Ok(bare(200, described(&glance::get(id(), user)?))),
        Op::Update => {
            let given = Given::read(&call.headers)?;
            if given.location.is_some() {
                return Err(Fault::bad_request("A location can be given to a new image only."));
            }
            shown(200, call, &glance::update(id(), &given, user, None)?)
        }
        Op::Delete => {
            glance::delete(id(), user)?;
            Ok(Answer::new(200))
        }
        Op::Members => {
            let rows = glance::members(id(), user)?;
            let rows: Vec<_> =
                rows.iter().map(|(member, can_share)| json!({ "member_id": member, "can_share": can_share })).collect();
            json(Vec::new(), &json!({ "members": rows }))
        }
        Op::ReplaceMembers => {
            let body = call.request.body_bytes();
            glance::get(id(), user)?;
            glance::replace_members(id(), user, &members::list(body)?)?;
            done()
        }
        Op::AddMember => {
            glance::get(id(), user)?;
            let can_share = members::one(call.request.body_bytes())?;
            glance::add_member(id(), user, &(member()?, can_share))?;
            done()
        }
        Op::RemoveMember => {
            glance::remove_member(id(), user, &member()?)?;
            done()
        }
        Op::List | Op::Detail | Op::Shared | Op::Data | Op::Nowhere => Err(not_found()),
    }
}

/// The headers of an image.
fn described(object: &Object) -> Vec<(String, String)> {
    let Some(view) = Image::of(object).map(View) else {
        return Vec::new();
    };
    let mut fields = view.headers();
    if let Some(etag) = view.etag() {
        fields.push(("etag".to_owned(), etag.to_owned()));
    }
    fields
}

/// An image after a change.
fn shown(status: u16, call: &Call<'_>, object: &Object) -> Result<Answer, Fault> {
    let view = Image::of(object).map(View).ok_or_else(not_found)?;
    let mut answer = json(Vec::new(), &json!({ "image": view.detail() }))?;
    answer.head.status = status;
    if let Some(etag) = view.etag() {
        answer = answer.header("etag", etag);
    }
    if status == 201 {
        answer = answer.header("location", call.request.url(&format!("/v1/images/{}", object.uuid)));
    }
    Ok(answer)
}

/// All metadata, and the data, in steps if it is long.
fn read(call: &Call<'_>, object: &Object) -> Result<Step, Fault> {
    let mut sending = Sending::of(Source::Content(object.content.clone()));
    sending.stretch(Stretch { offset: 0, length: object.content.size });
    let answer = bare(200, described(object)).header("content-type", "application/octet-stream");
    Ok(sent(call, sending.answer(answer)?))
}

/// A part of an image's data, and how it goes on.
fn sent(call: &Call<'_>, outcome: Outcome) -> Step {
    match outcome {
        Outcome::Answer(answer) => finish(call.request, Ok(answer)).into_step(),
        Outcome::More(answer, objects::Going::Send(sending)) => {
            let more = More { head: Some(answer.head), body: answer.body, ..More::new() };
            more.then(&Continuation { user: call.user.clone(), rest: Going::Send(sending) }).into_step()
        }
        Outcome::BreakOff(why) => Step::Fail(why),
        _ => lists::broken_off(call.request, &Fault::new(Kind::Internal, "The data cannot be sent")),
    }
}

/// A creation without data: a reservation, or an image of an object that is there.
fn create(call: &Call<'_>) -> Result<Answer, Fault> {
    let given = Given::read(&call.headers)?;
    let object = match &given.location {
        Some(location) => glance::adopt(&Location::parse(Some(location))?, &given, &call.user)?,
        None => glance::create(&glance::new_id(&given)?, &given, &call.user, None)?,
    };
    shown(201, call, &object)
}

/// Whether the request has a body, an empty one of unknown length included.
fn has_data(call: &Call<'_>) -> Result<bool, Fault> {
    if call.headers.has("transfer-encoding") {
        return Ok(true);
    }
    let length = call.headers.plain("content-length")?.unwrap_or("0");
    Ok(length.trim().parse::<u64>() != Ok(0))
}

/// The checks of data that need none of it; then it is taken.
fn receive(op: Op, call: &Call<'_>, params: Params<'_>) -> Result<Step, Fault> {
    let given = Given::read(&call.headers)?;
    let kind = call.headers.plain("content-type")?.unwrap_or_default();
    if !kind.is_empty() && kind.split(';').next().map(str::trim) != Some("application/octet-stream") {
        return Err(Fault::bad_request("Image data has to be sent as application/octet-stream."));
    }
    if given.location.is_some() {
        return Err(Fault::bad_request("Either data or a location can be given, not both."));
    }
    let length = call.headers.plain("content-length")?;
    if length.is_some_and(|length| length.parse().is_ok_and(|length: u64| length > BODY)) {
        return Err(too_large());
    }
    match op {
        Op::Create => {
            glance::new_id(&given)?;
            glance::new_metadata(&given, true)?;
        }
        _ => glance::awaiting(params.get("id"), &given, &call.user)?,
    }
    let receive = Receive::up_to(BODY)
        .pieces_of(BLOCK_SIZE)
        .piece_digests([DigestAlgorithm::Sha256])
        .body_digests([DigestAlgorithm::Md5])
        .trim(0);
    receive.then(&Continuation { user: call.user.clone(), rest: Going::Data }).map_err(|problem| {
        plugbay_sdk::error!("the data cannot be asked for: {problem}");
        Fault::new(Kind::Internal, "The data could not be taken")
    })
}

fn too_large() -> Fault {
    Fault::new(Kind::OverLimit, "The data is too long.")
}

/// The data was taken: make them an image's.
fn taken(op: Op, call: &Call<'_>, params: Params<'_>, event: Event) -> Result<Answer, Fault> {
    let received = match event {
        Event::Received(Ok(received)) => received,
        Event::Received(Err(ReceiveError::TooLarge)) => return Err(too_large()),
        // Nothing was written yet, so there is nothing to take back.
        Event::Received(Err(ReceiveError::CutOff)) => return Err(Fault::bad_request("The data was cut off.")),
        event => {
            plugbay_sdk::error!("a body could not be taken: {event:?}");
            return Err(Fault::new(Kind::Internal, "The data could not be kept"));
        }
    };
    let given = Given::read(&call.headers)?;
    let mut upload = Upload::new(received)?;
    match op {
        Op::Create => {
            let id = glance::new_id(&given)?;
            shown(201, call, &glance::create(&id, &given, &call.user, Some(&mut upload))?)
        }
        _ => shown(200, call, &glance::update(params.get("id"), &given, &call.user, Some(&mut upload))?),
    }
}

/// Begin a list, or go on with it.
fn list(op: Op, call: &Call<'_>, params: Params<'_>, cursor: Option<Cursor>) -> Result<Step, Fault> {
    if let Op::Shared = op {
        return shared(call, &members::member(params.get("member"))?, cursor);
    }
    let filters = Filters::parse(&call.query)?;
    let Page { sort, limit, marker } = Page::parse(&call.query)?;
    let keep = |image: &Image<'_>| filters.pass(image);
    let brief = |image: &Image<'_>| serde_json::to_vec(&View(*image).brief());
    let detail = |image: &Image<'_>| serde_json::to_vec(&View(*image).detail());
    let row: &dyn Fn(&Image<'_>) -> _ = if matches!(op, Op::Detail) { &detail } else { &brief };
    let listing = Listing { open: "{\"images\": [", close: "]}", keep: &keep, row };
    let walk = |expected| Ok(Visible::to(&call.user, expected)?.in_direction(sort.is_kept() && !sort.descending));
    let first = || {
        let marker = match &marker {
            Some(id) => Some(visible(id, &call.user)?.ok_or_else(|| bad_marker(id))?),
            None => None,
        };
        let marker = marker.as_ref().and_then(Image::of);
        if sort.is_kept() {
            return Ok(Cursor::walk(marker.map(|image| position(&image)), Some(limit)));
        }
        Cursor::sorted(&listing, walk(u32::MAX)?, sort, marker.map(|image| sort.rank(&image)), Some(limit))
    };
    lists::step(call, &listing, cursor, walk, first, |answer| answer)
}

/// Images that are shared with a member by name: for the member, or those of the caller.
fn shared(call: &Call<'_>, member: &str, cursor: Option<Cursor>) -> Result<Step, Fault> {
    let keep = |image: &Image<'_>| {
        let object = image.object;
        let shared = object.permissions.read.contains(member) && object.account != member;
        shared && (member == call.user || object.account == call.user)
    };
    let row = |image: &Image<'_>| {
        let can_share = image.object.permissions.share.contains(member);
        serde_json::to_vec(&json!({ "image_id": image.object.uuid, "can_share": can_share }))
    };
    let listing = Listing { open: "{\"shared_images\": [", close: "]}", keep: &keep, row: &row };
    let walk = |_| Ok(Visible::shared_with(member, &call.user));
    lists::step(call, &listing, cursor, walk, || Ok(Cursor::walk(None, None)), |answer| answer)
}
