//! The wasmtime engine: one for the whole host.
//!
//! Owns the compiler and allocator settings and the epoch clock. Does not know plugins: bounds that
//! differ between them are kept in `admission`, `cpu`, `memory` and `instance`.
//!
//! Instances come from the pooling allocator. With `pagemap_scan` (Linux 6.7) only the pages a guest
//! has dirtied are reset between two instances, so keeping memory resident pays off; on older kernels
//! resident memory would have to be cleared whole, which costs more than it saves, and is left off.
//! The epoch advances every [`TICK`]; a guest that computes longer than that yields its thread and
//! its processor permit, so that it delays others by a tick at most.

use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::config::Instances;

/// How long a guest may compute before it yields.
pub const TICK: Duration = Duration::from_millis(5);

/// What host functions need of a guest's stack, in bytes.
const HOST_STACK: usize = 128 * 1024;
const RESIDENT_TABLE: usize = 64 * 1024;
const RESIDENT_STACK: usize = 64 * 1024;

/// Build the engine for `instances` and start its epoch clock, which ends with the engine.
///
/// Falls back to pools without resident memory where the kernel has no `pagemap_scan`, and to
/// on-demand allocation where the address space for the pools cannot be reserved.
pub fn build(instances: &Instances) -> wasmtime::Result<Engine> {
    let engine = Engine::new(&pooling(instances, true)).or_else(|error| {
        tracing::debug!(%error, "no pagemap_scan: instance memory is not kept resident");
        Engine::new(&pooling(instances, false))
    });
    let engine = match engine {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!(%error, "no pooled instances: allocating each on demand, which is slower");
            Engine::new(&base(instances))?
        }
    };
    start_clock(&engine)?;
    Ok(engine)
}

/// An engine for looking at components without running them: no pools, no clock.
pub fn offline() -> wasmtime::Result<Engine> {
    Engine::new(&base(&Instances::default()))
}

fn base(instances: &Instances) -> Config {
    let stack = instances.stack.as_usize();
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .async_stack_size(stack)
        .max_wasm_stack(stack.saturating_sub(HOST_STACK).max(HOST_STACK))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

fn pooling(instances: &Instances, pagemap_scan: bool) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    let total = instances.slots;
    pool.total_component_instances(total)
        .total_core_instances(total.saturating_mul(4))
        .total_memories(total)
        .total_tables(total.saturating_mul(4))
        .total_stacks(total)
        .max_memories_per_component(1)
        .max_tables_per_component(8)
        .max_core_instances_per_component(16)
        .max_memory_size(instances.max_memory.as_usize());
    if pagemap_scan {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(instances.keep_resident.as_usize())
            .table_keep_resident(RESIDENT_TABLE)
            .async_stack_keep_resident(RESIDENT_STACK);
    }
    let mut config = base(instances);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn start_clock(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("plugbay-epoch".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}
