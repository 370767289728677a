//! Documents for clients.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::{
    entity::{Attributes, Entity},
    model::{Attribute, Category, Class, TypeId, core},
    view::{Names, View},
};

/// The query interface: `kinds`, `mixins` and `actions`.
pub fn categories<'a>(categories: impl Iterator<Item = &'a Category>, names: &Names) -> Value {
    let (mut kinds, mut mixins, mut actions) = (Vec::new(), Vec::new(), Vec::new());
    for known in categories {
        match known.class {
            Class::Kind => kinds.push(category(known, names)),
            Class::Mixin => mixins.push(category(known, names)),
            Class::Action => actions.push(category(known, names)),
        }
    }
    json!({ "kinds": kinds, "mixins": mixins, "actions": actions })
}

/// One category.
pub fn category(category: &Category, names: &Names) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("term", category.id.term().into());
    put("scheme", category.id.scheme().into());
    put("title", category.title.as_str().into());
    if !category.attributes.is_empty() {
        let described = category.attributes.iter().map(|a| (a.name.to_owned(), attribute(a)));
        put("attributes", described.collect::<Map<_, _>>().into());
    }
    if let Some(parent) = &category.parent {
        put("parent", parent.as_str().into());
    }
    for (name, list) in [("depends", &category.depends), ("applies", &category.applies), ("actions", &category.actions)]
    {
        if !list.is_empty() {
            put(name, ids(list));
        }
    }
    if let Some(location) = &category.location {
        put("location", names.path(location).into());
    }
    object.into()
}

fn attribute(attribute: &Attribute) -> Value {
    let mut object = Map::new();
    object.insert("mutable".to_owned(), attribute.mutable.into());
    object.insert("required".to_owned(), attribute.required.into());
    object.insert("type".to_owned(), attribute.kind.json_name().into());
    if let Some(pattern) = attribute.kind.json_pattern() {
        object.insert("pattern".to_owned(), pattern);
    }
    if let Some(default) = &attribute.default {
        object.insert("default".to_owned(), default.clone());
    }
    object.into()
}

fn ids(ids: &[TypeId]) -> Value {
    ids.iter().map(TypeId::as_str).collect()
}

/// A resource or link, as it is written.
#[derive(Serialize)]
pub struct Shown<'a> {
    kind: &'a str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mixins: Vec<&'a str>,
    attributes: Others<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<TypeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<End<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<End<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Shown<'a>>,
}

/// An end of a link.
#[derive(Serialize)]
struct End<'a> {
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
}

/// Attributes but those that have members of their own.
struct Others<'a>(&'a Attributes);

impl Serialize for Others<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(name, _)| *name != core::TITLE && *name != core::SUMMARY))
    }
}

/// Entities of a list, links apart.
#[derive(Serialize)]
pub struct Lists<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Vec<Shown<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Vec<Shown<'a>>>,
}

/// One resource or link.
pub fn entity<'a>(view: &'a View, names: &Names) -> Shown<'a> {
    Shown { links: view.links.iter().map(|link| bare(link, names)).collect(), ..bare(&view.entity, names) }
}

/// The entities of a list; if it is one of links, an empty one is there, else one of resources.
pub fn lists<'a>(views: &'a [View], of_links: bool, names: &Names) -> Lists<'a> {
    let (links, resources): (Vec<_>, Vec<_>) = views.iter().partition(|view| view.entity.is_link());
    let shown = |views: Vec<&'a View>, always: bool| {
        (always || !views.is_empty()).then(|| views.into_iter().map(|view| entity(view, names)).collect())
    };
    Lists { resources: shown(resources, !of_links), links: shown(links, of_links) }
}

fn bare<'a>(entity: &'a Entity, names: &Names) -> Shown<'a> {
    let end =
        |path: &str, kind: Option<&'a TypeId>| End { location: names.reference(path), kind: kind.map(TypeId::as_str) };
    let ends = entity.ends.as_ref();
    Shown {
        kind: entity.kind.as_str(),
        id: entity.id(),
        title: entity.text(core::TITLE),
        summary: entity.text(core::SUMMARY),
        mixins: entity.mixins.iter().map(TypeId::as_str).collect(),
        attributes: Others(&entity.attributes),
        actions: entity.actions(),
        source: ends.map(|ends| end(&ends.source, Some(&ends.source_kind))),
        target: ends.map(|ends| end(&ends.target, ends.target_kind.as_ref())),
        links: Vec::new(),
    }
}
