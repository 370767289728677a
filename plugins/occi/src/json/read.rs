//! Documents of clients.

use serde_json::{Map, Value};

use crate::{
    draft::{Content, Definition, Draft, DraftLink, type_id},
    entity::Attributes,
    fault::Fault,
    model::{Class, TypeId, core},
    text::attribute::is_name,
};

type Object = Map<String, Value>;

/// Members of an entity, of an action and of a category (GFD.226), and of a collection. There are no others.
const ENTITY: &[&str] =
    &["kind", "id", "title", "summary", "mixins", "attributes", "actions", "links", "source", "target", "rel"];
const ACTION: &[&str] = &["action", "attributes"];
const CATEGORY: &[&str] =
    &["term", "scheme", "title", "attributes", "parent", "depends", "applies", "actions", "location"];
const COLLECTION: &[&str] = &["kinds", "mixins", "actions", "resources", "links", "title", "summary"];

/// 400 for a member that there is not: what is misspelt would be left out without a word.
fn has_only(object: &Object, members: &[&str]) -> Result<(), Fault> {
    match object.keys().find(|name| !members.contains(&name.as_str())) {
        Some(name) => Err(Fault::bad_request(format!("There is no member '{name}' here."))),
        None => Ok(()),
    }
}

/// What a document asks for: an entity, `{"resources": […], "links": […]}`, an action, mixins to define or to filter
/// by, or an array of locations.
///
/// # Errors
/// 400 if it is none of these.
pub fn content(body: &[u8]) -> Result<Content, Fault> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| Fault::bad_request(format!("The body is not JSON: {error}.")))?;
    match value {
        Value::Array(locations) => Ok(Content { locations: texts(&locations, "a location")?, ..Content::default() }),
        Value::Object(object) => of_object(&object),
        _ => Err(Fault::bad_request("The body is neither an object nor an array.")),
    }
}

/// Like [`content`], where the body is one entity or what changes of it, whichever members it has.
///
/// # Errors
/// 400 if it is none.
pub fn update(body: &[u8]) -> Result<Content, Fault> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) if !object.contains_key("resources") && !object.contains_key("action") => {
            Ok(Content { drafts: vec![entity(&object)?], ..Content::default() })
        }
        _ => content(body),
    }
}

fn of_object(object: &Object) -> Result<Content, Fault> {
    let mut content = Content::default();
    if object.contains_key("kind") || object.contains_key("attributes") && !object.contains_key("action") {
        content.drafts.push(entity(object)?);
    } else if object.contains_key("action") {
        content.drafts.push(action(object)?);
    } else if object.contains_key("term") {
        content.definitions.push(definition(object)?);
    } else {
        has_only(object, COLLECTION)?;
        let mut update = entity(&only(object, &["title", "summary"]))?;
        for (member, class) in [("kinds", Class::Kind), ("mixins", Class::Mixin), ("actions", Class::Action)] {
            for item in list(object, member)? {
                match item {
                    Value::Object(item) => {
                        let definition = definition(item)?;
                        content.definitions.push(Definition { is_mixin: class == Class::Mixin, ..definition });
                    }
                    // An update that only adds mixins names them.
                    Value::String(id) => update.categories.push((type_id(id)?, Some(class))),
                    _ => return Err(wrong(member)),
                }
            }
        }
        for member in ["resources", "links"] {
            for item in list(object, member)? {
                content.drafts.push(entity(item.as_object().ok_or_else(|| wrong(member))?)?);
            }
        }
        if update != Draft::default() {
            content.drafts.push(update);
        }
    }
    Ok(content)
}

/// An object's members of these names.
fn only(object: &Object, members: &[&str]) -> Object {
    object.iter().filter(|(name, _)| members.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn entity(object: &Object) -> Result<Draft, Fault> {
    has_only(object, ENTITY)?;
    let mut draft = Draft::default();
    if let Some(kind) = text(object, "kind")? {
        draft.categories.push((type_id(kind)?, Some(Class::Kind)));
    }
    for mixin in list(object, "mixins")? {
        let id = mixin.as_str().ok_or_else(|| wrong("mixins"))?;
        draft.categories.push((type_id(id)?, Some(Class::Mixin)));
    }
    draft.attributes = attributes(object)?;
    for (member, name) in [("title", core::TITLE), ("summary", core::SUMMARY)] {
        if let Some(value) = text(object, member)? {
            draft.attributes.insert(name.to_owned(), value.into());
        }
    }
    for (member, name) in [("source", core::SOURCE), ("target", core::TARGET)] {
        if let Some(location) = end(object, member)? {
            draft.attributes.insert(name.to_owned(), location.into());
        }
    }
    for item in list(object, "links")? {
        draft.links.push(link(item.as_object().ok_or_else(|| wrong("links"))?)?);
    }
    Ok(draft)
}

fn link(object: &Object) -> Result<DraftLink, Fault> {
    let draft = entity(object)?;
    let mut attributes = draft.attributes;
    let target = attributes.remove(core::TARGET);
    attributes.remove(core::SOURCE);
    Ok(DraftLink {
        target: target.and_then(|target| target.as_str().map(str::to_owned)).unwrap_or_default(),
        rel: end_kind(object)?.into_iter().collect(),
        categories: draft.categories.into_iter().map(|(id, _)| id).collect(),
        existing: text(object, "id")?.map(str::to_owned),
        attributes,
    })
}

/// Location of an end of a link: an object, or the bare text that earlier drafts had.
fn end<'a>(object: &'a Object, member: &str) -> Result<Option<&'a str>, Fault> {
    match object.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(location)) => Ok(Some(location)),
        Some(Value::Object(end)) => match end.get("location") {
            Some(Value::String(location)) => Ok(Some(location)),
            _ => Err(wrong(member)),
        },
        Some(_) => Err(wrong(member)),
    }
}

