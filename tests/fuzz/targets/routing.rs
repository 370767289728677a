//! Any path and host name, against a table with every kind of segment.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use plugbay::routing::path::fills_parameter;
use plugbay::routing::{Access, BodyMode, Mount, Outcome, Route, Routes, Surface, Table};

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let paths = ["/", "/a", "/a/{one}", "/a/{one}/", "/a/b/{two}", "/{one}/{two}/{*rest}", "/x/{*rest}", "//y"];
    let route = |path: &&str| Route {
        method: "GET".into(),
        path: (*path).into(),
        operation: "read".into(),
        access: Access::Open,
        body: BodyMode::None,
    };
    let surface = Surface {
        name: "main".into(),
        routes: paths.iter().map(route).collect(),
        errors: None,
        headers: Vec::new(),
        optional_trailing_slash: true,
        double_slash_root: false,
        auto_head: true,
        auto_options: true,
    };
    Table::compile_all(vec![surface], &[]).expect("a sound surface").remove(0)
});

static MOUNTS: LazyLock<Routes<()>> = LazyLock::new(|| {
    let mount = |host: Option<&str>, prefix: &str| Mount {
        listener: "l".into(),
        host: host.map(Into::into),
        prefix: prefix.into(),
        owner: "o".into(),
        target: (),
    };
    Routes::build([mount(None, "/"), mount(None, "/a/b"), mount(Some("example.org"), "/a"), mount(Some("[::1]"), "/")])
        .expect("sound mounts")
});

fuzz_target!(|input: (&str, &str)| {
    let (authority, path) = input;
    if let Some((_, below, prefix)) = MOUNTS.resolve("l", authority, path) {
        assert!(below.starts_with('/') && path.starts_with(prefix));
    }
    if let Outcome::Matched { route, params, .. } = TABLE.find("GET", path) {
        let template = &TABLE.route(route).expect("of this table").path;
        let last = params.len().saturating_sub(1);
        for (position, value) in params.iter().enumerate() {
            let raw = position == last && template.contains("{*");
            assert!(raw || fills_parameter(value), "{template} took {value:?} of {path:?}");
        }
    }
});
