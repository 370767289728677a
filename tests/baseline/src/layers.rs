//! The layers that make the native server do per request what the host does around a plugin.
//!
//! Metrics are looked up once and held, as in the host, so that the comparison is with good native
//! code and not with slow native code.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const DEADLINE: Duration = Duration::from_secs(30);
const CONCURRENCY: usize = 64;
const MAX_BODY: u64 = 4 << 20;

/// What the layers share.
struct Shared {
    /// By hundreds of the status.
    answers: [Counter; 5],
    seconds: Histogram,
    registry: Registry,
    permits: Semaphore,
    next: AtomicU64,
}

/// Put the layers around a router, and `/metrics` in it.
pub fn add(router: Router) -> Router {
    let shared = Arc::new(Shared::new());
    router
        .route("/metrics", axum::routing::get(metrics).with_state(shared.clone()))
        .layer(from_fn_with_state(shared.clone(), bound))
        .layer(from_fn_with_state(shared, observe))
}

impl Shared {
    fn new() -> Self {
        let answers: [Counter; 5] = Default::default();
        let seconds = Histogram::new([0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0]);
        let mut registry = Registry::default();
        for (class, counter) in (1..).zip(&answers) {
            registry.register(format!("answers_{class}xx"), "Answers by class of status", counter.clone());
        }
        registry.register("request_seconds", "Time to the head of the answer", seconds.clone());
        Self { answers, seconds, registry, permits: Semaphore::new(CONCURRENCY), next: AtomicU64::new(0) }
    }

    fn next_id(&self) -> HeaderValue {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:08x}-{count:012x}", std::process::id());
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("-"))
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Result<String, StatusCode> {
    let mut text = String::new();
    encode(&mut text, &shared.registry).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(text)
}

/// Request id and metrics.
async fn observe(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = match request.headers().get(REQUEST_ID) {
        Some(given) => given.clone(),
        None => shared.next_id(),
    };
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id);
    let class = usize::from(response.status().as_u16() / 100);
    if let Some(counter) = shared.answers.get(class.wrapping_sub(1)) {
        counter.inc();
    }
    shared.seconds.observe(start.elapsed().as_secs_f64());
    response
}

/// Body size, calls at once, deadline.
async fn bound(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let answer = async {
        match shared.permits.acquire().await {
            Ok(_permit) => next.run(request).await,
            Err(_closed) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    };
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(response) => response,
        Err(_elapsed) => StatusCode::GATEWAY_TIMEOUT.into_response(),
    }
}
