//! CDMI over HTTP, and plain HTTP on the same paths.

use plugbay_sdk::{Answer, Event, IntoStep, Problem, Receive, Received, Request, Route, Step, Surface, blobs};

use super::{
    change::{self, Change, NewValue},
    document,
    fields::Fields,
    place::Place,
    record::{self, Kept, Kind, Record},
    value,
    wish::Wish,
};
use crate::{fault::Fault, media::essence, service::Service, surface::answer::finish};

/// Versions that are spoken, the best first.
const VERSIONS: [&str; 6] = ["1.1.1", "1.1.0", "1.1", "1.0.2", "1.0.1", "1.0"];
const VERSION_FIELD: &str = "x-cdmi-specification-version";

const CONTAINER: &str = "application/cdmi-container";
const OBJECT: &str = "application/cdmi-object";
const CAPABILITY: &str = "application/cdmi-capability";

/// Most bytes of a value sent without CDMI's types, and of a document beside its value.
const UPLOAD: u64 = 1 << 40;
const DOCUMENT: u64 = 1 << 18;

#[derive(Clone, Copy)]
enum Op {
    Read,
    Write,
    Delete,
}

const TABLE: &[(Op, Route)] = &[
    (Op::Read, Route::get("/{*path}", "cdmi-read")),
    (Op::Write, Route::put("/{*path}", "cdmi-put").staged()),
    (Op::Write, Route::post("/{*path}", "cdmi-post").staged()),
    (Op::Delete, Route::delete("/{*path}", "cdmi-delete")),
];

/// The surface.
pub fn surface() -> Surface {
    Surface::new("cdmi").errors("text/plain; charset=utf-8", "{detail}\n").resumable_table(
        TABLE,
        |op, request, _| match op {
            Op::Read => finish(read(request)).into_step(),
            Op::Delete => finish(delete(request)).into_step(),
            Op::Write => match version(request) {
                Ok(_) => Receive::up_to(UPLOAD).then("").into_step(),
                Err(fault) => finish(Err(fault)).into_step(),
            },
        },
        |_, request, _, _: String, event: Event| -> Step {
            match event.received() {
                Ok(received) => finish(write(request, &received)).into_step(),
                Err(problem) => Problem::into_step(problem),
            }
        },
    )
}

/// The version that a CDMI request is answered in; none if it is not one.
fn version(request: &Request) -> Result<Option<&'static str>, Fault> {
    match request.header_text(VERSION_FIELD) {
        Some(asked) => {
            let asked: Vec<&str> = asked.split(',').map(str::trim).collect();
            let known = VERSIONS.into_iter().find(|known| asked.contains(known));
            known.map(Some).ok_or_else(|| Fault::bad_request("None of these versions of CDMI is spoken here."))
        }
        // From 1.1 on the types alone tell.
        None => {
            let has = |name| request.header_text(name).is_some_and(|value| value.contains("application/cdmi-"));
            Ok((has("accept") || has("content-type")).then_some("1.1.1"))
        }
    }
}

fn cdmi(status: u16, version: &str, content_type: &str, value: &serde_json::Value) -> Answer {
    Answer::bytes(status, content_type, value.to_string()).header(VERSION_FIELD, version)
}

fn bare(status: u16, version: Option<&str>) -> Answer {
    match version {
        Some(version) => Answer::new(status).header(VERSION_FIELD, version),
        None => Answer::new(status),
    }
}

/// 406 if the type of what is there is not accepted.
fn accepts(request: &Request, wanted: &str) -> Result<(), Fault> {
    let Some(accept) = request.header_text("accept") else { return Ok(()) };
    let fits = |range: &str| ["*/*", "application/*", wanted].contains(&essence(range));
    if accept.split(',').any(fits) {
        Ok(())
    } else {
        Err(Fault::new(406, format!("What is here is of the type {wanted}.")))
    }
}

fn nothing(request: &Request) -> Fault {
    Fault::not_found(format!("There is nothing at {}.", request.path))
}

