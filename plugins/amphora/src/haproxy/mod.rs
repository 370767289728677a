//! haproxy: what is made of a configuration, and the process of each load balancer.

pub mod config;
pub mod forbidden;
pub mod lifecycle;
pub mod rendering;
pub mod stat;
pub mod store;
pub mod words;
