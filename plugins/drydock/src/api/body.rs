//! JSON bodies.

use plugbay_sdk::Request;
use serde_json::{Map, Value};

/// The body as an object; a sentence if it is not one, or says that it is something else.
pub(super) fn object(request: &Request) -> Result<Map<String, Value>, String> {
    is_json(request)?;
    match serde_json::from_slice(request.body_bytes()) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("The body is not an object".to_owned()),
        Err(error) => Err(format!("The body is not JSON: {error}")),
    }
}

/// Whether the body says that it is JSON, with or without parameters, and is there.
pub(super) fn is_json(request: &Request) -> Result<(), String> {
    let kind = request.header_text("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err("The content type has to be application/json".to_owned());
    }
    if request.body_bytes().is_empty() {
        return Err("There is no body".to_owned());
    }
    Ok(())
}
