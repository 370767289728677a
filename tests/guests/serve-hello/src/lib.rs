//! The greeting of `examples/hello` as a plain `wasi:http` component, to compare with `wasmtime serve`.
//!
//! Status, content type and body are the same as the plugin's. There is no routing: every path greets.
//! For other targets the crate is empty: its exports have no names that a native linker takes.
#![cfg(target_arch = "wasm32")]

use std::io::Write as _;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

const BODY: &[u8] = b"Hello, world\n";

struct Hello;

impl Guest for Hello {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let headers = Fields::new();
        // Set only what cannot fail to be set: both names are legal and the fields are mutable.
        let _ = headers.append("content-type", b"text/plain; charset=utf-8");
        let _ = headers.append("content-length", BODY.len().to_string().as_bytes());
        let response = OutgoingResponse::new(headers);
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        let Ok(mut stream) = body.write() else { return };
        let _ = stream.write_all(BODY);
        let _ = stream.flush();
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

wasip2::http::proxy::export!(Hello);
