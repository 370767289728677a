//! A look at the plugin's durable jobs. They are enqueued by a [`Transaction`](crate::kv::Transaction) and run by what
//! [`Plugin::job`](crate::Plugin::job) declares.

pub use crate::bindings::plugbay::plugin::jobs::{Error, JobStatus, State};
pub use crate::capability::jobs::{cancel, pending};
