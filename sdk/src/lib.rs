//! What a Rust plugin for Plugbay links.
//!
//! A plugin declares itself once, as a [`Plugin`] made of [`Surface`]s made of [`Route`]s with their handlers. The
//! declaration is both what the host is told and how requests find their handler, so the two cannot disagree.
//! Handlers take a [`Request`] and return anything that is [`IntoStep`].
//!
//! ```
//! use plugbay_sdk::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Note {
//!     text: String,
//! }
//!
//! fn plugin() -> Plugin {
//!     Plugin::new("1.0.0").surface(
//!         Surface::new("main")
//!             .route(Route::get("/notes/{id}", "note-get"), show)
//!             .route(Route::put("/notes/{id}", "note-put").buffered(64 * 1024), save),
//!     )
//! }
//!
//! fn show(_request: &Request, params: Params) -> Result<Answer, Problem> {
//!     let key = format!("note/{}", params.get("id"));
//!     let note = kv::get_json::<Note>(&key)?.ok_or_else(|| Problem::not_found("No such note."))?;
//!     Ok(Answer::json(200, &note.value).etag(note.version))
//! }
//!
//! fn save(request: &Request, params: Params) -> Result<Answer, Problem> {
//!     let key = format!("note/{}", params.get("id"));
//!     let note: Note = request.json()?;
//!     let saved = kv::transact(|tx| {
//!         let old = tx.get(&key)?;
//!         request.check_etag(old.map(|entry| entry.version))?;
//!         tx.put_json(&key, &note)?;
//!         Ok::<_, Problem>(())
//!     })?;
//!     Ok(Answer::new(204).etag(saved.version))
//! }
//!
//! export_plugin!(plugin);
//!
//! # #[cfg(not(target_arch = "wasm32"))]
//! # fn main() {
//! // Natively, in a test:
//! let app = plugbay_sdk::testing::TestApp::new(plugin);
//! let saved = app.put("/notes/1").user("ann", &["member"]).json(&Note { text: "hi".into() }).send();
//! assert_eq!(saved.status, 204);
//! let shown = app.get("/notes/1").user("ann", &["member"]).send();
//! assert_eq!(shown.json::<Note>().text, "hi");
//! # }
//! ```
//!
//! In a component the capability calls go to the host. On other targets they go to the host in memory of
//! [`testing`], one for each thread, with the same rules.
//!
//! The crate starts no threads, keeps no state between requests, and caches nothing.

#[doc(hidden)]
pub mod bindings;

pub mod answer;
pub mod blobs;
mod capability;
pub mod civil;
pub mod config;
pub mod crypto;
pub mod etag;
mod export;
pub mod http_client;
pub mod identity;
pub mod job;
pub mod jobs;
pub mod kv;
pub mod log;
mod params;
mod plugin;
mod problem;
pub mod process;
mod query;
mod request;
mod route;
pub mod secrets;
mod step;
mod surface;
pub mod system;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod udp;

/// The descriptor as the contract has it; plugins write [`Plugin`], [`Surface`] and [`Route`] instead.
pub mod contract {
    pub use crate::bindings::plugbay::plugin::descriptor::{
        Access, BodyMode, Descriptor, ErrorTemplate, JobScope, Periodic, Route, Rule, Surface,
    };
}

pub use answer::{IntoStep, Json};
pub use bindings::plugbay::plugin::descriptor::JobScope;
pub use bindings::plugbay::plugin::types::{
    Answer, BlobRange, Caller, Delivery, DigestAlgorithm, Event, FileRange, Head, Header, More, Park, Peer, Piece,
    Receive, ReceiveError, ReceivePlan, Received, Request, Scheme, Segment, Step, User, Watch,
};
pub use job::{IntoOutcome, Job, NewJob, Outcome, Trigger};
pub use params::Params;
pub use plugin::Plugin;
pub use problem::Problem;
pub use query::Query;
pub use route::{Access, Body, Route};
pub use surface::Surface;

#[doc(hidden)]
pub use export::{Exports, parts};

/// What nearly every plugin uses.
pub mod prelude {
    pub use crate::{
        Access, Answer, Body, Caller, DigestAlgorithm, Event, Head, IntoOutcome, IntoStep, Job, JobScope, Json, More,
        NewJob, Outcome, Params, Park, Piece, Plugin, Problem, Query, Receive, Request, Route, Segment, Step, Surface,
        Trigger, blobs, config, export_plugin, kv,
    };
}

#[cfg(test)]
mod tests;
