//! From a request to a plugin's answer.
//!
//! One request takes this way: mount and route (`routing`), identity and access (`auth`), body as the
//! route wants it (`request`), the plugin's steps (`exchange`), the answer's head and body (`answer`,
//! `body`). What the host has to refuse is worded in `refusal`, in one place.
//!
//! Invariants: between two steps no instance is held; every way out gives exactly one answer, with the
//! request id on it; a request that was routed is counted under its operation and keeps its version
//! from draining until its answer is sent or given up.

mod answer;
mod body;
mod event;
mod exchange;
mod refusal;
mod request;
mod request_id;

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};

use crate::auth::{Caller, Decision};
use crate::listener::{Connection, Handler, RequestBody, authority};
use crate::metrics::Metrics;
use crate::plugin::{Call, Registry, Target, Version};
use crate::routing::path::is_asterisk;
use crate::routing::{HostError, Outcome};
use exchange::{Ended, Exchange};
use request::{Arrived, Asked};
use request_id::RequestIds;

pub use body::AnswerBody;

/// Answers the requests of all listeners.
pub struct Dispatcher {
    registry: Arc<Registry>,
    metrics: Metrics,
    ids: RequestIds,
}

/// What a request was routed to.
struct Routed {
    target: Target,
    route: usize,
    params: Vec<String>,
    automatic_head: bool,
    path_start: usize,
}

/// How routing ended.
enum Routing {
    To(Box<Routed>),
    Answer(Option<(Arc<Version>, usize)>, Box<HostError>),
    Options(Arc<Version>, usize, HeaderValue),
    Held(Arc<Version>),
}

impl Dispatcher {
    /// A dispatcher to the plugins of `registry`. `id_header`: where request ids are taken from and
    /// put.
    pub fn new(registry: Arc<Registry>, metrics: Metrics, id_header: HeaderName) -> Self {
        Self { registry, metrics, ids: RequestIds::new(id_header) }
    }

    async fn answer(
        &self,
        connection: &Arc<Connection>,
        mut arrived: Box<Arrived>,
        id: &Arc<str>,
        start: Instant,
    ) -> Response<AnswerBody> {
        if is_asterisk(arrived.head.method().as_str(), arrived.head.uri().path()) {
            let mut answer = Response::new(AnswerBody::empty());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            return answer;
        }
        loop {
            let routed = match self.route(connection, &arrived.head) {
                Routing::To(routed) => routed,
                Routing::Held(version) => match wait_until_released(&version).await {
                    Ok(()) => continue,
                    Err(error) => return refused(&error, None, id),
                },
                Routing::Options(version, surface, allow) => return options(&version, surface, allow),
                Routing::Answer(None, error) => {
                    self.metrics.unrouted.inc();
                    return refused(&error, None, id);
                }
                Routing::Answer(Some((version, surface)), error) => {
                    return refused(&error, Some((&version, surface)), id);
                }
            };
            // From here on the version does not drain without this request.
            let Routed { target, route: number, params, automatic_head, path_start } = *routed;
            let Target { version, surface, public_url, scope } = target;
            let tracked = version.track();
            if version.plugin.is_held() {
                continue;
            }
            let place = Some((&version, surface));
            let Some(served) = version.surfaces.all.get(surface) else {
                return refused(&HostError::not_found(), None, id);
            };
            let (Some(route), Some(operation)) = (served.table.route(number), served.operations.get(number)) else {
                return refused(&HostError::not_found(), place, id);
            };
            let identity = match scope.provider.authenticate(arrived.head.headers(), connection.is_loopback) {
                Caller::Known(identity) => identity,
                Caller::Awaited(identity) => identity.await,
            };
            scope.provider.strip(arrived.head.headers_mut());
            let access = scope.rules.decide(&route.access, &identity);
            let taken = match access {
                Decision::Allow => request::take_body(&version.plugin, route.body, &mut arrived).await,
                Decision::Unauthenticated => Err(refusal::unauthenticated(&scope.provider, &identity)),
                Decision::Unverified => Err(refusal::unverified()),
                Decision::Forbidden => Err(refusal::forbidden()),
            };
            let taken = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    operation.metrics.answered(error.status().as_u16(), start.elapsed().as_secs_f64());
                    return refused(&error, place, id);
                }
            };
            let local = crate::auth::is_local(arrived.head.headers(), connection.is_loopback);
            let call = Call::request(id.clone(), operation.name.clone(), identity, scope, local);
            let asked = Asked {
                connection: connection.clone(),
                arrived,
                surface,
                route: number,
                params,
                path_start,
                public_url,
                body: taken.buffered,
            };
            let exchange = Box::new(Exchange {
                version: version.clone(),
                call,
                asked,
                automatic_head,
                tracked,
                _permit: taken.permit,
            });
            match exchange.run().await {
                Ended::Answered(answer) => {
                    operation.metrics.answered(answer.status().as_u16(), start.elapsed().as_secs_f64());
                    return *answer;
                }
                Ended::Refused(error) => {
                    operation.metrics.answered(error.status().as_u16(), start.elapsed().as_secs_f64());
                    return refused(&error, place, id);
                }
                // The plugin was replaced while the request was parked: afresh, with the new version.
                Ended::Afresh(again) => arrived = again,
            }
        }
    }

    fn route(&self, connection: &Connection, head: &Request<()>) -> Routing {
        let table = self.registry.table();
        let path = head.uri().path();
        let Some((mount, rest, prefix)) = table.resolve(&connection.listener, authority(head), path) else {
            return Routing::Answer(None, Box::new(HostError::not_found()));
        };
        let target = &mount.target;
        if target.version.plugin.is_held() {
            return Routing::Held(target.version.clone());
        }
        let Some(served) = target.version.surfaces.all.get(target.surface) else {
            return Routing::Answer(None, Box::new(HostError::not_found()));
        };
        let place = || Some((target.version.clone(), target.surface));
        match served.table.find(head.method().as_str(), rest) {
            Outcome::Matched { route, params, automatic_head } => Routing::To(Box::new(Routed {
                target: target.clone(),
                route,
                params,
                automatic_head,
                path_start: prefix.len(),
            })),
            Outcome::Options { allow } => Routing::Options(target.version.clone(), target.surface, allow),
            Outcome::MethodNotAllowed { allow } => {
                Routing::Answer(place(), Box::new(HostError::method_not_allowed(allow)))
            }
            Outcome::NotFound => Routing::Answer(place(), Box::new(HostError::not_found())),
            Outcome::BadPath(error) => Routing::Answer(place(), Box::new(HostError::bad_path(error))),
        }
    }
}

