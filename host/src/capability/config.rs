//! `config`: the plugin's own settings.

use crate::plugin::GuestState;
use crate::plugin::bindings::config::Host;

impl Host for GuestState {
    fn all(&mut self) -> wasmtime::Result<String> {
        Ok(if self.call.describing { "{}".into() } else { self.plugin.settings.clone() })
    }
}
