//! A staged body as bytes.

use plugbay_sdk::{BlobRange, Event, Problem, blobs};

use crate::refusal::Refusal;

/// The bytes of what was received.
///
/// # Errors
/// 413 if it was too long, 400 if it was cut off, and what the blob store says.
pub fn read(event: Event) -> Result<Vec<u8>, Refusal> {
    let received = event.received()?;
    let mut bytes = Vec::with_capacity(usize::try_from(received.size).unwrap_or(0));
    for piece in &received.pieces {
        let mut offset = 0;
        while offset < piece.size {
            let length = blobs::READ_LIMIT.min(piece.size - offset);
            let range = BlobRange::part(&piece.id, offset, length);
            let read = blobs::read(&range).map_err(|error| Refusal::from(Problem::from(error)))?;
            if read.is_empty() {
                return Err(Refusal::routing(500, "the body is shorter than it was"));
            }
            offset += u64::try_from(read.len()).unwrap_or(length);
            bytes.extend_from_slice(&read);
        }
    }
    Ok(bytes)
}
