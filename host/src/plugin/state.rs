//! What the host keeps beside each instance: the data of its wasmtime store.
//!
//! Owns the facts of the call under way and the limits of the instance. The host functions in
//! `capability` are implemented on it. WASI is there for toolchains that import it and is built when
//! first used: clocks, randomness, output that goes to the log, and the private directory if granted.

use std::sync::Arc;

use wasmtime_wasi::{FsPerms, ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::cpu::CpuSlot;
use super::memory::MemoryLimiter;
use super::output::Output;
use super::{Call, Plugin};

/// Most host resources (hashers, WASI streams) one instance may hold.
const MAX_RESOURCES: usize = 1024;

/// The state of one instance.
pub struct GuestState {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) call: Arc<Call>,
    pub(crate) cpu: CpuSlot,
    pub(crate) table: ResourceTable,
    pub(super) memory: MemoryLimiter,
    output: Option<(Output, Output)>,
    wasi: Option<Box<WasiCtx>>,
}

impl GuestState {
    /// State for an instance of `plugin` made on behalf of `call`.
    pub fn new(plugin: Arc<Plugin>, call: Arc<Call>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            cpu: CpuSlot::new(plugin.processors.clone()),
            memory: MemoryLimiter::new(plugin.memory.clone(), plugin.config.limits.memory.get()),
            table,
            plugin,
            call,
            output: None,
            wasi: None,
        }
    }

    /// From here on the instance works for `call`.
    pub fn begin(&mut self, call: &Arc<Call>) {
        self.call = call.clone();
        if let Some((out, error)) = &self.output {
            out.begin(&call.id);
            error.begin(&call.id);
        }
    }

    /// The last of what the guest printed to standard error in this call: a panic's message.
    pub fn last_words(&self) -> String {
        self.output.as_ref().map(|(_, error)| error.tail()).unwrap_or_default()
    }

    fn build_wasi(plugin: &Plugin, call: &Call, output: &mut Option<(Output, Output)>) -> WasiCtx {
        let stream = |error| {
            let stream = Output::new(plugin.name.clone(), plugin.log_rate.clone(), error);
            stream.begin(&call.id);
            stream
        };
        let (out, error) = output.insert((stream(false), stream(true)));
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(out.clone()).stderr(error.clone());
        if plugin.config.grants("filesystem")
            && let Some(directory) = &plugin.directory
            && let Err(error) = wasi.preopened_dir(directory, "/", FsPerms::ReadWrite)
        {
            tracing::error!(plugin = %plugin.name, %error, "the private directory cannot be opened");
        }
        wasi.build()
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (plugin, call, output) = (&self.plugin, &self.call, &mut self.output);
        let ctx = self.wasi.get_or_insert_with(|| Box::new(Self::build_wasi(plugin, call, output)));
        WasiCtxView { ctx, table: &mut self.table }
    }
}
