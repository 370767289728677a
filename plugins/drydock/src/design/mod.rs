//! A site's design: its documents, and what they come to for each node.
//!
//! [`document`] reads a stream, [`kinds`] says what each kind may hold, [`effective`] gives a node all that it inherits,
//! [`filter`] picks nodes. Pure: text in, values out.

pub mod address;
pub mod bootaction;
pub mod document;
pub mod effective;
pub mod filter;
pub mod kinds;
pub mod merging;
pub mod profile;
pub mod size;
#[cfg(test)]
mod tests;

pub use document::{Design, DocumentRef, Fault, LoadError};
pub use effective::{Node, Site};
