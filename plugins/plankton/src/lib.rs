//! Plankton: the Synnefo image registry on a Pithos+ object store, as a Plugbay plugin.
//!
//! An image *is* an object with metadata of its own, so registry and object store are one plugin
//! with one history. Rules are in plain modules that know no host: faults, headers, locations,
//! sharing, conditions, content ranges, hashes, hashmaps, listings, filters, images and Glance's view of
//! them. [`store`] keeps things, [`surface`] binds requests to both. What is served and what is not is in
//! the README.
//!
//! Nothing is kept in memory between requests, and object bytes do not pass through here.

pub mod conditions;
pub mod content_range;
pub mod faults;
pub mod filter;
pub mod glance;
pub mod hashmap;
pub mod headers;
pub mod image;
pub mod listing;
pub mod location;
pub mod merkle;
pub mod object;
pub mod settings;
pub mod sharing;
pub mod store;
pub mod surface;
pub mod time;
pub mod xml;

#[cfg(test)]
mod tests;

use plugbay_sdk::{JobScope, Plugin, export_plugin};

use store::collector;

/// Version of the key space's layout.
const SCHEMA: u32 = 1;

/// What the plugin serves.
pub fn plugin() -> Plugin {
    Plugin::new(env!("CARGO_PKG_VERSION"))
        .schema(SCHEMA)
        .surface(surface::images::surface())
        .surface(surface::versions::surface())
        .surface(surface::objects::surface())
        .surface(surface::glance::surface())
        .surface(surface::public::surface())
        .surface(surface::identity::tokens())
        .surface(surface::identity::account())
        .every(collector::JOB, collector::EVERY, JobScope::Shared, |_| collector::run())
}

export_plugin!(plugin, resume, jobs);
