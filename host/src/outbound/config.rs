//! What the operator says about the outbound requests of one plugin.

use std::path::PathBuf;

use serde::Deserialize;

use super::destination::Destination;
use crate::config::{Period, Size};

/// The outbound requests of one plugin. Without a line in `allow` it reaches nothing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundConfig {
    /// Where its requests may go, for example `https://keystone.example.org:5000 at 10.0.0.0/24`.
    pub allow: Vec<Destination>,
    /// File of PEM certificates of authorities that are trusted beside those of the system.
    pub ca: Option<PathBuf>,
    /// How much of everything, and how long at most. A request may ask for less.
    pub limits: OutboundLimits,
}

/// Bounds of the outbound requests of one plugin.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundLimits {
    /// Requests under way at once, from connecting to the end of the answer's body. Default 64.
    pub requests: u32,
    /// Of those, to one scheme, host and port. Default 8.
    pub requests_per_destination: u32,
    /// How long a request waits for either. Default 10 s.
    pub wait: Period,
    /// Connections kept open without a request, all destinations together. Default 32.
    pub idle_connections: u32,
    /// How long. Default 30 s.
    pub keep: Period,
    /// Resolving a name and connecting, all its addresses together. Default 10 s.
    pub connect: Period,
    /// The TLS handshake. Default 10 s.
    pub tls: Period,
    /// From the request to the head of the answer. Default 60 s.
    pub first_byte: Period,
    /// Between two stretches of the answer's body. Default 30 s.
    pub idle: Period,
    /// All of a request, redirections and body included. Default 5 min.
    pub whole: Period,
    /// Body of a request. Default 16 MiB.
    pub request_body: Size,
    /// Body of an answer that is handed to the plugin in memory. Default 16 MiB.
    pub answer_body: Size,
    /// Body of an answer that becomes a piece. Default 2 GiB.
    pub answer_piece: Size,
    /// Redirections followed, if the plugin asks for that. Default 5.
    pub redirects: u32,
}

impl Default for OutboundLimits {
    fn default() -> Self {
        Self {
            requests: 64,
            requests_per_destination: 8,
            wait: Period::secs(10),
            idle_connections: 32,
            keep: Period::secs(30),
            connect: Period::secs(10),
            tls: Period::secs(10),
            first_byte: Period::secs(60),
            idle: Period::secs(30),
            whole: Period::secs(300),
            request_body: Size::mib(16),
            answer_body: Size::mib(16),
            answer_piece: Size::gib(2),
            redirects: 5,
        }
    }
}
