//! What an answer shows, and in which names.
//!
//! Owns how paths become the forms that clients expect: category locations and action links as paths, listings as
//! absolute URLs.

use std::rc::Rc;

use plugbay_sdk::Request;

use crate::{
    entity::Entity,
    fault::Fault,
    model::{Category, Class, core},
    text::{CategoryField, LinkField, Message, category::AttributeName},
};

/// An entity with all that its rendering needs.
#[derive(Debug, Clone)]
pub struct View {
    /// The entity.
    pub entity: Entity,
    /// Its kind and its mixins.
    pub categories: Vec<Rc<Category>>,
    /// The links it owns.
    pub links: Vec<Entity>,
}

/// Where the mount is, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// URL of the mount, without a final slash.
    base: String,
    /// Its path, without a final slash.
    prefix: String,
}

/// What a reference of a client leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A path below the mount.
    Local(String),
    /// An id of an entity here, as its `seq`.
    Id(String),
    /// A URL elsewhere.
    Elsewhere(String),
}

/// Longest path of an entity or a collection, so that keys fit.
pub const PATH: usize = 400;

impl Names {
    /// For the client of a request.
    pub fn of(request: &Request) -> Names {
        Names::at(request.base_url())
    }

    /// For a mount at this URL.
    pub fn at(base: String) -> Names {
        let host = base.find("://").map_or(0, |at| at + 3);
        let path = base.get(host..).and_then(|rest| rest.find('/').and_then(|at| rest.get(at..)));
        let prefix = path.unwrap_or_default().to_owned();
        Names { base, prefix }
    }

    /// URL of the mount, without a final slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The absolute URL of a path below the mount.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The path of a path below the mount.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The path of something here, the URL of something elsewhere.
    pub fn reference(&self, target: &str) -> String {
        if target.starts_with('/') { self.path(target) } else { target.to_owned() }
    }

    /// What a client's reference leads to.
    ///
    /// # Errors
    /// 400 if it is none.
    pub fn resolve(&self, reference: &str) -> Result<Reference, Fault> {
        if let Some(seq) = Entity::seq_of(reference) {
            return Ok(Reference::Id(seq));
        }
        let local = |path: &str| valid_path(path).map(|()| Reference::Local(path.to_owned()));
        if let Some(path) = reference.strip_prefix(&self.base).filter(|path| path.starts_with('/')) {
            return local(path);
        }
        if reference.starts_with('/') {
            let below = reference.strip_prefix(&self.prefix).filter(|path| path.starts_with('/'));
            return local(below.unwrap_or(reference));
        }
        let is_url = reference.contains("://") && reference.len() <= 1024 && is_plain(reference);
        if is_url {
            Ok(Reference::Elsewhere(reference.to_owned()))
        } else {
            Err(Fault::bad_request(format!("'{reference}' is neither a path nor a URL.")))
        }
    }
}

/// Whether a path can be one of an entity or a collection.
///
/// # Errors
/// 400 if it cannot.
pub fn valid_path(path: &str) -> Result<(), Fault> {
    let segments = || path.split('/').skip(1);
    let dots = segments().any(|segment| segment == "." || segment == "..");
    let empty = path.contains("//");
    if path.starts_with('/') && path.len() <= PATH && is_plain(path) && !dots && !empty && !path.contains(['?', '#']) {
        Ok(())
    } else {
        Err(Fault::bad_request("The path is too long, or has characters that paths here cannot have."))
    }
}

/// Characters that can stand in every rendering without being quoted.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|},;".contains(&b))
}

/// A category in a text rendering; `fully` with attributes and actions.
pub fn category_field(category: &Category, names: &Names, fully: bool) -> CategoryField {
    let rel = category.parent.as_ref().or(category.depends.first());
    let mut field = CategoryField::new(category.id.clone(), Some(category.class));
    field.title = Some(category.title.clone()).filter(|title| !title.is_empty());
    if fully {
        field.rel = rel.map(ToString::to_string);
        field.location = category.location.as_ref().map(|location| names.path(location));
        let attributes = category.attributes.iter().map(|attribute| AttributeName {
            name: attribute.name.to_owned(),
            immutable: !attribute.mutable,
            required: attribute.required,
        });
        field.attributes = attributes.collect();
        field.actions = category.actions.iter().map(ToString::to_string).collect();
    }
    field
}

/// Categories in a text rendering.
pub fn categories<'a>(categories: impl Iterator<Item = &'a Category>, names: &Names) -> Message {
    Message { categories: categories.map(|known| category_field(known, names, true)).collect(), ..Message::default() }
}

/// An entity in a text rendering: categories, links, attributes.
pub fn message(view: &View, names: &Names) -> Message {
    let entity = &view.entity;
    let categories = view.categories.iter().filter(|known| known.class != Class::Action);
    let links = view.links.iter().filter_map(|link| link_field(link, names));
    let path = names.path(&entity.path);
    let actions = entity.actions().into_iter().map(|action| LinkField::action(&path, action.term(), action.as_str()));
    let attributes = entity.values().map(|(name, value)| match (name, value.as_str()) {
        (core::SOURCE | core::TARGET, Some(end)) => (name.to_owned(), names.reference(end).into()),
        _ => (name.to_owned(), value.clone()),
    });
    Message {
        categories: categories.map(|known| category_field(known, names, false)).collect(),
        links: links.chain(actions).collect(),
        attributes: attributes.collect(),
        locations: Vec::new(),
    }
}

/// A link as its source shows it.
fn link_field(link: &Entity, names: &Names) -> Option<LinkField> {
    let ends = link.ends.as_ref()?;
    let category = std::iter::once(&link.kind).chain(&link.mixins).map(ToString::to_string).collect();
    // What the target is, is not known of something elsewhere.
    let rel = ends.target_kind.clone().unwrap_or_else(core::resource);
    Some(LinkField {
        target: names.reference(&ends.target),
        rel: vec![rel.to_string()],
        location: Some(names.path(&link.path)),
        category,
        attributes: link.attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_paths_urls_and_ids() {
        let names = Names::at("http://h:1/cloud".to_owned());
        let local = |path: &str| Ok(Reference::Local(path.to_owned()));
        assert_eq!(names.resolve("http://h:1/cloud/network/1"), local("/network/1"));
        assert_eq!(names.resolve("/cloud/network/1"), local("/network/1"));
        assert_eq!(names.resolve("/network/1"), local("/network/1"));
        assert_eq!(names.resolve("http://x/y"), Ok(Reference::Elsewhere("http://x/y".to_owned())));
        let id = "urn:uuid:01890000-0000-7000-8000-000000000000";
        assert_eq!(names.resolve(id), Ok(Reference::Id("01890000000070008000000000000000".to_owned())));
        for bad in ["", "network/1", "/a b", "/a\"", "/a/../b", "http://x/<y>", "/a//b"] {
            assert!(names.resolve(bad).is_err(), "{bad}");
        }
    }
}
