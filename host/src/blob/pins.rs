//! Who is reading which piece, and what to remove once nobody does.
//!
//! Every way of removing a piece goes through [`Pins::doom`]: no object is removed under a reader.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{budget::Reservation, piece::PieceId};

/// A piece to be removed, with the room it takes of its plugin's bound while it is not.
#[derive(Debug)]
pub(super) struct Doomed {
    pub(super) id: PieceId,
    /// Held for the sake of its drop. None for a piece that was permanent.
    pub(super) _reservation: Option<Reservation>,
}

impl From<PieceId> for Doomed {
    fn from(id: PieceId) -> Self {
        Self { id, _reservation: None }
    }
}

#[derive(Debug, Default)]
struct Pinned {
    readers: usize,
    doomed: Option<Doomed>,
}

#[derive(Debug, Default)]
pub(super) struct Pins {
    table: Mutex<HashMap<PieceId, Pinned>>,
}

impl Pins {
    pub(super) fn pin(&self, ids: &[PieceId]) {
        let mut table = self.table.lock();
        for id in ids {
            table.entry(*id).or_default().readers += 1;
        }
    }

    /// Takes back as many pins. The result is to be removed now.
    pub(super) fn unpin(&self, ids: &[PieceId]) -> Vec<Doomed> {
        let mut table = self.table.lock();
        let mut doomed = Vec::new();
        for id in ids {
            let Some(pinned) = table.get_mut(id) else {
                continue;
            };
            pinned.readers -= 1;
            if pinned.readers == 0 {
                doomed.extend(table.remove(id).and_then(|pinned| pinned.doomed));
            }
        }
        doomed
    }

    /// Marks pieces for removal. The result, what nobody reads, is to be removed now.
    pub(super) fn doom(&self, pieces: impl IntoIterator<Item = Doomed>) -> Vec<Doomed> {
        let mut table = self.table.lock();
        let mut free = Vec::new();
        for piece in pieces {
            match table.get_mut(&piece.id) {
                None => free.push(piece),
                Some(pinned) => {
                    pinned.doomed.get_or_insert(piece);
                }
            }
        }
        free
    }
}
