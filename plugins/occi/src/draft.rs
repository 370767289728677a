//! What a request asks for, whichever rendering it came in.
//!
//! Text and JSON end here. Nothing is checked yet but the grammar and that a message does not contradict itself.

use crate::{
    entity::{Attributes, same},
    fault::Fault,
    model::{Class, TypeId},
    text::{CategoryField, LinkField, Message},
};

/// An entity, an update, an action or a filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// Categories, in the order sent, with their class if it was said.
    pub categories: Vec<(TypeId, Option<Class>)>,
    /// Attributes.
    pub attributes: Attributes,
    /// Links to be made with it.
    pub links: Vec<DraftLink>,
}

/// A link in the message of its source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DraftLink {
    /// Where it leads.
    pub target: String,
    /// What is said of the target's categories.
    pub rel: Vec<TypeId>,
    /// The link's own categories.
    pub categories: Vec<TypeId>,
    /// Where the link is, or its id, if it exists already.
    pub existing: Option<String>,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A mixin that a client defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Scheme and term.
    pub id: TypeId,
    /// Whether it says that it is a mixin, or nothing.
    pub is_mixin: bool,
    /// Title.
    pub title: Option<String>,
    /// What it depends on.
    pub depends: Vec<TypeId>,
    /// Where its collection is to be.
    pub location: Option<String>,
}

/// A whole request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content {
    /// One in the text renderings; JSON may have several.
    pub drafts: Vec<Draft>,
    /// X-OCCI-Location.
    pub locations: Vec<String>,
    /// Categories as definitions.
    pub definitions: Vec<Definition>,
}

impl Content {
    /// The one draft; an empty one if there is none.
    ///
    /// # Errors
    /// 400 if there are several.
    pub fn single(mut self) -> Result<Draft, Fault> {
        let draft = self.drafts.pop().unwrap_or_default();
        if self.drafts.is_empty() { Ok(draft) } else { Err(Fault::bad_request("This takes one entity at a time.")) }
    }

    /// Of a message in a text rendering.
    ///
    /// # Errors
    /// 400 for what is no identifier, 409 if an attribute has two values.
    pub fn of_message(message: Message) -> Result<Content, Fault> {
        let categories = message.categories.iter().map(|field| (field.id.clone(), field.class)).collect();
        let definitions = message.categories.into_iter().map(definition).collect::<Result<_, _>>()?;
        let links = message
            .links
            .into_iter()
            // What can be done to an entity comes back when a client sends what it was shown.
            .filter(|link| !link.target.contains("?action="))
            .map(link)
            .collect::<Result<_, _>>()?;
        let draft = Draft { categories, attributes: unambiguous(message.attributes)?, links };
        Ok(Content { drafts: vec![draft], locations: message.locations, definitions })
    }
}

/// An identifier that a client wrote.
pub(crate) fn type_id(text: &str) -> Result<TypeId, Fault> {
    TypeId::parse(text).ok_or_else(|| Fault::bad_request(format!("'{text}' is no category identifier.")))
}

fn definition(field: CategoryField) -> Result<Definition, Fault> {
    Ok(Definition {
        is_mixin: field.class.is_none_or(|class| class == Class::Mixin),
        id: field.id,
        title: field.title,
        depends: field.rel.iter().map(|rel| type_id(rel)).collect::<Result<_, _>>()?,
        location: field.location,
    })
}

fn link(field: LinkField) -> Result<DraftLink, Fault> {
    Ok(DraftLink {
        target: field.target,
        rel: field.rel.iter().map(|id| type_id(id)).collect::<Result<_, _>>()?,
        categories: field.category.iter().map(|id| type_id(id)).collect::<Result<_, _>>()?,
        existing: field.location,
        attributes: unambiguous(field.attributes)?,
    })
}

/// Attributes by name; one that is given twice has to have one value.
fn unambiguous(pairs: Vec<(String, serde_json::Value)>) -> Result<Attributes, Fault> {
    let mut attributes = Attributes::new();
    for (name, value) in pairs {
        match attributes.get(&name) {
            Some(known) if !same(known, &value) => {
                return Err(Fault::conflict(format!("The attribute {name} is given twice.")));
            }
            _ => attributes.insert(name, value),
        };
    }
    Ok(attributes)
}