fn end_kind(object: &Object) -> Result<Option<TypeId>, Fault> {
    let kind = object.get("target").and_then(|target| target.get("kind")).and_then(Value::as_str);
    kind.map(type_id).transpose()
}

fn action(object: &Object) -> Result<Draft, Fault> {
    has_only(object, ACTION)?;
    let id = text(object, "action")?.ok_or_else(|| wrong("action"))?;
    Ok(Draft {
        categories: vec![(type_id(id)?, Some(Class::Action))],
        attributes: attributes(object)?,
        links: Vec::new(),
    })
}

fn definition(object: &Object) -> Result<Definition, Fault> {
    has_only(object, CATEGORY)?;
    let (scheme, term) = (text(object, "scheme")?.unwrap_or_default(), text(object, "term")?.unwrap_or_default());
    let id = TypeId::of(scheme, term)
        .ok_or_else(|| Fault::bad_request(format!("'{scheme}' and '{term}' are no scheme and term.")))?;
    let depends = texts(list(object, "depends")?, "depends")?;
    Ok(Definition {
        id,
        is_mixin: true,
        title: text(object, "title")?.map(str::to_owned),
        depends: depends.iter().map(|id| type_id(id)).collect::<Result<_, _>>()?,
        location: text(object, "location")?.map(str::to_owned),
    })
}

fn attributes(object: &Object) -> Result<Attributes, Fault> {
    match object.get("attributes") {
        None | Some(Value::Null) => Ok(Attributes::new()),
        Some(Value::Object(attributes)) => attributes
            .iter()
            .map(|(name, value)| match value {
                _ if !is_name(name) => Err(Fault::bad_request(format!("'{name}' is no attribute name."))),
                Value::Null => Err(Fault::bad_request(format!("The value of {name} is null."))),
                value => Ok((name.clone(), value.clone())),
            })
            .collect(),
        Some(_) => Err(wrong("attributes")),
    }
}

fn text<'a>(object: &'a Object, member: &str) -> Result<Option<&'a str>, Fault> {
    match object.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(member)),
    }
}

fn list<'a>(object: &'a Object, member: &str) -> Result<&'a [Value], Fault> {
    match object.get(member) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(wrong(member)),
    }
}

fn texts(items: &[Value], what: &str) -> Result<Vec<String>, Fault> {
    items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(what))).collect()
}

fn wrong(member: &str) -> Fault {
    Fault::bad_request(format!("'{member}' in the body is not of the expected shape."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Content {
        content(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_entity_with_a_link() {
        let content = read(&json!({
            "kind": "http://schemas.ogf.org/occi/infrastructure#compute", "title": "one",
            "mixins": ["http://shop.example/os#plum"], "attributes": {"occi.compute.cores": 2},
            "links": [{"kind": "http://schemas.ogf.org/occi/infrastructure#networkinterface",
                       "target": {"location": "/network/n7", "kind": "http://schemas.ogf.org/occi/infrastructure#network"}}],
        }));
        let draft = content.single().unwrap();
        assert_eq!(draft.categories.len(), 2);
        assert_eq!(draft.attributes[core::TITLE], json!("one"));
        assert_eq!(draft.links[0].target, "/network/n7");
        assert_eq!(draft.links[0].rel[0].term(), "network");
    }

    #[test]
    fn all_other_shapes() {
        assert_eq!(read(&json!(["/a", "/b"])).locations, ["/a", "/b"]);
        assert_eq!(read(&json!({"resources": [{"kind": "a#b"}, {"kind": "a#c"}]})).drafts.len(), 2);
        assert_eq!(read(&json!({"action": "a#start", "attributes": {"method": "cold"}})).drafts[0].attributes.len(), 1);
        let mixin = json!({"term": "t", "scheme": "a#", "location": "/t/"});
        assert!(read(&json!({"mixins": [mixin]})).definitions[0].is_mixin);
        assert_eq!(read(&mixin).definitions.len(), 1);
        assert_eq!(read(&json!({"mixins": ["a#b"]})).drafts[0].categories.len(), 1);
        for bad in [
            json!(1),
            json!([1]),
            json!({"kind": 1}),
            json!({"kind": "x"}),
            json!({"kind": "a#b", "attributes": {"a b": 1}}),
            json!({"kind": "a#b", "attribute": {"a": 1}}),
            json!({"resource": []}),
            json!({"action": "a#start", "method": "cold"}),
            json!({"term": "t", "scheme": "a#", "class": "mixin"}),
        ] {
            assert_eq!(content(bad.to_string().as_bytes()).unwrap_err().status, 400, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_body_reads_or_is_refused(body in ".{0,80}") {
            let _ = content(body.as_bytes());
        }
    }
}