impl Handler for Dispatcher {
    type Body = AnswerBody;

    fn call(
        &self,
        connection: &Arc<Connection>,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<AnswerBody>> + Send {
        let start = Instant::now();
        let (id, value) = self.ids.of(request.headers());
        let head_only = request.method() == http::Method::HEAD;
        let (parts, body) = request.into_parts();
        let arrived = Box::new(Arrived { head: Request::from_parts(parts, ()), body: Some(body) });
        async move {
            let mut answer = self.answer(connection, arrived, &id, start).await;
            answer.headers_mut().insert(self.ids.header(), value);
            if head_only {
                *answer.body_mut() = AnswerBody::empty();
            }
            tracing::debug!(
                request = &*id,
                status = answer.status().as_u16(),
                seconds = start.elapsed().as_secs_f64(),
                peer = &*connection.peer_address,
                "answered"
            );
            answer
        }
    }
}

/// While a plugin's data is upgraded its requests wait, as long as they may wait for an instance.
async fn wait_until_released(version: &Version) -> Result<(), HostError> {
    let plugin = &version.plugin;
    let mut held = plugin.held();
    let released = held.wait_for(|held| !held);
    match tokio::time::timeout(plugin.config.limits.queue_wait.get(), released).await {
        Ok(_) => Ok(()),
        Err(_) => {
            plugin.metrics.refused("upgrading");
            Err(refusal::busy("The plugin's data is being upgraded."))
        }
    }
}

fn options(version: &Version, surface: usize, allow: HeaderValue) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(header::ALLOW, allow);
    if let Some(served) = version.surfaces.all.get(surface) {
        served.table.add_headers(answer.headers_mut());
    }
    answer
}

fn refused(error: &HostError, place: Option<(&Arc<Version>, usize)>, id: &str) -> Response<AnswerBody> {
    let served = place.and_then(|(version, surface)| version.surfaces.all.get(surface));
    let mut answer = error.render(served.and_then(|served| served.table.errors()), id).map(AnswerBody::full);
    if let Some(served) = served {
        served.table.add_headers(answer.headers_mut());
    }
    answer
}
