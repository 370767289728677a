//! The smallest useful plugin: `GET /hello` and `GET /hello/{name}`, for anyone.
//!
//! It imports nothing and keeps nothing.

use plugbay_sdk::prelude::*;

fn plugin() -> Plugin {
    Plugin::new(env!("CARGO_PKG_VERSION")).surface(
        Surface::new("main")
            .route(Route::get("/hello", "hello").open(), |_: &Request, _: Params| Answer::text(200, "Hello, world\n"))
            .route(Route::get("/hello/{name}", "hello-name").open(), greet),
    )
}

fn greet(_request: &Request, params: Params) -> Answer {
    Answer::text(200, format!("Hello, {}\n", params.get("name")))
}

export_plugin!(plugin);

#[cfg(test)]
mod tests {
    use plugbay_sdk::testing::TestApp;

    use super::plugin;

    #[test]
    fn anyone_is_greeted_by_the_name_in_the_path() {
        let app = TestApp::new(plugin);
        assert_eq!(app.get("/hello").send().expect(200).text(), "Hello, world\n");
        assert_eq!(app.get("/hello/J%C3%BCrgen").send().expect(200).text(), "Hello, Jürgen\n");
    }
}
