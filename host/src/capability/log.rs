//! `log`: lines of a plugin in the host's log, cut and rated.

use crate::plugin::GuestState;
use crate::plugin::bindings::log::{Host, Level};

const MAX_LINE: usize = 8 * 1024;

impl Host for GuestState {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let Some(dropped) = self.plugin.log_rate.admit() else { return Ok(()) };
        let end = message.floor_char_boundary(MAX_LINE);
        let text = message.get(..end).unwrap_or_default();
        let (plugin, request, operation) = (&*self.plugin.name, &*self.call.id, &*self.call.operation);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "plugbay::guest", plugin, operation, request, dropped, "{text}")
            };
        }
        match level {
            Level::Trace => line!(trace),
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warn => line!(warn),
            Level::Error => line!(error),
        }
        Ok(())
    }
}
