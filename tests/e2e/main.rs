//! The real host with real components, over real sockets. One module a subject.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it goes wrong")]

mod access;
mod amphora;
mod amphora_network;
mod contract;
mod crash;
mod drydock;
mod durability;
mod files;
mod full_disk;
mod jobs;
mod keystone;
mod limits;
mod loading;
mod lxd;
mod many;
mod neighbours;
mod occi;
mod occi_images;
mod occi_suites;
mod octavia;
mod operating;
mod plankton;
mod programs;
mod serving;
mod steps;
mod swapping;
mod tls;
