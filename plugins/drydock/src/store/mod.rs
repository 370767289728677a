//! What is kept, and under which keys.
//!
//! Owns layout and atomicity; meaning is elsewhere. Invariant: a value that another writer may change is written by a
//! transaction that read it.

pub mod boot;
pub mod builddata;
pub mod content;
pub mod ids;
pub mod inventory;
pub mod keys;
pub mod messages;
pub mod plan;
pub mod queue;
pub mod site;
pub mod tasks;
pub mod writer;
