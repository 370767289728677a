//! Requests to content: which rendering a body is in, and what header fields say.

use plugbay_sdk::Request;

use crate::{
    draft::{Content, Draft},
    fault::Fault,
    json,
    media::Rendering,
    text::Message,
};

/// What a request says, in its body or, without one, in its header fields.
///
/// # Errors
/// 415 for a body of another type, 400 for one that does not parse.
pub fn content(request: &Request) -> Result<Content, Fault> {
    parse(request, json::read::content)
}

/// What a request says of one entity.
///
/// # Errors
/// As [`content`]; 400 for several.
pub fn entity(request: &Request) -> Result<Draft, Fault> {
    parse(request, json::read::update)?.single()
}

fn parse(request: &Request, of_json: impl Fn(&[u8]) -> Result<Content, Fault>) -> Result<Content, Fault> {
    let body = request.body_bytes();
    if body.is_empty() {
        return Content::of_message(headers(request)?);
    }
    let message = match request.header_text("content-type") {
        None => Message::of_body(body)?,
        Some(content_type) => match Rendering::of_content_type(content_type) {
            Some(Rendering::Json | Rendering::OcciJson) => return of_json(body),
            Some(Rendering::Plain | Rendering::OcciPlain) => Message::of_body(body)?,
            Some(Rendering::UriList) => Message::of_uri_list(body)?,
            Some(Rendering::Occi) => headers(request)?,
            None => return Err(Fault::new(415, format!("Bodies of the type {content_type} are not read."))),
        },
    };
    Content::of_message(message)
}

/// The filter of a list: categories and attributes of the header fields.
///
/// # Errors
/// 400 if they do not parse.
pub fn filter(request: &Request) -> Result<Draft, Fault> {
    let message = headers(request)?;
    let message = Message { links: Vec::new(), locations: Vec::new(), ..message };
    Content::of_message(message)?.single()
}

fn headers(request: &Request) -> Result<Message, Fault> {
    let fields = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    Ok(Message::of_headers(fields)?)
}
