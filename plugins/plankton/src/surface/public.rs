//! Published objects: read without a token, by an id that nobody can guess.
//!
//! Owns the surface `public` and the links that lead there. Invariant: an answer says nothing of the
//! object but what its bytes are: no `X-Object-*` field leaves here.

use plugbay_sdk::{Request, Route, Surface};

use super::{
    Call, HOST_ERRORS, dressed, no_endpoint, nowhere,
    objects::{Going, Outcome, step},
    reads,
};
use crate::{
    faults::Fault,
    headers::{Headers, encode_content_type, encode_object},
    settings::{Endpoints, url},
    store::publishing,
};

/// The user of a request without a token: an id that nobody has.
const NOBODY: &str = "";

#[derive(Debug, Clone, Copy)]
enum Op {
    Read,
    Nowhere,
}

const fn route(method: &'static str, path: &'static str) -> Route {
    Route::new(method, path, "public-read").open()
}

const TABLE: [(Op, Route); 8] = [
    (Op::Read, route("GET", "/{id}")),
    (Op::Read, route("HEAD", "/{id}")),
    (Op::Nowhere, nowhere("GET")),
    (Op::Nowhere, nowhere("HEAD")),
    (Op::Nowhere, nowhere("POST")),
    (Op::Nowhere, nowhere("PUT")),
    (Op::Nowhere, nowhere("DELETE")),
    (Op::Nowhere, nowhere("PATCH")),
];

/// The surface.
pub fn surface() -> Surface {
    let surface = Surface::new("public").errors(HOST_ERRORS.0, HOST_ERRORS.1).without_auto_head().resumable_table(
        &TABLE,
        |op, request, params| {
            let outcome = match op {
                Op::Read => read(request, params.get("id")),
                Op::Nowhere => no_endpoint(&TABLE, request).map(Outcome::Answer),
            };
            step(request, outcome)
        },
        |_, request, _, going, _| {
            let outcome = match going {
                Going::Send(sending) => sending.resume(),
                _ => Outcome::BreakOff("nothing but content goes on here".to_owned()),
            };
            step(request, Ok(outcome))
        },
    );
    dressed(surface)
}

/// Where a published object is to be had, for the client of this call to the object store.
pub(super) fn link(call: &Call<'_>, endpoints: &Endpoints, id: &str) -> String {
    format!("{}/{id}", url(call.request, &endpoints.object_store, &endpoints.public))
}

/// What `X-Object-Public` asks for: `true` or `false` in any case; empty is false.
pub(super) fn asked(headers: &Headers) -> Result<Option<bool>, Fault> {
    let Some(text) = headers.text("x-object-public")? else {
        return Ok(None);
    };
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(Some(true)),
        "false" | "" => Ok(Some(false)),
        _ => Err(Fault::bad_request("Bad X-Object-Public header value")),
    }
}

fn read(request: &Request, id: &str) -> Result<Outcome, Fault> {
    let object = publishing::find(id)?;
    let headers = Headers::fold(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
    let mut fields: Vec<(String, String)> = [
        ("ETag", object.etag().to_owned()),
        ("Content-Type", encode_content_type(&object.content_type)),
        ("Last-Modified", object.modified.http()),
        ("Accept-Ranges", "bytes".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let shown = object.presentation.iter().filter(|(name, _)| name.starts_with("content-"));
    fields.extend(shown.map(|(name, value)| (name.clone(), encode_object(value))));
    // Of a manifest everyone sees the parts that everyone may read: who can write it is not always who
    // owns the parts.
    reads::send(&headers, request.method == "HEAD", &object, NOBODY, fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Kind;
    use proptest::prelude::*;

    #[test]
    fn publicity_is_a_word_in_any_case() {
        let asked = |text: &str| asked(&Headers::fold([("X-Object-Public", text.as_bytes())])).map_err(|f| f.status());
        assert_eq!(asked("True"), Ok(Some(true)));
        assert_eq!(asked("FALSE"), Ok(Some(false)));
        assert_eq!(asked(" "), Ok(Some(false)));
        assert_eq!(asked("yes"), Err(400));
    }

    proptest! {
        #[test]
        fn any_id_is_looked_up_or_refused(id in any::<String>()) {
            plugbay_sdk::testing::Host::new().install();
            prop_assert_eq!(publishing::find(&id).map_err(|fault| fault.kind).err(), Some(Kind::NotFound));
        }
    }
}
