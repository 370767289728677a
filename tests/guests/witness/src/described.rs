//! What the witness says of itself: every field of the descriptor has something in it.

use crate::bindings::plugbay::plugin::descriptor::{
    Access, BodyMode, Descriptor, ErrorTemplate, JobScope, Periodic, Route, Rule, Surface,
};

pub fn descriptor() -> Descriptor {
    Descriptor {
        version: "witness".to_owned(),
        schema: 1,
        surfaces: vec![main(), bare()],
        periodic: vec![
            Periodic { name: "hourly".to_owned(), every: 3600, scope: JobScope::Host },
            Periodic { name: "daily".to_owned(), every: 86_400, scope: JobScope::Shared },
        ],
        rules: vec![Rule { name: "reader".to_owned(), roles: vec!["admin".to_owned(), "reader".to_owned()] }],
        extra: Vec::new(),
    }
}

fn main() -> Surface {
    let open = |method: &str, path: &str, body: BodyMode| route(method, path, Access::Open, body);
    Surface {
        name: "main".to_owned(),
        routes: vec![
            open("GET", "/imports", BodyMode::None),
            open("PUT", "/body/{name}", BodyMode::Buffered(64)),
            open("GET", "/more", BodyMode::None),
            open("GET", "/park", BodyMode::None),
            open("POST", "/receive", BodyMode::Staged),
            open("GET", "/fail", BodyMode::None),
            open("GET", "/jobs", BodyMode::None),
            route("GET", "/user/{*rest}", Access::Authenticated, BodyMode::None),
            route("GET", "/rule", Access::RoleRule("reader".to_owned()), BodyMode::None),
            route("GET", "/own", Access::Plugin, BodyMode::None),
        ],
        errors: Some(ErrorTemplate {
            content_type: "application/json".to_owned(),
            body: r#"{"code":{status},"reason":"{reason}","detail":"{detail}"}"#.to_owned(),
        }),
        headers: vec![("x-witness".to_owned(), "1".to_owned())],
        optional_trailing_slash: true,
        double_slash_root: true,
        auto_head: true,
        auto_options: true,
    }
}

fn bare() -> Surface {
    Surface {
        name: "operator".to_owned(),
        routes: vec![route("GET", "/jobs", Access::Open, BodyMode::None)],
        errors: None,
        headers: Vec::new(),
        optional_trailing_slash: false,
        double_slash_root: false,
        auto_head: false,
        auto_options: false,
    }
}

fn route(method: &str, path: &str, access: Access, body: BodyMode) -> Route {
    let operation = format!("{}-{}", method.to_lowercase(), path.trim_matches(['/', '{', '}', '*']).replace('/', "-"));
    let operation = operation.replace(['{', '}', '*'], "");
    Route { method: method.to_owned(), path: path.to_owned(), operation, access, body }
}
