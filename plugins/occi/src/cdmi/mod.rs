//! CDMI 1.0.1 to 1.1: containers, data objects and capabilities over the host's blobs, and a container that is exported
//! as an OCCI storage, whose disk is a data object in it.
//!
//! A surface of its own in the same name spaces. Values do not pass through the plugin unless a client wants them in a
//! document.

pub mod change;
pub mod document;
pub mod exports;
pub mod fields;
pub mod id;
pub mod image;
pub mod place;
pub mod record;
pub mod surface;
pub mod value;
pub mod wish;
