//! Native servers for the benchmark to compare with: the greeting of `examples/hello`, and one object.
//!
//! `baseline plain ADDRESS` is axum and nothing else. `baseline layered ADDRESS` has what Plugbay does
//! around a plugin, made by hand as two axum middlewares: request id, metrics, a deadline, a bound on
//! calls at once and a bound on the body. `baseline objects ADDRESS DIRECTORY` keeps one object in a file, for the
//! comparison with an object store. None has a store, access rules or reloading.
//!
//! `baseline site NODES` prints a site design for Drydock, and `baseline design FILE ROUNDS` how long its rules take natively.

mod layers;
mod objects;
mod site;

use std::io::Write as _;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

async fn hello() -> &'static str {
    "Hello, world\n"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["site", nodes] => return Ok(std::io::stdout().write_all(site::design(nodes.parse()?)?.as_bytes())?),
        ["design", file, rounds] => {
            let (milliseconds, errors) = site::validate(&std::fs::read(file)?, rounds.parse()?)?;
            let milliseconds: Vec<String> = milliseconds.iter().map(ToString::to_string).collect();
            writeln!(std::io::stdout(), "{} {errors}", milliseconds.join(","))?;
            return Ok(());
        }
        _ => {}
    }
    let router = Router::new().route("/hello", get(hello));
    let (router, address) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["plain", address] => (router, address),
        ["layered", address] => (layers::add(router), address),
        ["objects", address, directory] => (objects::router(directory.as_ref()), address),
        _ => return Err("usage: see the top of the program's source".into()),
    };
    axum::serve(TcpListener::bind(address).await?, router).await?;
    Ok(())
}
