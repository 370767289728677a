//! The image registry: `/images`, its members, and `/shared-images`.

use plugbay_sdk::{Answer, IntoStep as _, Params, Request, Route, Step, Surface};
use serde_json::json;

use super::{
    Call, HOST_ERRORS, JSON, bare, dressed, finish, json,
    lists::{self, Continuation, Cursor, Going, Listing},
    no_endpoint, nowhere, unknown_path, wrong_method,
};
use crate::{
    faults::{Fault, Kind},
    image::{
        Image,
        fields::{self, Given},
        members,
        query::{Filters, Sort},
    },
    location::Location,
    object::Object,
    sharing::{EVERYONE, principal},
    store::{images, visible::Visible},
};

/// Most bytes of a body that is read or passed over.
const BODY: u32 = 1024 * 1024;

#[derive(Debug, Clone, Copy)]
enum Op {
    List,
    Detail,
    Register,
    Show,
    Data,
    Update,
    Unregister,
    Members,
    ReplaceMembers,
    AddMember,
    RemoveMember,
    Shared,
    Nowhere,
}

const fn route(method: &'static str, path: &'static str, operation: &'static str) -> Route {
    Route::new(method, path, operation).plugin_decides().buffered(BODY)
}

const TABLE: [(Op, Route); 20] = [
    (Op::List, route("GET", "/images", "image-list")),
    (Op::List, route("GET", "/images/", "image-list")),
    (Op::Detail, route("GET", "/images/detail", "image-detail")),
    (Op::Register, route("POST", "/images", "image-register")),
    (Op::Register, route("POST", "/images/", "image-register")),
    (Op::Show, route("HEAD", "/images/{id}", "image-show")),
    (Op::Data, route("GET", "/images/{id}", "image-data")),
    (Op::Update, route("PUT", "/images/{id}", "image-update")),
    (Op::Unregister, route("DELETE", "/images/{id}", "image-unregister")),
    (Op::Members, route("GET", "/images/{id}/members", "member-list")),
    (Op::ReplaceMembers, route("PUT", "/images/{id}/members", "member-replace")),
    (Op::AddMember, route("PUT", "/images/{id}/members/{member}", "member-add")),
    (Op::RemoveMember, route("DELETE", "/images/{id}/members/{member}", "member-remove")),
    (Op::Shared, route("GET", "/shared-images/{member}", "shared-list")),
    (Op::Nowhere, nowhere("GET")),
    (Op::Nowhere, nowhere("HEAD")),
    (Op::Nowhere, nowhere("POST")),
    (Op::Nowhere, nowhere("PUT")),
    (Op::Nowhere, nowhere("DELETE")),
    (Op::Nowhere, nowhere("PATCH")),
];

/// The surface.
pub fn surface() -> Surface {
    let surface = Surface::new("images")
        .errors(HOST_ERRORS.0, HOST_ERRORS.1)
        .header("Content-Type", JSON)
        .without_auto_head()
        .resumable_table(&TABLE, handle, |op, request, params, continuation, _event| {
            resume(op, request, params, continuation)
        });
    dressed(surface)
}

fn handle(op: Op, request: &Request, params: Params<'_>) -> Step {
    let step = if matches!(op, Op::List | Op::Detail | Op::Shared) {
        Call::new(request).and_then(|call| list(op, &call, params, None))
    } else {
        answer(op, request, params).map(|answer| finish(request, Ok(answer)).into_step())
    };
    step.map_err(over_limit).unwrap_or_else(|fault| finish(request, Err(fault)).into_step())
}

/// The registry has its own name for a quota that is used up.
fn over_limit(fault: Fault) -> Fault {
    let kind = if fault.kind == Kind::EntityTooLarge { Kind::OverLimit } else { fault.kind };
    Fault { kind, ..fault }
}

/// The client has taken what there was of a list so far.
fn resume(op: Op, request: &Request, params: Params<'_>, continuation: Continuation) -> Step {
    let call = Call::of(request, continuation.user);
    let cursor = match continuation.rest {
        Going::List(cursor) => Some(cursor),
        Going::Data | Going::Send(_) => None,
    };
    list(op, &call, params, cursor).unwrap_or_else(|fault| lists::broken_off(request, &fault))
}

