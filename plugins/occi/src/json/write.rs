//! Documents for clients.

use serde_json::{Map, Value, json};

use crate::{
    entity::Entity,
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

/// One resource or link.
pub fn entity(view: &View, names: &Names) -> Value {
    let mut object = bare(&view.entity, names);
    if !view.links.is_empty() {
        let links = view.links.iter().map(|link| Value::from(bare(link, names)));
        object.insert("links".to_owned(), links.collect());
    }
    object.into()
}

fn bare(entity: &Entity, names: &Names) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("kind".to_owned(), entity.kind.as_str().into());
    object.insert("id".to_owned(), entity.id().into());
    for (member, name) in [("title", core::TITLE), ("summary", core::SUMMARY)] {
        if let Some(text) = entity.text(name) {
            object.insert(member.to_owned(), text.into());
        }
    }
    if !entity.mixins.is_empty() {
        object.insert("mixins".to_owned(), ids(&entity.mixins));
    }
    let own = entity.attributes.iter().filter(|(name, _)| *name != core::TITLE && *name != core::SUMMARY);
    let attributes: Map<String, Value> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    object.insert("attributes".to_owned(), attributes.into());
    let actions = entity.actions();
    if !actions.is_empty() {
        object.insert("actions".to_owned(), ids(&actions));
    }
    if let Some(ends) = &entity.ends {
        let source = json!({ "location": names.reference(&ends.source), "kind": ends.source_kind });
        let mut target = json!({ "location": names.reference(&ends.target) });
        if let (Some(kind), Some(target)) = (&ends.target_kind, target.as_object_mut()) {
            target.insert("kind".to_owned(), kind.as_str().into());
        }
        object.insert("source".to_owned(), source);
        object.insert("target".to_owned(), target);
    }
    object
}
