//! LXD: the provider side of the `lxd` relation over REST, as a Plugbay plugin.
//!
//! Requirers write client certificates into the bags of their units; the plugin registers them in the trust store of
//! every LXD or Incus node and publishes which node trusts what. Rules are in plain modules: [`bag`], [`pem`],
//! [`certificate`]. [`store`] keeps things, [`trust`] speaks LXD's API to a node over the seam [`outside`],
//! [`converge`] brings trust stores to what is wanted, [`published`] and [`views`] say what is so, and [`api`] and
//! [`facade`] bind requests to them. The README says what is served.
//!
//! Nothing is kept in memory between requests and runs. No private key is ever kept here: credentials go to the host.

pub mod api;
pub mod bag;
pub mod certificate;
pub mod converge;
pub mod facade;
pub mod outside;
pub mod pem;
pub mod published;
pub mod settings;
pub mod store;
pub mod time;
pub mod trust;
pub mod views;

#[cfg(test)]
mod tests;

use plugbay_sdk::{JobScope, Plugin, export_plugin};

use outside::Outside;

/// Version of the key space's layout.
const SCHEMA: u32 = 1;

/// Who may read everything and change nodes and relations.
pub const OPERATOR: &str = "operator";

/// Seconds between two runs of the sweep.
const SWEEP: u32 = 15;

/// What the plugin serves on its host.
pub fn plugin() -> Plugin {
    on(&Outside::host())
}

/// What the plugin serves with this world outside.
pub fn on(outside: &Outside) -> Plugin {
    let (converge, sweep, start) = (outside.clone(), outside.clone(), outside.clone());
    Plugin::new(env!("CARGO_PKG_VERSION"))
        .schema(SCHEMA)
        .access_rule(OPERATOR, &["admin", "operator"])
        .surface(api::surface(outside))
        .surface(facade::surface(outside))
        .job(converge::JOB, move |job| converge::run(&converge, job))
        .every("sweep", SWEEP, JobScope::Shared, move |_| converge::sweep(&sweep))
        .on_start(move |_| converge::sweep(&start))
}

export_plugin!(plugin, resume, jobs);
