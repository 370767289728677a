//! OCCI 1.1 and 1.2, with CDMI beside it, as a Plugbay plugin.
//!
//! [`model`] has the categories and life cycles as tables. [`text`], [`json`] and [`media`] are the renderings, pure and
//! round-trip tested; both end in [`draft`] and begin at [`view`]. [`rules`] decides what a client may say of an entity,
//! [`service`] does what is asked, [`store`] keeps it, [`provider`] is the seam to what runs machines, and [`surface`]
//! binds all that to requests, [`jobs`] what is done without one. [`images`] are those of an image service, [`cdmi`] is the
//! other surface. What is served and what is not is in the README.
//!
//! Nothing is kept in memory between requests but the standard categories, which never change, and places in long lists,
//! which are asked about before they are used.

pub mod catalog;
pub mod cdmi;
pub mod draft;
pub mod entity;
pub mod fault;
pub mod images;
pub mod jobs;
pub mod json;
pub mod media;
pub mod model;
pub mod provider;
pub mod rules;
pub mod service;
pub mod settings;
pub mod store;
pub mod surface;
pub mod text;
pub mod view;

#[cfg(test)]
mod tests;

use plugbay_sdk::{Plugin, export_plugin};

/// Version of the key space's layout.
const SCHEMA: u32 = 1;

/// What the plugin serves.
pub fn plugin() -> Plugin {
    let plugin = Plugin::new(env!("CARGO_PKG_VERSION")).schema(SCHEMA);
    jobs::attach(plugin).surface(surface::surface()).surface(cdmi::surface::surface())
}

export_plugin!(plugin, resume, jobs);
