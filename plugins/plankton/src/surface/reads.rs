//! Reading objects: the fields that describe one, conditions, and ranges as segments.

use plugbay_sdk::{Answer, Segment};

use super::{Call, bare, not_yet, objects::Target, public};
use crate::{
    conditions,
    faults::{Fault, Kind},
    headers::{Headers, encode_content_type, encode_object, encode_part},
    object::Object,
    settings::Settings,
    sharing::Access,
    store::{
        blocks, db,
        places::{self, Place},
    },
};

/// Name and value of the fields that describe an object to a user.
fn described(call: &Call<'_>, place: &Place, object: &Object) -> Result<Vec<(String, String)>, Fault> {
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

/// HEAD and GET of an object.
pub(super) fn read(call: &Call<'_>, target: &Target) -> Result<Answer, Fault> {
    for (parameter, what) in [("hashmap", "A hashmap"), ("version", "Reading versions")] {
        if call.query.has(parameter) {
            return Err(not_yet(what));
        }
    }
    let Target { account, container, object } = target;
    let (place, kept) = places::readable(account, container, object, &call.user)?;
    let fields = described(call, &place, &kept.value)?;
    send(&call.headers, call.is_head(), &kept.value, fields)
}

/// An object's bytes with these fields, as far as conditions and ranges ask for them; for HEAD none.
pub(super) fn send(
    headers: &Headers,
    head: bool,
    object: &Object,
    fields: Vec<(String, String)>,
) -> Result<Answer, Fault> {
    let content = &object.content;
    let current = object.current();
    match conditions::before_read(headers, &current) {
        Err(fault) if fault.kind == Kind::NotModified => return Ok(bare(304, fields)),
        done => done?,
    }
    if head {
        return Ok(bare(200, fields).header("content-length", content.size.to_string()));
    }
    let whole = conditions::Stretch { offset: 0, length: content.size };
    let Some(ranges) = conditions::ranges(headers, content.size, &current)? else {
        let mut answer = bare(200, fields);
        answer.body = blocks::segments(content, whole)?;
        return Ok(answer);
    };
    if let [range] = ranges.as_slice() {
        let mut answer = bare(206, fields).header("content-range", content_range(*range, content.size));
        answer.body = blocks::segments(content, *range)?;
        return Ok(answer);
    }
    several(object, fields, &ranges)
}

fn content_range(range: conditions::Stretch, size: u64) -> String {
    let last = range.offset + range.length - 1;
    format!("bytes {}-{last}/{size}", range.offset)
}

/// Several ranges as a multipart body.
fn several(
    object: &Object,
    mut fields: Vec<(String, String)>,
    ranges: &[conditions::Stretch],
) -> Result<Answer, Fault> {
    let boundary = db::random_hex(16)?;
    fields.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    let mut answer = bare(206, fields).header("content-type", format!("multipart/byteranges; boundary={boundary}"));
    let kind = encode_content_type(&object.content_type);
    for (index, range) in ranges.iter().enumerate() {
        let lead = if index == 0 { "" } else { "\r\n" };
        let range_text = content_range(*range, object.content.size);
        let head = format!("{lead}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {range_text}\r\n\r\n");
        answer.body.push(Segment::Bytes(head.into_bytes()));
        answer.body.extend(blocks::segments(&object.content, *range)?);
    }
    let end = format!("\r\n--{boundary}--\r\n");
    answer.body.push(Segment::Bytes(end.into_bytes()));
    Ok(answer)
}
