//! Answers, in each rendering.

use std::rc::Rc;

use plugbay_sdk::{Answer, kv::Entry};

use crate::{
    entity::Entity,
    fault::Fault,
    json::{row::Row, write},
    media::Rendering,
    model::{Category, states},
    service::Service,
    store::entities,
    text::{InText, Locations, Message},
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
    Locations(Rc<[String]>),
    /// A list as its records lie in the store.
    Records {
        /// The records.
        entries: Vec<Entry>,
        /// As in `List`.
        of_links: bool,
    },
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
        match &reply {
            Reply::Locations(paths) => {
                let locations = Locations { base: names.base(), paths };
                in_text(status, rendering, &locations)?
            }
            Reply::Done if rendering != Rendering::Occi && rendering != Rendering::UriList => {
                Answer::bytes(status, &rendering.content_type(), "OK\n")
            }
            _ => in_text(status, rendering, &message(service, reply))?,
        }
    };
    Ok(match first {
        Some(location) => answer.header("location", location),
        None => answer,
    })
}

fn message(service: &Service, reply: Reply) -> Message {
    let names = &service.names;
    let at = |paths: &mut dyn Iterator<Item = &String>| Message {
        locations: paths.map(|path| names.url(path)).collect(),
        ..Message::default()
    };
    match reply {
        Reply::Entity(view) => view::message(&view, names),
        Reply::List { entities, .. } | Reply::Created(entities) => at(&mut entities.iter().map(|entity| &entity.path)),
        Reply::Locations(paths) => at(&mut paths.iter()),
        Reply::Categories(categories) => view::categories(categories.iter().map(AsRef::as_ref), names),
        Reply::Records { .. } | Reply::Done => Message::default(),
    }
}

fn in_text(status: u16, rendering: Rendering, text: &dyn InText) -> Result<Answer, Fault> {
    let content_type = rendering.content_type();
    let answer = |body: String| Answer::bytes(status, &content_type, body);
    match rendering {
        Rendering::Occi => {
            let fields = text.to_headers();
            let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
            if bytes > HEADER_BYTES || fields.len() > HEADER_LINES {
                return Err(Fault::new(406, "That is too much for header fields; ask for text/plain or for pages."));
            }
            let plain = answer("OK\n".to_owned());
            Ok(fields.into_iter().fold(plain, |answer, (name, value)| answer.header(name, value)))
        }
        Rendering::UriList => Ok(answer(text.to_uri_list())),
        _ => Ok(answer(text.to_body())),
    }
}

fn document(service: &Service, reply: Reply) -> Result<Vec<u8>, Fault> {
    let names = &service.names;
    let views = |entities: Vec<Entity>| -> Result<Vec<View>, Fault> {
        entities.into_iter().map(|entity| service.with_links(entity)).collect()
    };
    let written = match reply {
        Reply::Entity(view) => serde_json::to_vec(&write::shown(&view, names)),
        Reply::Created(entities) => match views(entities)?.as_slice() {
            [one] => serde_json::to_vec(&write::shown(one, names)),
            several => serde_json::to_vec(&write::lists(several, false, names)),
        },
        Reply::List { entities, of_links } => serde_json::to_vec(&write::lists(&views(entities)?, of_links, names)),
        Reply::Records { entries, of_links } => return records(service, &entries, of_links),
        Reply::Categories(categories) => {
            serde_json::to_vec(&write::categories(categories.iter().map(AsRef::as_ref), names))
        }
        Reply::Locations(paths) => serde_json::to_vec(&paths.iter().map(|path| names.url(path)).collect::<Vec<_>>()),
        Reply::Done => Ok(b"{}".to_vec()),
    };
    written.map_err(Fault::internal)
}

fn records(service: &Service, entries: &[Entry], of_links: bool) -> Result<Vec<u8>, Fault> {
    let rows = entries.iter().map(|entry| Row::parse(&entry.value)).collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(Fault::internal)?;
    let mut links = Vec::new();
    for row in &rows {
        let of_row = row.links.iter().map(|path| entities::record(&service.keys, &path.0));
        links.push(of_row.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?);
    }
    let mut records = Vec::with_capacity(rows.len());
    for (row, links) in rows.into_iter().zip(&links) {
        let links = links.iter().map(|entry| Row::parse(&entry.value)).collect::<Result<_, _>>();
        let state = states::attribute_of(&row.kind.0).and_then(|name| row.text(name));
        let console = service.console(&row.kind.0, state, &row.seq.0);
        records.push(write::Record { links: links.map_err(Fault::internal)?, console, row });
    }
    serde_json::to_vec(&write::records(&records, of_links, &service.names)).map_err(Fault::internal)
}

/// The answer, or the refusal as one sentence.
pub fn finish(result: Result<Answer, Fault>) -> Answer {
    result.unwrap_or_else(|fault| {
        Answer::bytes(fault.status, "text/plain; charset=utf-8", format!("{}\n", fault.message))
    })
}
