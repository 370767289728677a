//! Outbound HTTP. Has to be granted: `grants = ["http-client"]` and `outbound` in the plugin's table. Natively every call
//! is denied: what sends requests puts a trait of its own between.

pub use crate::bindings::plugbay::plugin::http_client::{Deadlines, Error, Inbound, Outbound, Phase, Trust};
pub use crate::capability::http_client::{send, send_all};

impl Deadlines {
    /// Those of the operator.
    pub const OPERATORS: Self = Self { connect: None, tls: None, first_byte: None, idle: None, whole: None };
}

impl Outbound {
    /// A request without headers and body, to a server that the system trusts, under the operator's limits.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            identity: None,
            credential: None,
            trust: Trust::System,
            deadlines: Deadlines::OPERATORS,
            limit: None,
            to_piece: None,
            redirects: 0,
        }
    }
}
