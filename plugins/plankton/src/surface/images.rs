//! The image registry: `/images`, its members, and `/shared-images`.

use std::collections::BTreeSet;

use plugbay_sdk::{Answer, Params, Request, Route, Surface};
use serde_json::json;

use super::{ALWAYS, Call, HOST_ERRORS, JSON, bare, finish, json, no_endpoint, nowhere, unknown_path, wrong_method};
use crate::{
    faults::Fault,
    image::{
        Image,
        fields::{self, Given},
        members,
        query::{Filters, Sort},
    },
    location::Location,
    object::Object,
    sharing::{EVERYONE, Permissions, principal},
    store::images::{self, Visible},
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

const TABLE: [(Op, Route); 19] = [
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
];

/// The surface.
pub fn surface() -> Surface {
    let mut surface = Surface::new("images")
        .errors(HOST_ERRORS.0, HOST_ERRORS.1)
        .header("Content-Type", JSON)
        .without_auto_head()
        .table(&TABLE, |op, request, params| finish(request, answer(op, request, params)));
    for (name, value) in ALWAYS {
        surface = surface.header(name, value);
    }
    surface
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
    let member = || {
        let member = params.get("member");
        let known = members::is_path_member(member);
        known.then(|| principal(member)).ok_or_else(unknown_path)
    };
    let user = call.user.as_str();
    match op {
        Op::List => list(&call, false),
        Op::Detail => list(&call, true),
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
        Op::Shared => shared(&call, &member()?),
        Op::Nowhere => Err(unknown_path()),
    }
}

/// The headers of an image, and nothing else.
fn shown(object: &Object) -> Answer {
    bare(200, Image::of(object).map_or_else(Vec::new, |image| image.headers()))
}

fn list(call: &Call<'_>, detail: bool) -> Result<Answer, Fault> {
    let filters = Filters::parse(&call.query)?;
    let sort = Sort::parse(&call.query)?;
    let mut visible = Visible::to(&call.user, 256)?;
    let mut objects = Vec::new();
    while let Some(object) = visible.next_image()? {
        if Image::of(&object).is_some_and(|image| filters.pass(&image)) {
            objects.push(object);
        }
    }
    let mut found: Vec<Image<'_>> = objects.iter().filter_map(Image::of).collect();
    if sort != Sort::DEFAULT {
        found.sort_by(|a, b| sort.compare(a, b));
    }
    if detail {
        let rows: Vec<_> = found.iter().map(Image::detail).collect();
        json(Vec::new(), &rows)
    } else {
        let rows: Vec<_> = found.iter().map(Image::brief).collect();
        json(Vec::new(), &rows)
    }
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
fn shared(call: &Call<'_>, member: &str) -> Result<Answer, Fault> {
    let reads = |permissions: &Permissions| permissions.members().any(|name| name == member);
    let mut ids = BTreeSet::new();
    let mut visible = if member == call.user { Visible::owned_by(&call.user) } else { Visible::to(&call.user, 256)? };
    while let Some(object) = visible.next_image()? {
        let permissions = &object.permissions;
        let mine = object.account == call.user && reads(permissions);
        if !permissions.is_public() && (mine || object.account == member) {
            ids.insert(object.uuid);
        }
    }
    let shared: Vec<_> = ids.into_iter().map(|id| json!({ "image_id": id, "can_share": false })).collect();
    json(Vec::new(), &json!({ "shared_images": shared }))
}
