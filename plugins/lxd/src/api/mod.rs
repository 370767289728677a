//! The REST resources: section 3 of the sheet. Routes, and which file answers them.
//!
//! Operators (the rule `operator`) may do everything; who holds a relation's token may do what its requirer may.

mod access;
mod bags;
mod certificates;
mod conditions;
mod nodes;
mod provider;
mod relations;
mod units;

use plugbay_sdk::{Answer, Params, Problem, Request, Route, Step, Surface};

use crate::OPERATOR;
use crate::outside::{Fault, Outside};

pub(crate) use access::{bearer, is_operator};

/// Most bytes of a body that holds a bag: JSON may spell a byte in six.
const BAG_BODY: u32 = 4 * 1024 * 1024;
/// Most bytes of any other body.
const BODY: u32 = 256 * 1024;

const fn operator(route: Route) -> Route {
    route.rule(OPERATOR)
}

/// The surface `main`.
pub fn surface(outside: &Outside) -> Surface {
    type Handler = fn(&Outside, &Request, Params<'_>) -> Result<Answer, Problem>;
    let plain: [(Route, Handler); 17] = [
        (operator(Route::get("/v1/nodes", "node-list")), nodes::list),
        (operator(Route::get("/v1/nodes/{name}", "node-get")), nodes::get),
        (operator(Route::put("/v1/nodes/{name}", "node-put")).buffered(BODY), nodes::put),
        (operator(Route::patch("/v1/nodes/{name}", "node-patch")).buffered(BODY), nodes::patch),
        (operator(Route::delete("/v1/nodes/{name}", "node-delete")), nodes::delete),
        (operator(Route::get("/v1/relations", "relation-list")), relations::list),
        (operator(Route::post("/v1/relations", "relation-create")).buffered(BODY), relations::create),
        (Route::get("/v1/relations/{id}", "relation-get").plugin_decides(), relations::get),
        (operator(Route::delete("/v1/relations/{id}", "relation-break")), relations::delete),
        (Route::put("/v1/relations/{id}/units/{n}", "unit-join").plugin_decides().buffered(BODY), units::put),
        (Route::get("/v1/relations/{id}/units/{n}", "unit-get").plugin_decides(), units::get),
        (Route::delete("/v1/relations/{id}/units/{n}", "unit-depart").plugin_decides(), units::delete),
        (Route::get("/v1/relations/{id}/units/{n}/data", "bag-get").plugin_decides(), bags::get),
        (
            Route::get("/v1/relations/{id}/certificates", "relation-certificates").plugin_decides(),
            certificates::of_relation,
        ),
        (operator(Route::get("/v1/certificates", "certificate-list")), certificates::list),
        (operator(Route::get("/v1/certificates/{fp}", "certificate-get")), certificates::get),
        (operator(Route::post("/v1/reconcile", "reconcile")).buffered(BODY), nodes::reconcile),
    ];
    let mut surface = Surface::new("main").header("Cache-Control", "no-cache");
    for (route, handler) in plain {
        let outside = outside.clone();
        surface = surface.route(route, move |request: &Request, params: Params<'_>| handler(&outside, request, params));
    }
    let bag = |method, operation| {
        Route::new(method, "/v1/relations/{id}/units/{n}/data", operation).plugin_decides().buffered(BAG_BODY)
    };
    surface = resumable(surface, outside, bag("PUT", "bag-put"), bags::write, bags::resume);
    surface = resumable(surface, outside, bag("PATCH", "bag-patch"), bags::write, bags::resume);
    let data = Route::get("/v1/relations/{id}/provider/data", "provider-data").plugin_decides();
    surface = resumable(surface, outside, data, provider::data, provider::resume_data);
    let events = Route::get("/v1/relations/{id}/provider/events", "provider-events").plugin_decides();
    resumable(surface, outside, events, provider::events, provider::resume_events)
}

fn resumable<C: serde::de::DeserializeOwned + 'static>(
    surface: Surface,
    outside: &Outside,
    route: Route,
    begin: fn(&Outside, &Request, Params<'_>) -> Result<Step, Problem>,
    resume: fn(&Outside, &Request, Params<'_>, C, plugbay_sdk::Event) -> Result<Step, Problem>,
) -> Surface {
    let (first, next) = (outside.clone(), outside.clone());
    surface.resumable(
        route,
        move |request: &Request, params: Params<'_>| begin(&first, request, params),
        move |request: &Request, params: Params<'_>, state: C, event| resume(&next, request, params, state, event),
    )
}

/// How a fault outside becomes an answer.
fn problem(fault: &Fault) -> Problem {
    let status = match fault {
        Fault::Missing(_) => 501,
        Fault::Invalid(_) => 422,
        _ => 503,
    };
    Problem::new(status).detail(fault.to_string())
}

/// An index that is behind is brought up later; the write is durable already.
fn settle(relation: &str, unit: &str, now: i64) {
    if let Err(problem) = crate::store::index::settle(relation, unit, now) {
        plugbay_sdk::warn!("the index of unit `{unit}` of relation {relation} is behind: {problem}");
    }
}
