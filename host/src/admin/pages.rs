//! What is answered at which path.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderValue, StatusCode, header};

use super::openapi;
use super::problem::Problem;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::plugin::{self, Registry, Status};
use crate::store::{Health, Store};

const INDEX: &str = "\
Plugbay, for the operator.

/livez                      the process answers
/readyz                     every configured plugin serves and the store takes writes; else 503 and the reasons
/metrics                    OpenMetrics text
/plugins                    all plugins: state, version, digest, mounts, last error
/plugins/NAME               one of them
/openapi/NAME               OpenAPI document of its first surface
/openapi/NAME/SURFACE       of another surface

Through the unix socket only:

POST /plugins/NAME/reload   load its file again, changed or not
/export                     the whole store as JSON lines
/call/NAME/...              the plugin's surface `operator`
";

/// What the encoder of the metrics writes.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// What the pages are made from.
pub(super) struct Shown {
    pub(super) config: Config,
    pub(super) registry: Arc<Registry>,
    pub(super) store: Store,
    pub(super) metrics: Metrics,
}

type Host = State<Arc<Shown>>;

/// The pages that change nothing and show nothing secret.
pub(super) fn read_only(shown: Arc<Shown>) -> Router {
    finish(looking(), shown)
}

/// All pages.
pub(super) fn everything(shown: Arc<Shown>) -> Router {
    finish(looking().route("/plugins/{name}/reload", post(reload)).route("/export", get(export)), shown)
}

fn looking() -> Router<Arc<Shown>> {
    Router::new()
        .route("/", get(INDEX))
        .route("/livez", get("ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/plugins", get(plugins))
        .route("/plugins/{name}", get(one_plugin))
        .route("/openapi/{name}", get(first_surface))
        .route("/openapi/{name}/{surface}", get(surface))
}

/// Once all routes are there: only those get the answer to a wrong method.
fn finish(pages: Router<Arc<Shown>>, shown: Arc<Shown>) -> Router {
    let missing = || async { Problem::not_found("There is no such page; `/` lists those there are.") };
    let wrong_method = || async {
        let detail = "This page does not have this method; the Allow field names those it has.";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    };
    pages.fallback(missing).method_not_allowed_fallback(wrong_method).with_state(shown)
}

async fn ready(host: Host) -> Response {
    let mut reasons = Vec::new();
    if !*host.registry.complete().borrow() {
        reasons.push("the plugins that were in the folder at the start are being loaded".to_owned());
    }
    reasons.extend(host.registry.unready());
    if let Health::ReadOnly(error) = host.store.health() {
        reasons.push(format!("the store takes no writes: {error}"));
    }
    if reasons.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
}

async fn metrics(host: Host) -> Result<Response, Problem> {
    host.registry.observe();
    match host.metrics.encode() {
        Ok(text) => Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response()),
        Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

async fn plugins(host: Host) -> Json<Vec<Status>> {
    Json(host.registry.statuses())
}

async fn one_plugin(host: Host, Path(name): Path<String>) -> Result<Json<Status>, Problem> {
    status(&host.registry, &name).map(Json)
}

fn status(registry: &Registry, name: &str) -> Result<Status, Problem> {
    let statuses = registry.statuses();
    let found = statuses.into_iter().find(|status| status.name == name);
    found.ok_or_else(|| Problem::not_found(format!("There is no plugin {name:?}; /plugins lists those there are.")))
}

async fn first_surface(host: Host, Path(name): Path<String>) -> Result<Response, Problem> {
    describe(&host.registry, &name, None)
}

async fn surface(host: Host, Path((name, surface)): Path<(String, String)>) -> Result<Response, Problem> {
    describe(&host.registry, &name, Some(&surface))
}

fn describe(registry: &Registry, name: &str, surface: Option<&str>) -> Result<Response, Problem> {
    status(registry, name)?;
    let version = registry.version(name);
    let version = version
        .ok_or_else(|| Problem::not_found(format!("The plugin {name:?} is not serving; /plugins/{name} says why.")))?;
    match openapi::document(registry, &version, surface) {
        Some(document) => Ok(Json(document).into_response()),
        None => {
            let names = version.surfaces.names().join(", ");
            Err(Problem::not_found(format!("The plugin {name:?} has no such surface; it has {names}.")))
        }
    }
}

async fn reload(host: Host, Path(name): Path<String>) -> Result<Json<Status>, Problem> {
    let before = status(&host.registry, &name)?;
    let plugin = host.config.plugin(&name);
    let file = plugin.file.clone();
    let unprocessable = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    if before.state == plugin::State::Absent && !file.exists() {
        return Err(unprocessable(format!("There is no file {}.", file.display())));
    }
    tracing::info!(plugin = name, file = %file.display(), "the operator asks for a reload");
    // In a task of its own: an operator who hangs up must not leave a load half done.
    let load = tokio::spawn(host.registry.clone().load(plugin, file, plugin::Reason::Asked));
    if load.await.is_err() {
        return Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The load ended without a result; the log says why.",
        ));
    }
    let after = status(&host.registry, &name)?;
    match &after.last_error {
        Some(reason) => Err(unprocessable(reason.clone())),
        None => Ok(Json(after)),
    }
}

async fn export(host: Host) -> Response {
    tracing::info!("the operator asks for an export of the store");
    super::export::answer(host.store.clone())
}
