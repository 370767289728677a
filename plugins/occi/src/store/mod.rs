//! What is kept, and how: the key space, commits, and the indexes that keep pages cheap.
//!
//! Invariant: an entity's record is the truth. Postings, the keys of the indexes, are a superset of what records imply:
//! written before or with a record, removed with or after it, and whoever follows one looks at the record.

pub mod batch;
pub mod entities;
pub mod keys;
pub mod posting;
pub mod query;
