//! Why a plugin is called again, kept as the host has it and lent to the guest.

use std::sync::Arc;

use crate::blob::{Piece, Received};
use crate::plugin::bindings::types;
use crate::plugin::{Call, CallError, Version};

/// What happened between two steps.
pub enum Event {
    /// The client took what was sent.
    Taken,
    /// A watched key changed.
    Woken,
    /// The time is up.
    Timeout,
    /// The body was read, or could not be.
    Received(Result<Received, NotReceived>),
}

/// Why a body was not kept.
pub enum NotReceived {
    /// Longer than it may be.
    TooLarge,
    /// It did not come whole.
    CutOff,
    /// The blob store failed.
    Storage(String),
}

impl Event {
    /// Resume a request with this event.
    pub async fn resume(
        &self,
        version: &Version,
        call: &Arc<Call>,
        request: types::Request<'_>,
        continuation: &[u8],
    ) -> Result<types::Step, CallError> {
        let resume = async |event: types::Event<'_>| version.resume(call, request, continuation, event).await;
        let received = match self {
            Self::Taken => return resume(types::Event::Taken).await,
            Self::Woken => return resume(types::Event::Woken).await,
            Self::Timeout => return resume(types::Event::Timeout).await,
            Self::Received(Err(error)) => {
                return resume(types::Event::Received(Err(match error {
                    NotReceived::TooLarge => types::ReceiveError::TooLarge,
                    NotReceived::CutOff => types::ReceiveError::CutOff,
                    NotReceived::Storage(why) => types::ReceiveError::Storage(why),
                })))
                .await;
            }
            Self::Received(Ok(received)) => received,
        };
        let ids: Vec<String> = received.pieces.iter().map(|piece| piece.id.to_string()).collect();
        let digests: Vec<Vec<&[u8]>> = received.pieces.iter().map(digests_of).collect();
        let lent = |((piece, id), digests)| lend(piece, id, digests);
        let pieces: Vec<_> = received.pieces.iter().zip(&ids).zip(&digests).map(lent).collect();
        let whole: Vec<&[u8]> = received.digests.iter().map(Vec::as_slice).collect();
        let received = types::Received { pieces: &pieces, size: received.size, digests: &whole };
        resume(types::Event::Received(Ok(received))).await
    }
}

fn digests_of(piece: &Piece) -> Vec<&[u8]> {
    piece.digests.iter().map(Vec::as_slice).collect()
}

fn lend<'a>(piece: &'a Piece, id: &'a String, digests: &'a Vec<&'a [u8]>) -> types::PieceParam<'a> {
    types::PieceParam { id, size: piece.size, digests }
}
