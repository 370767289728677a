//! The JSON rendering of 1.2 (GFD.226).
//!
//! Pure: documents to drafts, and views to documents. Attribute names are flat keys; no member is written that the
//! schema does not have.

pub mod read;
pub mod row;
pub mod write;
