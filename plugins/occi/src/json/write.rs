//! Documents for clients.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, json};

use super::row::{Pairs, Row};
use crate::{
    entity::{self, Attributes, Entity},
    model::{Attribute, Category, Class, TypeId, core, openstack, states},
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
enum Others<'a> {
    Entity(&'a Attributes),
    /// Of a record, with the console if it has one.
    Row(&'a Pairs<'a>, Option<String>),
}

impl Serialize for Others<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let other = |name: &str| name != core::TITLE && name != core::SUMMARY;
        match self {
            Others::Entity(attributes) => serializer.collect_map(attributes.iter().filter(|(name, _)| other(name))),
            Others::Row(pairs, console) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, value) in pairs.0.iter().filter(|(name, _)| other(&name.0)) {
                    map.serialize_entry(name, value)?;
                }
                if let Some(console) = console {
                    map.serialize_entry(openstack::CONSOLE, console)?;
                }
                map.end()
            }
        }
    }
}

/// A record of the store with the records of its links, and its console if it has one.
pub struct Record<'a> {
    /// The record.
    pub row: Row<'a>,
    /// Of the links.
    pub links: Vec<Row<'a>>,
    /// Address of the console.
    pub console: Option<String>,
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
pub fn shown<'a>(view: &'a View, names: &Names) -> Shown<'a> {
    Shown { links: view.links.iter().map(|link| bare(link, names)).collect(), ..bare(&view.entity, names) }
}

/// A list of records, as [`lists`].
pub fn records<'a>(records: &'a [Record<'a>], of_links: bool, names: &Names) -> Lists<'a> {
    let (links, resources): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.row.ends.is_some());
    let shown = |records: Vec<&'a Record<'a>>, always: bool| {
        let show = |record: &'a Record<'a>| Shown {
            links: record.links.iter().map(|link| bare_row(link, None, names)).collect(),
            ..bare_row(&record.row, record.console.clone(), names)
        };
        (always || !records.is_empty()).then(|| records.into_iter().map(show).collect())
    };
    Lists { resources: shown(resources, !of_links), links: shown(links, of_links) }
}

fn bare_row<'a>(row: &'a Row<'a>, console: Option<String>, names: &Names) -> Shown<'a> {
    let end = |path: &str, kind: Option<&'a str>| End { location: names.reference(path), kind };
    let state = states::attribute_of(&row.kind.0).and_then(|name| row.text(name));
    let ends = row.ends.as_ref();
    let mut mixins: Vec<&str> = row.mixins.iter().map(|mixin| &*mixin.0).collect();
    if console.is_some() && !mixins.contains(&openstack::OS_VMS_ID) {
        mixins.push(openstack::OS_VMS_ID);
    }
    Shown {
        kind: &row.kind.0,
        id: entity::id_of(&row.seq.0),
        title: row.text(core::TITLE),
        summary: row.text(core::SUMMARY),
        mixins,
        attributes: Others::Row(&row.attributes, console),
        actions: state.map(|state| states::possible_of(&row.kind.0, state)).unwrap_or_default(),
        source: ends.map(|ends| end(&ends.source.0, Some(&ends.source_kind.0))),
        target: ends.map(|ends| end(&ends.target.0, ends.target_kind.as_ref().map(|kind| &*kind.0))),
        links: Vec::new(),
    }
}

/// The entities of a list; if it is one of links, an empty one is there, else one of resources.
pub fn lists<'a>(views: &'a [View], of_links: bool, names: &Names) -> Lists<'a> {
    let (links, resources): (Vec<_>, Vec<_>) = views.iter().partition(|view| view.entity.is_link());
    let shown = |views: Vec<&'a View>, always: bool| {
        (always || !views.is_empty()).then(|| views.into_iter().map(|view| self::shown(view, names)).collect())
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
        attributes: Others::Entity(&entity.attributes),
        actions: entity.actions(),
        source: ends.map(|ends| end(&ends.source, Some(&ends.source_kind))),
        target: ends.map(|ends| end(&ends.target, ends.target_kind.as_ref())),
        links: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{entity::Ends, model::infrastructure::id};

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            "\\PC{0,12}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<i16>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        ]
    }

    proptest! {
        #[test]
        fn a_record_is_written_as_its_entity_is(
            pairs in proptest::collection::btree_map("occi\\.[a-z]{1,8}(\\.[a-z\"]{1,4})?", value(), 0..6),
            title in proptest::option::of("\\PC{0,12}"),
            state in prop_oneof![Just("active"), Just("inactive"), Just("nonsense")],
            is_link: bool,
        ) {
            let mut attributes = pairs;
            attributes.extend(title.map(|title| (core::TITLE.to_owned(), title.into())));
            attributes.insert("occi.compute.state".to_owned(), state.into());
            let ends = Ends {
                source: "/compute/1".to_owned(),
                source_kind: id("compute"),
                target: "http://elsewhere/".to_owned(),
                target_kind: None,
            };
            let entity = |kind: &str, ends| Entity {
                seq: "0123456789abcdef0123456789abcdef".to_owned(),
                path: format!("/{kind}/1"),
                kind: id(kind),
                mixins: vec![id("os_tpl")],
                attributes: attributes.clone(),
                links: Vec::new(),
                ends,
            };
            let link = entity("networkinterface", Some(ends.clone()));
            let shown = if is_link { link.clone() } else { entity("compute", None) };
            let bytes = [serde_json::to_vec(&shown).unwrap(), serde_json::to_vec(&link).unwrap()];
            let row = |at: usize| Row::parse(&bytes[at]).unwrap();
            let record = Record { row: row(0), links: vec![row(1)], console: None };
            let view = View { entity: shown, categories: Vec::new(), links: vec![link] };
            let names = Names::at("http://host/cloud".to_owned());
            let written = serde_json::to_value(records(&[record], is_link, &names)).unwrap();
            prop_assert_eq!(written, serde_json::to_value(lists(&[view], is_link, &names)).unwrap());
        }
    }
}
