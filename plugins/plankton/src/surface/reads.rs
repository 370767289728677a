//! Reading objects: the fields that describe one, conditions, and ranges as segments.

use plugbay_sdk::Answer;

use super::{
    Call, bare, hashmaps, json,
    objects::{Outcome, Target},
    public,
    sending::{Sending, Source},
};
use crate::{
    conditions::{self, Current},
    faults::{Fault, Kind},
    headers::{Headers, encode_content_type, encode_object, encode_part},
    object::Object,
    settings::Settings,
    sharing::Access,
    store::{
        db,
        manifests::Parts,
        places::{self, Place},
        versions,
    },
};

/// Name and value of the fields that describe an object to a user.
fn described(call: &Call<'_>, place: &Place, object: &Object) -> Result<Vec<(String, String)>, Fault> {
    let mut fields = plain(object);
    fields.extend(shared(call, place, object)?);
    Ok(fields)
}

/// Those that a version has as well.
fn plain(object: &Object) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = [
        ("ETag", object.etag().to_owned()),
        ("Content-Type", encode_content_type(&object.content_type)),
        ("Last-Modified", object.modified.http()),
        ("X-Object-Hash", object.content.root.clone()),
        ("X-Object-UUID", object.uuid.clone()),
        ("X-Object-Version", object.version.to_string()),
        ("X-Object-Version-Timestamp", object.modified.http()),
        ("X-Object-Modified-By", encode_object(&object.modified_by)),
        ("Available", "1".to_owned()),
        ("Accept-Ranges", "bytes".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let prefixed = object.meta.iter().map(|(name, value)| (format!("X-Object-Meta-{}", encode_part(name)), value));
    let presented = object.presentation.iter().map(|(name, value)| (name.clone(), value));
    fields.extend(prefixed.chain(presented).map(|(name, value)| (name, encode_object(value))));
    fields
}

/// Those that say who may do what.
fn shared(call: &Call<'_>, place: &Place, object: &Object) -> Result<Vec<(String, String)>, Fault> {
    let mut fields = Vec::new();
    if let Some(id) = object.public.as_deref().filter(|_| call.user == object.account) {
        fields.push(("X-Object-Public".to_owned(), public::link(call, &Settings::load()?.endpoints, id)));
    }
    if let Some((name, permissions)) = places::permissions(place, Some(object))? {
        let sharing = encode_object(&permissions.to_string());
        fields.push(("X-Object-Sharing".to_owned(), sharing));
        if name != object.name {
            let path = format!("{}/{}/{name}", object.account, object.container);
            fields.push(("X-Object-Shared-By".to_owned(), encode_object(&path)));
        }
        if call.user != object.account {
            let may = match places::access(place, Some(object), &call.user)? {
                Access::Write => "write",
                _ => "read",
            };
            fields.push(("X-Object-Allowed-To".to_owned(), may.to_owned()));
        }
    }
    Ok(fields)
}

/// HEAD and GET of an object, a version of it, its hashmap, or the list of its versions.
pub(super) fn read(call: &Call<'_>, target: &Target) -> Result<Outcome, Fault> {
    let Target { account, container, object } = target;
    let version = call.query.get("version").filter(|version| !version.is_empty());
    let (place, kept) = match version {
        Some("list") if !call.is_head() => return list_versions(call, target).map(Outcome::Answer),
        Some(version) => versions::readable(account, container, object, &call.user, version)?,
        None => places::readable(account, container, object, &call.user)?,
    };
    let object = &kept.value;
    let fields = if version.is_some() { plain(object) } else { described(call, &place, object)? };
    if call.query.has("hashmap") && !call.is_head() {
        return match unmodified(&call.headers, &object.current(), &fields)? {
            Some(answer) => Ok(answer.into()),
            None => hashmaps::show(fields, &object.content).map(Outcome::Answer),
        };
    }
    send(&call.headers, call.is_head(), object, &call.user, fields)
}

/// The answer to a read whose conditions say that the client has it already.
fn unmodified(headers: &Headers, current: &Current, fields: &[(String, String)]) -> Result<Option<Answer>, Fault> {
    match conditions::before_read(headers, current) {
        Err(fault) if fault.kind == Kind::NotModified => Ok(Some(bare(304, fields.to_vec()))),
        done => done.map(|()| None),
    }
}

/// An object's bytes with these fields, as far as conditions and ranges ask for them; for HEAD none.
/// A manifest's are those of its parts, as the reader may see them.
pub(super) fn send(
    headers: &Headers,
    head: bool,
    object: &Object,
    reader: &str,
    mut fields: Vec<(String, String)>,
) -> Result<Outcome, Fault> {
    let (size, current, source) = match Parts::of(object, reader) {
        None => (object.content.size, object.current(), Source::Content(object.content.clone())),
        Some(parts) => {
            let manifest = parts.find()?;
            let etag = |(name, _): &&mut (String, String)| name.eq_ignore_ascii_case("etag");
            if let Some((_, value)) = fields.iter_mut().find(etag) {
                value.clone_from(&manifest.etag);
            }
            (manifest.size, manifest.current(object), Source::Parts(parts, manifest.etag))
        }
    };
    if let Some(answer) = unmodified(headers, &current, &fields)? {
        return Ok(answer.into());
    }
    if head {
        return Ok(bare(200, fields).header("content-length", size.to_string()).into());
    }
    let mut sending = Sending::of(source);
    let ranges = conditions::ranges(headers, size, &current)?
        .filter(|ranges| ranges.len() == 1 || ranges.len() * (3 * object.content_type.len() + 256) < HEADS);
    match ranges.as_deref() {
        None => {
            sending.stretch(conditions::Stretch { offset: 0, length: size });
            sending.answer(bare(200, fields))
        }
        Some([range]) => {
            sending.stretch(*range);
            sending.answer(bare(206, fields).header("content-range", content_range(*range, size)))
        }
        Some(ranges) => several(sending, object, size, fields, ranges),
    }
}

/// Number and time of each version, oldest first.
fn list_versions(call: &Call<'_>, target: &Target) -> Result<Answer, Fault> {
    let Target { account, container, object } = target;
    let versions = versions::list(account, container, object, &call.user)?;
    let rows: Vec<(u64, String)> = versions.into_iter().map(|(number, made)| (number, made.decimal())).collect();
    json(Vec::new(), &serde_json::json!({ "versions": rows }))
}

/// Most bytes of the heads of several ranges; more of them are ignored as if none were asked for. What
/// is left to send has to fit a continuation.
const HEADS: usize = 48 * 1024;

fn content_range(range: conditions::Stretch, size: u64) -> String {
    let last = range.offset + range.length - 1;
    format!("bytes {}-{last}/{size}", range.offset)
}

/// Several ranges as a multipart body.
fn several(
    mut sending: Sending,
    object: &Object,
    size: u64,
    mut fields: Vec<(String, String)>,
    ranges: &[conditions::Stretch],
) -> Result<Outcome, Fault> {
    let boundary = db::random_hex(16)?;
    fields.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    let answer = bare(206, fields).header("content-type", format!("multipart/byteranges; boundary={boundary}"));
    let kind = encode_content_type(&object.content_type);
    for (index, range) in ranges.iter().enumerate() {
        let lead = if index == 0 { "" } else { "\r\n" };
        let range_text = content_range(*range, size);
        let head = format!("{lead}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {range_text}\r\n\r\n");
        sending.text(head);
        sending.stretch(*range);
    }
    sending.text(format!("\r\n--{boundary}--\r\n"));
    sending.answer(answer)
}
