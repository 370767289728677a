//! What the benchmark asks of the store: one read, one durable commit.
//!
//! `PUT /value` keeps the body, `GET /value` reads it and answers it, `GET /commit` writes one small
//! key and answers when it is on disk. A commit by GET is no model to copy: the load generator sends
//! nothing else without a script.

use plugbay_sdk::prelude::*;

const VALUE: &str = "value";

/// Commits go round among this many keys, so that the store does not grow with the length of a run.
const KEYS: usize = 4096;

fn plugin() -> Plugin {
    Plugin::new(env!("CARGO_PKG_VERSION")).surface(
        Surface::new("main")
            .route(Route::put("/value", "value-put").open().buffered(64 * 1024), put)
            .route(Route::get("/value", "value-get").open(), get)
            .route(Route::get("/commit", "commit").open(), commit),
    )
}

fn put(request: &Request, _params: Params) -> Result<Answer, Problem> {
    write(VALUE.to_owned(), request.body_bytes())
}

fn get(_request: &Request, _params: Params) -> Result<Answer, Problem> {
    let entry = kv::get(VALUE)?.ok_or_else(|| Problem::not_found("PUT /value first."))?;
    Ok(Answer::bytes(200, "application/octet-stream", entry.value))
}

fn commit(request: &Request, _params: Params) -> Result<Answer, Problem> {
    let spread = request.id.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    write(format!("commit/{}", spread % KEYS), &[b'x'; 256])
}

fn write(key: String, value: &[u8]) -> Result<Answer, Problem> {
    kv::transact(|tx| {
        tx.put(key.as_str(), value);
        Ok::<_, Problem>(())
    })?;
    Ok(Answer::new(204))
}

export_plugin!(plugin);
