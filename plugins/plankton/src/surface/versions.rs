//! Which versions of the image registry there are, for whoever asks below its path without one.
//!
//! Needs no token. Registered as a surface of its own, because the registry is mounted per version.

use plugbay_sdk::{Answer, Request, Route, Surface};
use serde_json::json;

use super::{HOST_ERRORS, JSON, dressed, finish, json as json_answer, no_endpoint, nowhere};
use crate::faults::Fault;

#[derive(Debug, Clone, Copy)]
enum Op {
    List,
    Nowhere,
}

const fn route(path: &'static str) -> Route {
    Route::get(path, "version-list").open()
}

const TABLE: [(Op, Route); 8] = [
    (Op::List, route("/")),
    (Op::List, route("/versions")),
    (Op::List, route("/versions/")),
    (Op::Nowhere, nowhere("GET")),
    (Op::Nowhere, nowhere("POST")),
    (Op::Nowhere, nowhere("PUT")),
    (Op::Nowhere, nowhere("DELETE")),
    (Op::Nowhere, nowhere("PATCH")),
];

/// The surface.
pub fn surface() -> Surface {
    let surface = Surface::new("image-versions")
        .errors(HOST_ERRORS.0, HOST_ERRORS.1)
        .header("Content-Type", JSON)
        .table(&TABLE, |op, request, _| {
            finish(
                request,
                match op {
                    Op::List => list(request),
                    Op::Nowhere => no_endpoint(&TABLE, request),
                },
            )
        });
    dressed(surface)
}

fn list(request: &Request) -> Result<Answer, Fault> {
    let version = json!({
        "id": "v1.0",
        "status": "CURRENT",
        // When the guide was last changed.
        "updated": "2014-02-01T00:00:00Z",
        "links": [{ "rel": "self", "href": request.url("/v1.0/") }],
        "media-types": [{ "base": "application/json", "type": "application/json" }],
    });
    json_answer(Vec::new(), &json!({ "versions": [version] }))
}
