//! Counters, gauges and histograms, and their text for Prometheus.
//!
//! Label sets are bounded: plugins, their operations, and fixed words. What the hot path needs of a
//! family is looked up once, when a plugin is loaded, and held.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the latency buckets, in seconds.
const LATENCY: [f64; 12] = [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    plugin: String,
    operation: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    plugin: String,
    operation: String,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    plugin: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    plugin: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Check {
    auth: String,
    result: &'static str,
}

/// All metrics of the host.
#[derive(Debug, Clone)]
pub struct Metrics {
    answers: Family<Answer, Counter>,
    latency: Family<Operation, Histogram, fn() -> Histogram>,
    failures: Family<Kind, Counter>,
    refusals: Family<Kind, Counter>,
    loads: Family<Kind, Counter>,
    jobs: Family<Kind, Counter>,
    instances_made: Family<Of, Counter>,
    instances_idle: Family<Of, Gauge>,
    under_way: Family<Of, Gauge>,
    parked: Family<Of, Gauge>,
    memory: Family<Of, Gauge>,
    token_checks: Family<Check, Counter>,
    /// Requests that no mount took.
    pub unrouted: Counter,
    registry: Arc<Mutex<Registry>>,
}

/// What the hot path counts for one operation.
#[derive(Debug, Clone)]
pub struct OperationMetrics {
    /// By hundreds of the status: 1xx to 5xx.
    answers: [Counter; 5],
    latency: Histogram,
}

/// What is counted of tokens that somebody else has to be asked about.
#[derive(Debug, Clone)]
pub struct TokenChecks {
    /// Answered from memory, good or bad.
    pub remembered: Counter,
    /// Asked about, and good.
    pub good: Counter,
    /// Asked about, and bad.
    pub bad: Counter,
    /// Asked about without an answer, or not asked about for want of room.
    pub unknown: Counter,
}

/// What is counted for one plugin.
#[derive(Debug, Clone)]
pub struct PluginMetrics {
    name: Arc<str>,
    all: Metrics,
    /// Instances made.
    pub instances_made: Counter,
    /// Instances that wait for a call.
    pub instances_idle: Gauge,
    /// Calls under way.
    pub under_way: Gauge,
    /// Requests parked.
    pub parked: Gauge,
    /// Bytes of linear memory in use.
    pub memory: Gauge,
}

impl OperationMetrics {
    /// An answer with `status` was sent `seconds` after the request came.
    pub fn answered(&self, status: u16, seconds: f64) {
        let class = usize::from(status / 100).saturating_sub(1).min(4);
        if let Some(counter) = self.answers.get(class) {
            counter.inc();
        }
        self.latency.observe(seconds);
    }
}

impl PluginMetrics {
    /// The counters of one operation.
    pub fn operation(&self, operation: &str) -> OperationMetrics {
        let (plugin, operation) = (self.name.to_string(), operation.to_owned());
        let answers = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|status| {
            let labels = Answer { plugin: plugin.clone(), operation: operation.clone(), status };
            self.all.answers.get_or_create(&labels).clone()
        });
        let latency = self.all.latency.get_or_create(&Operation { plugin, operation }).clone();
        OperationMetrics { answers, latency }
    }

    /// A guest did not return.
    pub fn failed(&self, kind: &'static str) {
        self.all.failures.get_or_create(&self.kind(kind)).inc();
    }

    /// A request was turned away by a limit.
    pub fn refused(&self, kind: &'static str) {
        self.all.refusals.get_or_create(&self.kind(kind)).inc();
    }

    /// A load ended: `ok` or `refused`.
    pub fn loaded(&self, kind: &'static str) {
        self.all.loads.get_or_create(&self.kind(kind)).inc();
    }

    /// A run of a job ended.
    pub fn job(&self, kind: &'static str) {
        self.all.jobs.get_or_create(&self.kind(kind)).inc();
    }

    fn kind(&self, kind: &'static str) -> Kind {
        Kind { plugin: self.name.to_string(), kind }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry with every family in it.
    pub fn new() -> Self {
        let metrics = Self {
            answers: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY)),
            failures: Family::default(),
            refusals: Family::default(),
            loads: Family::default(),
            jobs: Family::default(),
            instances_made: Family::default(),
            instances_idle: Family::default(),
            under_way: Family::default(),
            parked: Family::default(),
            memory: Family::default(),
            token_checks: Family::default(),
            unrouted: Counter::default(),
            registry: Arc::default(),
        };
        let mut registry = metrics.registry.lock();
        let all = registry.sub_registry_with_prefix("plugbay");
        all.register("requests", "Answers by plugin, operation and class of status", metrics.answers.clone());
        all.register("request_seconds", "Time to the head of the answer", metrics.latency.clone());
        all.register("guest_failures", "Guests that did not return, by kind", metrics.failures.clone());
        all.register("refusals", "Requests turned away by a limit, by kind", metrics.refusals.clone());
        all.register("loads", "Loads of a plugin, by how they ended", metrics.loads.clone());
        all.register("job_runs", "Runs of jobs, by how they ended", metrics.jobs.clone());
        all.register("instances_made", "Instances made", metrics.instances_made.clone());
        all.register("instances_idle", "Instances waiting for a call", metrics.instances_idle.clone());
        all.register("calls_under_way", "Calls into the plugin under way", metrics.under_way.clone());
        all.register("requests_parked", "Requests parked", metrics.parked.clone());
        all.register("guest_memory_bytes", "Linear memory of all instances", metrics.memory.clone());
        all.register("token_checks", "Tokens looked at, by table and result", metrics.token_checks.clone());
        all.register("requests_unrouted", "Requests that no mount took", metrics.unrouted.clone());
        drop(registry);
        metrics
    }

    /// The metrics of one plugin.
    pub fn plugin(&self, name: &Arc<str>) -> PluginMetrics {
        let of = Of { plugin: name.to_string() };
        PluginMetrics {
            name: name.clone(),
            all: self.clone(),
            instances_made: self.instances_made.get_or_create(&of).clone(),
            instances_idle: self.instances_idle.get_or_create(&of).clone(),
            under_way: self.under_way.get_or_create(&of).clone(),
            parked: self.parked.get_or_create(&of).clone(),
            memory: self.memory.get_or_create(&of).clone(),
        }
    }

    /// The counters of one `[auth.NAME]` table.
    pub fn token_checks(&self, auth: &str) -> TokenChecks {
        let of = |result| self.token_checks.get_or_create(&Check { auth: auth.to_owned(), result }).clone();
        TokenChecks { remembered: of("remembered"), good: of("good"), bad: of("bad"), unknown: of("unknown") }
    }

    /// Add metrics that another part of the host reads out when asked.
    pub fn register(&self, collector: Box<dyn prometheus_client::collector::Collector>) {
        self.registry.lock().register_collector(collector);
    }

    /// The text of all metrics.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }
}
