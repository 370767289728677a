//! Native servers of the greeting of `examples/hello`, for the benchmark to compare with.
//!
//! `baseline plain ADDRESS` is axum and nothing else. `baseline layered ADDRESS` has what Plugbay does
//! around a plugin, made by hand as two axum middlewares: request id, metrics, a deadline, a bound on
//! calls at once and a bound on the body. Neither has a store, access rules or reloading.

mod layers;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

async fn hello() -> &'static str {
    "Hello, world\n"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let router = Router::new().route("/hello", get(hello));
    let (router, address) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["plain", address] => (router, address),
        ["layered", address] => (layers::add(router), address),
        _ => return Err("usage: baseline plain|layered ADDRESS".into()),
    };
    axum::serve(TcpListener::bind(address).await?, router).await?;
    Ok(())
}
