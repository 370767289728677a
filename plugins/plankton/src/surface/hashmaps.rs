//! Content by its hashes: reading and writing hashmaps, and the blocks they speak of.

use plugbay_sdk::{Answer, BlobRange, Received, Segment, blobs};

use super::{
    Call, JSON, bare,
    containers::container_change,
    objects::{Outcome, Target, own},
    writes::{in_blocks, length_given, stored},
};
use crate::{
    faults::{Fault, Kind},
    hashmap::{self, Hashmap},
    merkle::hex,
    object::Content,
    store::{
        blocks::{self, Upload, reading},
        containers,
    },
};

/// `PUT …?hashmap` with the body taken: make an object of blocks that are there, or say which are
/// not.
pub(super) fn put(call: &Call<'_>, target: &Target, received: &Received) -> Result<Answer, Fault> {
    let Hashmap { bytes, hashes } = Hashmap::parse(&body(received)?)?;
    let mut upload = match Upload::of_hashes(bytes, hashes.clone())? {
        Ok(upload) => upload,
        Err(missing) => return list(409, &missing.iter().map(|hash| hex(hash)).collect::<Vec<_>>()),
    };
    match stored(call, target, &mut upload) {
        // A block went between the look and the write.
        Err(fault) if fault.kind == Kind::Conflict => match blocks::missing(&hashes)?.as_slice() {
            [] => Err(fault),
            missing => list(409, &missing.iter().map(|hash| hex(hash)).collect::<Vec<_>>()),
        },
        done => done,
    }
}

/// The bytes of a body that is not long.
fn body(received: &Received) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::with_capacity(usize::try_from(received.size).unwrap_or_default());
    for piece in &received.pieces {
        let mut at = 0;
        while at < piece.size {
            let some = (piece.size - at).min(blobs::READ_LIMIT);
            let bytes = blobs::read(&BlobRange::part(&piece.id, at, some)).map_err(|error| {
                plugbay_sdk::error!("a body cannot be read: {error:?}");
                Fault::new(Kind::Internal, "The store failed")
            })?;
            body.extend_from_slice(&bytes);
            at += some;
        }
    }
    Ok(body)
}

fn list(status: u16, hashes: &[String]) -> Result<Answer, Fault> {
    let mut answer = super::json(Vec::new(), hashes)?;
    answer.head.status = status;
    Ok(answer)
}

/// `GET …?hashmap`, with the fields that describe the object.
pub(super) fn show(fields: Vec<(String, String)>, content: &Content) -> Result<Answer, Fault> {
    let fields = fields.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type")).collect();
    let hashes = reading::blocks(content)?.into_iter().map(|block| block.hash);
    super::json(fields, &hashmap::render(content.size, hashes))
}

/// `POST` of data to a container: the body is to be taken as blocks.
pub(super) fn begin_blocks(call: &Call<'_>, account: &str, container: &str) -> Result<Outcome, Fault> {
    containers::get(account, container)?.ok_or_else(containers::missing)?;
    container_change(call, !call.query.has("update"))?;
    length_given(call)?;
    Ok(Outcome::Receive(in_blocks(), super::objects::Going::Blocks))
}

/// The blocks were taken: keep them for a hashmap that is to come, and say their hashes.
pub(super) fn blocks(call: &Call<'_>, target: &Target, received: Received) -> Result<Answer, Fault> {
    let Target { account, container, .. } = target;
    own(call, account)?;
    let change = container_change(call, !call.query.has("update"))?;
    if change != containers::Change::default() {
        containers::update(account, container, &change)?;
    }
    let hashes = if received.size == 0 {
        Vec::new()
    } else {
        let upload = Upload::new(received)?;
        let hashes = upload.hashes();
        upload.write_alone()?;
        hashes
    };
    if call.wants_json() {
        return list(202, &hashes);
    }
    let mut answer = bare(202, vec![("content-type".to_owned(), JSON.replace("application/json", "text/plain"))]);
    let text: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
    if !text.is_empty() {
        answer.body.push(Segment::Bytes(text.into_bytes()));
    }
    Ok(answer)
}