/// What is at the request's path, as far as its slash agrees: a container that is named without is a redirection.
fn existing(service: &Service, request: &Request) -> Result<Result<Kept, Answer>, Fault> {
    // Objects name the one domain that there is; it is not shown.
    if request.path.starts_with("/cdmi_domains") {
        return Err(nothing(request));
    }
    let Place::Taken(found) = Place::of(&service.keys, &request.path)? else { return Err(nothing(request)) };
    let slash = request.path.ends_with('/');
    let by_id =
        request.path.strip_prefix("/cdmi_objectid/").is_some_and(|rest| !rest.trim_end_matches('/').contains('/'));
    match found.record.kind {
        Kind::Container if !slash && !by_id => {
            Ok(Err(Answer::new(301).header("location", request.url(&format!("{}/", request.path)))))
        }
        Kind::DataObject if slash => Err(nothing(request)),
        _ => Ok(Ok(found)),
    }
}

fn read(request: &Request) -> Result<Answer, Fault> {
    let version = version(request)?;
    let fields = Fields::parse(request.query.as_deref())?;
    if let Some(below) = request.path.strip_prefix("/cdmi_capabilities") {
        let root = record::root_id(&Service::of(request)?.keys);
        let found = document::capabilities(below, &root, &fields).ok_or_else(|| nothing(request))?;
        return Ok(cdmi(200, version.unwrap_or("1.1.1"), CAPABILITY, &found));
    }
    let service = Service::of(request)?;
    let record = match existing(&service, request)? {
        Ok(found) => found.record,
        Err(redirection) => return Ok(redirection),
    };
    let limit = service.settings.cdmi_value_limit as u64;
    match (version, record.kind) {
        (None, Kind::DataObject) => {
            let mimetype = if record.mimetype.is_empty() { "text/plain" } else { &record.mimetype };
            let answer = Answer::new(200).header("content-type", mimetype);
            let answer = answer.header("etag", format!("\"{}-{}\"", record.id, value::modified(&record)));
            Ok(answer.segment(value::segment(&record)).conditional())
        }
        (version, kind) => {
            let content_type = if kind == Kind::Container { CONTAINER } else { OBJECT };
            if version.is_some() {
                accepts(request, content_type)?;
            }
            let value = document::of(&service.keys, &record, &fields, true, limit)?;
            let content_type = if version.is_some() { content_type } else { "application/json" };
            Ok(cdmi(200, version.unwrap_or("1.1.1"), content_type, &value))
        }
    }
}

fn delete(request: &Request) -> Result<Answer, Fault> {
    let version = version(request)?;
    let service = Service::of(request)?;
    match existing(&service, request)? {
        Ok(found) => {
            change::delete(&service, &found)?;
            Ok(bare(204, version))
        }
        Err(redirection) => Ok(redirection),
    }
}

fn write(request: &Request, received: &Received) -> Result<Answer, Fault> {
    let version = version(request)?;
    let service = Service::of(request)?;
    let kind = kind_of(request)?;
    let fields = Fields::parse(request.query.as_deref())?;
    let limit = service.settings.cdmi_value_limit as u64;
    let target = Target::of(&service, request, kind)?;
    let before = match &target {
        Target::There(found) => Some(&found.record),
        _ => None,
    };
    let is_document = request.header_text("content-type").is_some_and(|value| value.contains("application/cdmi-"));
    let mut change = if is_document || kind == Kind::Container {
        let body = body(received, limit.saturating_mul(2) + DOCUMENT)?;
        Change::of(&service.keys, Wish::parse(&body)?, &fields, before)?
    } else {
        plain(request, received)
    };
    change.partial = request.header_text("x-cdmi-partial").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if kind == Kind::Container && change.value.is_some() {
        return Err(Fault::bad_request("A container has no value."));
    }
    if kind == Kind::DataObject && change.exports.is_some() {
        return Err(Fault::bad_request("Only containers are exported."));
    }
    let (parent, name) = match target {
        Target::There(found) => {
            change::update(&service, &found.record.id, &change)?;
            return Ok(bare(204, version));
        }
        Target::In(parent, name) => (Some(parent), name),
        Target::Unnamed => (None, String::new()),
    };
    if change.mimetype.is_none() && kind == Kind::DataObject {
        change.mimetype = Some("text/plain".to_owned());
    }
    let id = change::new_id()?;
    // What is posted has its id for a name.
    let name = if parent.is_some() && name.is_empty() { id.clone() } else { name };
    let owner = request.user().map_or("anonymous", |user| user.id.as_str()).to_owned();
    let new = Record::new(id, kind, &name, None, &owner);
    let made = change::create(&service, parent.as_ref(), new, &change)?;
    let answer = match version {
        Some(version) => {
            let content_type = if kind == Kind::Container { CONTAINER } else { OBJECT };
            cdmi(201, version, content_type, &document::of(&service.keys, &made, &Fields::default(), false, limit)?)
        }
        None => Answer::new(201),
    };
    if request.method != "POST" {
        return Ok(answer);
    }
    let location = match &made.parent {
        Some(_) => request.url(&format!("{}{name}", request.path)),
        None => request.url(&format!("/cdmi_objectid/{}", made.id)),
    };
    Ok(answer.header("location", location))
}

