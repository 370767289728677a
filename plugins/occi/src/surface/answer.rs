//! Answers, in each rendering.

use std::rc::Rc;

use plugbay_sdk::Answer;

use crate::{
    entity::Entity,
    fault::Fault,
    json::write,
    media::Rendering,
    model::Category,
    service::Service,
    text::Message,
    view::{self, View},
};

/// Most bytes and lines of OCCI header fields: beyond, common clients would cut them off or fail.
const HEADER_BYTES: usize = 256 * 1024;
const HEADER_LINES: usize = 90;

/// What a request came to.
#[derive(Debug)]
pub enum Reply {
    /// One entity.
    Entity(Box<View>),
    /// Entities of a list, which is one of links or of resources (and both).
    List {
        /// The entities.
        entities: Vec<Entity>,
        /// Whether an empty list is one of links.
        of_links: bool,
    },
    /// Paths of the entities of a list, for renderings that show no more.
    Locations(Vec<String>),
    /// New entities.
    Created(Vec<Entity>),
    /// Categories.
    Categories(Vec<Rc<Category>>),
    /// Nothing to show.
    Done,
}

/// A reply as an answer.
///
/// # Errors
/// 406 if it cannot be rendered without being cut off.
pub fn render(service: &Service, rendering: Rendering, reply: Reply) -> Result<Answer, Fault> {
    let names = &service.names;
    let (status, first) = match &reply {
        Reply::Created(made) => (201, made.first().map(|entity| names.url(&entity.path))),
        _ => (200, None),
    };
    let answer = if rendering.is_json() {
        Answer::bytes(status, &rendering.content_type(), document(service, reply)?)
    } else {
        let done = matches!(reply, Reply::Done);
        let message = message(service, reply);
        in_text(status, rendering, &message, done)?
    };
    Ok(match first {
        Some(location) => answer.header("location", location),
        None => answer,
    })
}

fn message(service: &Service, reply: Reply) -> Message {
    let names = &service.names;
    match reply {
        Reply::Entity(view) => view::message(&view, names),
        Reply::List { entities, .. } | Reply::Created(entities) => {
            Message { locations: entities.iter().map(|entity| names.url(&entity.path)).collect(), ..Message::default() }
        }
        Reply::Locations(paths) => {
            Message { locations: paths.iter().map(|path| names.url(path)).collect(), ..Message::default() }
        }
        Reply::Categories(categories) => view::categories(categories.iter().map(AsRef::as_ref), names),
        Reply::Done => Message::default(),
    }
}

fn in_text(status: u16, rendering: Rendering, message: &Message, done: bool) -> Result<Answer, Fault> {
    let content_type = rendering.content_type();
    let answer = |body: String| Answer::bytes(status, &content_type, body);
    match rendering {
        Rendering::Occi => {
            let fields = message.to_headers();
            let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
            if bytes > HEADER_BYTES || fields.len() > HEADER_LINES {
                return Err(Fault::new(406, "That is too much for header fields; ask for text/plain or for pages."));
            }
            let plain = answer("OK\n".to_owned());
            Ok(fields.into_iter().fold(plain, |answer, (name, value)| answer.header(name, value)))
        }
        Rendering::UriList => Ok(answer(message.locations.iter().map(|location| format!("{location}\r\n")).collect())),
        _ if done => Ok(answer("OK\n".to_owned())),
        _ => Ok(answer(message.to_body())),
    }
}

fn document(service: &Service, reply: Reply) -> Result<Vec<u8>, Fault> {
    let names = &service.names;
    let views = |entities: Vec<Entity>| -> Result<Vec<View>, Fault> {
        entities.into_iter().map(|entity| service.with_links(entity)).collect()
    };
    let written = match reply {
        Reply::Entity(view) => serde_json::to_vec(&write::entity(&view, names)),
        Reply::Created(entities) => match views(entities)?.as_slice() {
            [one] => serde_json::to_vec(&write::entity(one, names)),
            several => serde_json::to_vec(&write::lists(several, false, names)),
        },
        Reply::List { entities, of_links } => serde_json::to_vec(&write::lists(&views(entities)?, of_links, names)),
        Reply::Categories(categories) => {
            serde_json::to_vec(&write::categories(categories.iter().map(AsRef::as_ref), names))
        }
        Reply::Locations(paths) => serde_json::to_vec(&paths.iter().map(|path| names.url(path)).collect::<Vec<_>>()),
        Reply::Done => Ok(b"{}".to_vec()),
    };
    written.map_err(Fault::internal)
}

/// The answer, or the refusal as one sentence.
pub fn finish(result: Result<Answer, Fault>) -> Answer {
    result.unwrap_or_else(|fault| {
        Answer::bytes(fault.status, "text/plain; charset=utf-8", format!("{}\n", fault.message))
    })
}
