//! From a request's address to the route that answers it, and what the host answers by itself.
//!
//! Owns: paths and their templates, route tables, mounts, the errors the host makes, the checks of
//! what a plugin answers, conditional requests, the OpenAPI document of a surface. All of it is
//! pure: values in, values out.
//!
//! Does not own: sockets, plugins, access decisions, limits. A route's access rule and body mode
//! are carried here and enforced elsewhere.
//!
//! Invariants: a path is split and decoded here and nowhere else (see [`path`]); a table that was
//! built has no two routes that could both claim a request; nothing in a request or in a plugin's
//! answer can make this code panic or grow without bound.
//!
//! The way of a request: [`Routes::resolve`] finds the mount by listener, host and prefix;
//! [`Table::find`] of the mount's surface finds the route; a [`HostError`] says what went wrong in
//! between, and is dressed by the surface's [`ErrorPage`]. The answer of a plugin passes
//! [`head::check`], and [`conditional::evaluate`] if it asked for that.

pub mod answer;
pub mod conditional;
pub mod error_page;
pub mod head;
pub mod mounts;
pub mod openapi;
pub mod path;
pub mod surface;
pub mod table;
pub mod template;
mod trie;

pub use answer::HostError;
pub use error_page::ErrorPage;
pub use mounts::{Mount, MountError, Routes};
pub use path::{Path, PathError};
pub use surface::{Access, BodyMode, ErrorTemplate, Route, Rule, Surface, SurfaceError};
pub use table::{Outcome, Table};

#[cfg(test)]
mod tests;
