//! Changing part of an object's data: `POST` with `Content-Range`, from a body or from another object.

use plugbay_sdk::{Answer, DigestAlgorithm, Receive, Received};

use super::{
    Call,
    objects::{Going, Outcome, Target},
    transfers,
    writes::{Written, length_given, too_large},
};
use crate::{
    conditions,
    content_range::ContentRange,
    faults::Fault,
    merkle::BLOCK_SIZE,
    object::Object,
    store::{
        blocks::splice::{Bytes, Splice},
        db::Kept,
        objects,
        places::{self, Place},
        quotas, versions,
    },
};

/// Most bytes that one request lays over an object: what is joined anew has to be done in one step.
const BODY: u64 = 1024 * 1024 * 1024;

/// What the headers say of a change.
struct Change {
    range: ContentRange,
    /// `X-Object-Bytes`.
    cut: Option<u64>,
    /// `X-Source-Object`: where the bytes come from instead of the body.
    source: Option<Target>,
    /// `X-Source-Version`.
    source_version: Option<String>,
}

impl Change {
    fn read(call: &Call<'_>) -> Result<Change, Fault> {
        let range = call
            .headers
            .plain("content-range")?
            .ok_or_else(|| Fault::bad_request("Missing Content-Range header field"))?;
        let range =
            ContentRange::parse(range).ok_or_else(|| Fault::bad_request("Invalid Content-Range header field"))?;
        let cut = call
            .headers
            .plain("x-object-bytes")?
            .map(|text| text.trim().parse().map_err(|_| Fault::bad_request("Invalid X-Object-Bytes header field")))
            .transpose()?;
        let source =
            call.headers.has("x-source-object").then(|| transfers::source(call, "x-source-object")).transpose()?;
        Ok(Change { range, cut, source, source_version: call.headers.text("x-source-version")? })
    }

    /// The bytes of the source, as many as the range speaks of.
    fn source(&self, call: &Call<'_>, source: &Target) -> Result<Bytes, Fault> {
        let Target { account, container, object } = source;
        let (_, kept) = match &self.source_version {
            Some(version) => versions::readable(account, container, object, &call.user, version)?,
            None => places::readable(account, container, object, &call.user)?,
        };
        let content = &kept.value.content;
        let wanted = self.range.length();
        // A client that cuts an object names its new size as the last byte, which is one too many.
        if wanted.is_some_and(|wanted| wanted > content.size) && self.cut.is_none() {
            return Err(Fault::bad_request("The source is shorter than the range"));
        }
        Bytes::of_content(content, wanted)
    }
}

/// The object to change, after the checks that need no data.
fn find(call: &Call<'_>, target: &Target) -> Result<(Place, Kept<Object>), Fault> {
    let Target { account, container, object } = target;
    let (place, head) = places::writable(account, container, object, &call.user)?;
    let head = head.ok_or_else(places::missing)?;
    conditions::before_write(&call.headers, Some(&head.value.current()))?;
    Ok((place, head))
}

/// Refuse what can be refused before data is taken; then take it, or make the change if the data is
/// here already.
pub(super) fn begin(call: &Call<'_>, target: &Target) -> Result<Outcome, Fault> {
    let written = Written::read(call, &target.account)?;
    let (place, head) = find(call, target)?;
    written.over(&head.value, call)?;
    let change = Change::read(call)?;
    if let Some(source) = &change.source {
        let data = change.source(call, source)?;
        return apply(call, target, &change, data).map(Outcome::Answer);
    }
    let length = length_given(call)?;
    let length = match (length, change.range.length()) {
        (Some(given), Some(said)) if given != said => return Err(wrong_length()),
        (Some(length), _) | (None, Some(length)) => length,
        (None, None) => 0,
    };
    if length > BODY {
        return Err(too_large());
    }
    let size = head.value.content.size;
    let end = change.range.place(size, length)?.unwrap_or(size).saturating_add(length).max(size);
    quotas::admit(&place, Some(&head.value), change.cut.map_or(end, |cut| cut.min(end)))?;
    let receive = Receive::up_to(BODY).pieces_of(BLOCK_SIZE).piece_digests([DigestAlgorithm::Sha256]).trim(0);
    Ok(Outcome::Receive(receive, Going::Update))
}

fn wrong_length() -> Fault {
    Fault::bad_request("Content-Length does not match the range")
}

/// The data was taken: lay it over the object.
pub(super) fn with_body(call: &Call<'_>, target: &Target, received: Received) -> Result<Answer, Fault> {
    let change = Change::read(call)?;
    if change.range.length().is_some_and(|said| said != received.size) {
        return Err(wrong_length());
    }
    apply(call, target, &change, Bytes::of_body(received)?)
}

fn apply(call: &Call<'_>, target: &Target, change: &Change, data: Bytes) -> Result<Answer, Fault> {
    let written = Written::read(call, &target.account)?;
    let mut splice = Splice { at: None, data, cut: change.cut };
    let object = objects::rewrite(
        || find(call, target),
        |object, again| {
            splice.at = change.range.place(object.content.size, splice.data.size())?;
            splice.over(&object.content, again)
        },
        |there| written.over(there, call),
    )?;
    Ok(Answer::new(204)
        .header("ETag", object.etag())
        .header("Last-Modified", object.modified.http())
        .header("X-Object-Version", object.version.to_string()))
}
