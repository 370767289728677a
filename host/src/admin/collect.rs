//! Metrics that other parts keep as plain numbers, read when somebody asks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use wasmtime::Engine;

use crate::listener::Metrics;
use crate::store::{Health, Store};

/// Which program this is.
#[derive(Debug)]
pub(super) struct Build;

impl Collector for Build {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut build = encoder.encode_descriptor("plugbay_build", "The program.", None, MetricType::Info)?;
        build.encode_info(&[("version", env!("CARGO_PKG_VERSION")), ("contract", crate::plugin::contract::VERSION)])
    }
}

/// What the store counts.
pub(super) struct StoreOperations(pub(super) Store);

impl fmt::Debug for StoreOperations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoreOperations")
    }
}

impl Collector for StoreOperations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = self.0.metrics();
        let mut count = |name: &str, help: &str, value: &AtomicU64| {
            let name = format!("plugbay_store_{name}");
            counter(&mut encoder, &name, help, &value.load(Ordering::Relaxed))
        };
        count("commits", "Commits acknowledged.", &metrics.commits)?;
        count("conflicts", "Commits refused because a check failed.", &metrics.conflicts)?;
        count("refused", "Commits refused by a quota or charge.", &metrics.refused)?;
        count("flushes", "Flushes, each for a group of commits.", &metrics.groups)?;
        count("reads", "Single keys read.", &metrics.reads)?;
        count("scans", "Pages of keys read.", &metrics.scans)?;
        count("waits", "Reads that waited for a flush.", &metrics.waits)?;
        let seconds = metrics.flush_nanos.load(Ordering::Relaxed) as f64 / 1e9;
        counter(&mut encoder, "plugbay_store_flush_seconds", "Time spent flushing.", &seconds)?;
        let writable = i64::from(matches!(self.0.health(), Health::Ready));
        let mut gauge = encoder.encode_descriptor(
            "plugbay_store_writable",
            "1 if the store takes writes.",
            None,
            MetricType::Gauge,
        )?;
        gauge.encode_gauge(&writable)
    }
}

fn counter<V: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: &V,
) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Counter)?.encode_counter::<NoLabelSet, _, u64>(value, None)
}

/// Counters of all listeners. There are as many as the configuration has, and the two of `admin`.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Vec<(String, Arc<Metrics>)>>);

impl Connections {
    pub(super) fn add(&self, listener: &str, metrics: Arc<Metrics>) {
        self.0.lock().push((listener.to_owned(), metrics));
    }
}

type Kind = (&'static str, fn(&Metrics) -> &AtomicU64);

/// What ends connections and requests before a handler sees them or their answer is taken.
const BREACHES: [Kind; 10] = [
    ("accept-error", |metrics| &metrics.accept_errors),
    ("handshake-failed", |metrics| &metrics.handshakes_failed),
    ("handshake-timeout", |metrics| &metrics.handshake_timeouts),
    ("request-refused", |metrics| &metrics.refused_requests),
    ("header-timeout", |metrics| &metrics.header_timeouts),
    ("idle-timeout", |metrics| &metrics.idle_timeouts),
    ("body-idle-timeout", |metrics| &metrics.body_idle_timeouts),
    ("body-too-slow", |metrics| &metrics.body_rate_timeouts),
    ("write-timeout", |metrics| &metrics.write_timeouts),
    ("aborted", |metrics| &metrics.aborted),
];

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let listeners = self.0.lock();
        let mut open =
            encoder.encode_descriptor("plugbay_connections_open", "Connections open.", None, MetricType::Gauge)?;
        for (listener, metrics) in listeners.iter() {
            let value = i64::try_from(metrics.open.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
            open.encode_family(&[("listener", listener.as_str())])?.encode_gauge(&value)?;
        }
        let mut accepted =
            encoder.encode_descriptor("plugbay_connections", "Connections accepted.", None, MetricType::Counter)?;
        for (listener, metrics) in listeners.iter() {
            let value = metrics.accepted.load(Ordering::Relaxed);
            accepted
                .encode_family(&[("listener", listener.as_str())])?
                .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        let help = "Connections and requests ended by the listener, by kind.";
        let mut ended = encoder.encode_descriptor("plugbay_listener_breaches", help, None, MetricType::Counter)?;
        for (listener, metrics) in listeners.iter() {
            for (kind, field) in BREACHES {
                let value = field(metrics).load(Ordering::Relaxed);
                ended
                    .encode_family(&[("listener", listener.as_str()), ("kind", kind)])?
                    .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
        }
        Ok(())
    }
}

/// Gauges of the pool that instances come from. Nothing where instances are allocated on demand.
pub fn pool(engine: Engine) -> Box<dyn Collector> {
    Box::new(Pool(engine))
}

struct Pool(Engine);

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pool")
    }
}

impl Collector for Pool {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(pool) = self.0.pooling_allocator_metrics() else { return Ok(()) };
        let mut gauges = |name: &str, help: &str, values: &[(&str, u64)]| {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (kind, value) in values {
                let value = i64::try_from(*value).unwrap_or(i64::MAX);
                gauge.encode_family(&[("kind", *kind)])?.encode_gauge(&value)?;
            }
            fmt::Result::Ok(())
        };
        let in_use = [
            ("component-instances", pool.component_instances()),
            ("core-instances", pool.core_instances()),
            ("memories", pool.memories() as u64),
            ("tables", pool.tables() as u64),
            ("stacks", pool.stacks() as u64),
        ];
        gauges("plugbay_pool_in_use", "Slots of the instance pool in use.", &in_use)?;
        let resident = [
            ("memories", pool.unused_memory_bytes_resident() as u64),
            ("tables", pool.unused_table_bytes_resident() as u64),
            ("stacks", pool.unused_stack_bytes_resident().unwrap_or(0) as u64),
        ];
        gauges("plugbay_pool_kept_bytes", "Memory kept in slots that are free.", &resident)
    }
}
