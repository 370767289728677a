//! Amphora: the Octavia HAProxy Amphora API 1.0, as a Plugbay plugin.
//!
//! What an Octavia controller's haproxy driver talks to: it uploads configurations and certificates, has load balancers started and
//! reloaded, plugs networks, and gets heartbeats back. Rules are in plain modules over two seams: [`files`], the private directory that
//! programs read, and [`machine`], the programs themselves. [`api`] binds requests to them, [`jobs`] what is done without one.
//! The README says what is served and where it departs from Octavia's own agent.
//!
//! Nothing is kept in memory between requests but the versions of programs.

pub mod agent_conf;
pub mod api;
pub mod certificates;
pub mod context;
pub mod digest;
pub mod facts;
pub mod files;
pub mod haproxy;
pub mod heartbeat;
pub mod jobs;
pub mod keepalived;
pub mod listeners;
pub mod machine;
pub mod names;
pub mod own_certificate;
pub mod plug;
pub mod recovery;
pub mod refusal;
pub mod settings;

use std::rc::Rc;

use plugbay_sdk::{Plugin, export_plugin};

use files::{Directory, Files};
use machine::{Host, Machine};

/// What the plugin serves and does on its host.
pub fn plugin() -> Plugin {
    on(Rc::new(Directory::at("/")), Rc::new(Host))
}

/// The same over this directory and machine.
pub fn on(files: Rc<dyn Files>, machine: Rc<dyn Machine>) -> Plugin {
    let plugin = jobs::attach(Plugin::new(env!("CARGO_PKG_VERSION")), &files, &machine);
    plugin.surface(api::surface(files, machine))
}

export_plugin!(plugin, resume, jobs);