/// Where a request writes.
enum Target {
    There(Kept),
    In(Kept, String),
    Unnamed,
}

impl Target {
    fn of(service: &Service, request: &Request, kind: Kind) -> Result<Target, Fault> {
        let path = request.path.as_str();
        if request.method == "POST" {
            if kind == Kind::Container {
                return Err(Fault::bad_request("Containers are made by PUT."));
            }
            if path.trim_end_matches('/') == "/cdmi_objectid" {
                return Ok(Target::Unnamed);
            }
            return match Place::of(&service.keys, path)? {
                Place::Taken(found) if found.record.kind == Kind::Container && path.ends_with('/') => {
                    Ok(Target::In(found, String::new()))
                }
                Place::Taken(_) => Err(Fault::bad_request("Objects are posted to a container, with its slash.")),
                Place::Free { .. } | Place::Nowhere => Err(nothing(request)),
            };
        }
        match Place::of(&service.keys, path)? {
            Place::Taken(found) if found.record.kind == kind => Ok(Target::There(found)),
            Place::Taken(_) => Err(Fault::conflict("There is an object of the other kind here.")),
            Place::Free { parent, name } => Ok(Target::In(parent, name)),
            Place::Nowhere => Err(Fault::not_found("The container is not there.")),
        }
    }
}

/// What a request writes: what its type says, else what its slash says.
fn kind_of(request: &Request) -> Result<Kind, Fault> {
    let slash = request.path.ends_with('/');
    match request.header_text("content-type").map(essence) {
        Some(CONTAINER) if !slash => Err(Fault::bad_request("The path of a container ends in a slash.")),
        Some(CONTAINER) => Ok(Kind::Container),
        Some(OBJECT) if slash && request.method != "POST" => {
            Err(Fault::bad_request("The path of a data object does not end in a slash."))
        }
        Some(OBJECT) => Ok(Kind::DataObject),
        Some(other) if other.starts_with("application/cdmi-") => {
            Err(Fault::bad_request(format!("Objects of the type {other} cannot be made here.")))
        }
        _ if slash && request.method != "POST" => Ok(Kind::Container),
        _ => Ok(Kind::DataObject),
    }
}

fn body(received: &Received, limit: u64) -> Result<Vec<u8>, Fault> {
    if received.size > limit {
        return Err(Fault::new(413, "The document is too long; send the value without CDMI's types."));
    }
    let mut bytes = Vec::new();
    for piece in &received.pieces {
        let mut at = 0;
        while at < piece.size {
            let length = (piece.size - at).min(blobs::READ_LIMIT);
            let range = plugbay_sdk::BlobRange::part(piece.id.as_str(), at, length);
            bytes.extend(blobs::read(&range).map_err(|error| Fault::internal(format_args!("piece: {error:?}")))?);
            at += length;
        }
    }
    Ok(bytes)
}

/// A value that was sent as it is.
fn plain(request: &Request, received: &Received) -> Change {
    let mimetype = request.header_text("content-type").map(str::to_owned);
    let utf8 =
        mimetype.as_deref().is_some_and(|value| value.to_ascii_lowercase().replace('"', "").contains("charset=utf-8"));
    let value = NewValue { piece: received.pieces.first().cloned(), size: received.size, utf8 };
    Change { value: Some(value), mimetype, ..Change::default() }
}
