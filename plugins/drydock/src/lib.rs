//! Drydock: bare-metal nodes from a declarative design, as a Plugbay plugin.
//!
//! Rules are in plain modules that know no host: [`yaml`], [`design`], [`validation`], [`bootaction`], [`task`]. [`store`] keeps
//! things, [`drivers`] talk to machines, [`engine`] runs tasks as durable jobs, [`api`] binds requests to all of them. What the
//! plugin reaches outside is behind [`world`]. What is served and what is not is in the README.
//!
//! Nothing is kept in memory between calls.

pub mod api;
pub mod bootaction;
pub mod design;
pub mod drivers;
pub mod engine;
pub mod fault;
pub mod http;
pub mod loading;
pub mod reference;
pub mod settings;
pub mod store;
pub mod task;
pub mod time;
pub mod validation;
pub mod world;
pub mod yaml;

#[cfg(test)]
mod tests;

use plugbay_sdk::{Plugin, export_plugin};

use world::World;

/// Version of the key space's layout.
const SCHEMA: u32 = 1;

/// What the plugin serves.
pub fn plugin() -> Plugin {
    on(&World::real())
}

/// The same over this world.
pub fn on(world: &World) -> Plugin {
    let plugin = Plugin::new(env!("CARGO_PKG_VERSION")).schema(SCHEMA);
    engine::attach(api::attach(plugin, world), world)
}

export_plugin!(plugin, resume, jobs);