fn answer(op: Op, request: &Request, params: Params<'_>) -> Result<Answer, Fault> {
    // The host falls back to `{id}` where the literal path does not have the method.
    if request.path == "/images/detail" && !matches!(op, Op::Detail) {
        return Ok(wrong_method(request, "GET"));
    }
    if matches!(op, Op::Nowhere) {
        return no_endpoint(&TABLE, request);
    }
    let call = Call::new(request)?;
    let id = || {
        let id = params.get("id");
        members::is_path_id(id).then_some(id).ok_or_else(unknown_path)
    };
    let member = || path_member(params);
    let user = call.user.as_str();
    match op {
        Op::Register => register(&call),
        Op::Show => Ok(shown(&images::get(id()?, user)?)),
        // The bytes are to be had at the location.
        Op::Data => {
            id()?;
            Ok(Answer::new(501))
        }
        Op::Update => {
            let id = id()?;
            let given = Given::read(&call.headers, fields::Call::Update)?;
            Ok(shown(&images::update(id, &given, user)?))
        }
        Op::Unregister => {
            images::unregister(id()?, user)?;
            Ok(Answer::new(204))
        }
        Op::Members => list_members(&call, id()?),
        Op::ReplaceMembers => {
            let id = id()?;
            let members = members::parse(&call.headers, request.body_bytes())?;
            images::set_members(id, user, |read| {
                let public = read.contains(EVERYONE);
                *read = members.iter().cloned().collect();
                if public {
                    read.insert(EVERYONE.to_owned());
                }
            })?;
            Ok(Answer::new(204))
        }
        Op::AddMember => {
            let (id, member) = (id()?, member()?);
            images::set_members(id, user, |read| {
                read.insert(member.clone());
            })?;
            Ok(Answer::new(204))
        }
        Op::RemoveMember => {
            let (id, member) = (id()?, member()?);
            images::set_members(id, user, |read| {
                read.remove(&member);
            })?;
            Ok(Answer::new(204))
        }
        Op::List | Op::Detail | Op::Shared | Op::Nowhere => Err(unknown_path()),
    }
}

/// The headers of an image, and nothing else.
fn shown(object: &Object) -> Answer {
    bare(200, Image::of(object).map_or_else(Vec::new, |image| image.headers()))
}

fn path_member(params: Params<'_>) -> Result<String, Fault> {
    let member = params.get("member");
    members::is_path_member(member).then(|| principal(member)).ok_or_else(unknown_path)
}

/// Begin a list, or go on with it.
fn list(op: Op, call: &Call<'_>, params: Params<'_>, cursor: Option<Cursor>) -> Result<Step, Fault> {
    if let Op::Shared = op {
        return shared(call, &path_member(params)?, cursor);
    }
    let filters = Filters::parse(&call.query)?;
    let sort = Sort::parse(&call.query)?;
    let keep = |image: &Image<'_>| filters.pass(image);
    let brief = |image: &Image<'_>| serde_json::to_vec(&image.brief());
    let detail = |image: &Image<'_>| serde_json::to_vec(&image.detail());
    let listing =
        Listing { open: "[", close: "]", keep: &keep, row: if matches!(op, Op::Detail) { &detail } else { &brief } };
    let walk = |expected| Ok(Visible::to(&call.user, expected)?.in_direction(sort.is_kept() && !sort.descending));
    let first = || match sort.is_kept() {
        true => Ok(Cursor::walk(None, None)),
        false => Cursor::sorted(&listing, walk(u32::MAX)?, sort, None, None),
    };
    lists::step(call, &listing, cursor, walk, first, |answer| finish(call.request, Ok(answer)))
}

fn register(call: &Call<'_>) -> Result<Answer, Fault> {
    let given = Given::read(&call.headers, fields::Call::Register)?;
    let location = Location::parse(given.location.as_deref())?;
    Ok(shown(&images::register(&location, &given, &call.user)?))
}

fn list_members(call: &Call<'_>, id: &str) -> Result<Answer, Fault> {
    let object = images::get(id, &call.user)?;
    let members: Vec<_> =
        object.permissions.members().map(|member| json!({ "member_id": member, "can_share": false })).collect();
    json(Vec::new(), &json!({ "members": members }))
}

/// Images that are not public: those of the caller that are shared with the member, and those of
/// the member that the caller can see. The documents promise the one, the original gave the other.
fn shared(call: &Call<'_>, member: &str, cursor: Option<Cursor>) -> Result<Step, Fault> {
    let keep = |image: &Image<'_>| {
        let (account, permissions) = (&image.object.account, &image.object.permissions);
        let mine = *account == call.user && permissions.members().any(|name| name == member);
        !permissions.is_public() && (mine || account == member)
    };
    let row = |image: &Image<'_>| serde_json::to_vec(&json!({ "image_id": image.object.uuid, "can_share": false }));
    let listing = Listing { open: "{\"shared_images\": [", close: "]}", keep: &keep, row: &row };
    let walk = |expected| {
        if member == call.user { Ok(Visible::owned_by(&call.user)) } else { Visible::to(&call.user, expected) }
    };
    let first = || Ok(Cursor::walk(None, None));
    lists::step(call, &listing, cursor, walk, first, |answer| finish(call.request, Ok(answer)))
}
