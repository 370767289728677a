//! A plugin on the contract alone: `cargo component` makes the bindings, nothing of the SDK is used.
//!
//! One route, `GET /hello`, answered with a greeting for the caller. `bindings` is written at each build.

#[allow(warnings)]
mod bindings;

use bindings::exports::plugbay::plugin::handler::{Descriptor, Guest, Request, Step};
use bindings::plugbay::plugin::descriptor::{Access, BodyMode, Route, Surface};
use bindings::plugbay::plugin::types::{Answer, Caller, Delivery, Head, Segment};

struct Plugin;

impl Guest for Plugin {
    fn describe() -> Descriptor {
        let route = Route {
            method: "GET".to_owned(),
            path: "/hello".to_owned(),
            operation: "hello".to_owned(),
            access: Access::Open,
            body: BodyMode::None,
        };
        let surface = Surface {
            name: "main".to_owned(),
            routes: vec![route],
            errors: None,
            headers: Vec::new(),
            optional_trailing_slash: false,
            double_slash_root: false,
            auto_head: true,
            auto_options: true,
        };
        Descriptor {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema: 0,
            surfaces: vec![surface],
            periodic: Vec::new(),
            rules: Vec::new(),
            extra: Vec::new(),
        }
    }

    fn handle(request: Request) -> Step {
        let name = match &request.caller {
            Caller::User(user) => &user.name,
            Caller::Anonymous | Caller::Rejected(_) | Caller::Unverified(_) => "world",
        };
        let headers = vec![("content-type".to_owned(), b"text/plain; charset=utf-8".to_vec())];
        Step::Done(Answer {
            head: Head { status: 200, headers, delivery: Delivery::Verbatim },
            body: vec![Segment::Bytes(format!("Hello, {name}\n").into_bytes())],
        })
    }
}

bindings::export!(Plugin with_types_in bindings);
