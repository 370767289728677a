//! The types of OCCI Core (GFD.183, GFD.221): categories, what they define, and the tables of the standard ones.
//!
//! Pure data. Which categories there are at a moment is `catalog`'s; what they allow is `rules`'.

pub mod attribute;
pub mod cdmi;
pub mod core;
pub mod id;
pub mod infrastructure;
pub mod openstack;
pub mod states;
pub mod templates;

use std::fmt;

pub use attribute::{Attribute, Type};
pub use id::TypeId;

/// What a category is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The type of an entity.
    Kind,
    /// What is added to an entity.
    Mixin,
    /// What can be done to an entity.
    Action,
}

impl Class {
    /// By its name in the text renderings.
    pub fn parse(text: &str) -> Option<Class> {
        match text {
            "kind" => Some(Class::Kind),
            "mixin" => Some(Class::Mixin),
            "action" => Some(Class::Action),
            _ => None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Kind => "kind",
            Class::Mixin => "mixin",
            Class::Action => "action",
        })
    }
}

/// A kind, a mixin or an action. What a class does not have is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Category {
    /// Scheme and term.
    pub id: TypeId,
    /// What it is.
    pub class: Class,
    /// A title for people.
    pub title: String,
    /// A kind's parent.
    pub parent: Option<TypeId>,
    /// What a mixin depends on.
    pub depends: Vec<TypeId>,
    /// Kinds that a mixin applies to; empty: any.
    pub applies: Vec<TypeId>,
    /// Its own attributes; a kind's parents add theirs.
    pub attributes: Vec<Attribute>,
    /// Its own actions.
    pub actions: Vec<TypeId>,
    /// Path of its collection, from `/` to `/`; actions and the entity kind have none.
    pub location: Option<String>,
    /// Whether a client defined it.
    pub user_defined: bool,
}

impl Category {
    fn new(class: Class, id: TypeId, title: &str) -> Category {
        Category {
            id,
            class,
            title: title.to_owned(),
            parent: None,
            depends: Vec::new(),
            applies: Vec::new(),
            attributes: Vec::new(),
            actions: Vec::new(),
            location: None,
            user_defined: false,
        }
    }

    /// A kind.
    pub fn kind(id: TypeId, parent: Option<TypeId>, title: &str) -> Category {
        Category { parent, ..Category::new(Class::Kind, id, title) }
    }

    /// A mixin.
    pub fn mixin(id: TypeId, title: &str) -> Category {
        Category::new(Class::Mixin, id, title)
    }

    /// An action.
    pub fn action(id: TypeId, title: &str) -> Category {
        Category::new(Class::Action, id, title)
    }

    /// With its collection at this path.
    #[must_use]
    pub fn at(mut self, location: &str) -> Category {
        self.location = Some(location.to_owned());
        self
    }

    /// With these attributes.
    #[must_use]
    pub fn with(mut self, attributes: impl IntoIterator<Item = Attribute>) -> Category {
        self.attributes.extend(attributes);
        self
    }

    /// With these actions.
    #[must_use]
    pub fn doing(mut self, actions: impl IntoIterator<Item = TypeId>) -> Category {
        self.actions.extend(actions);
        self
    }

    /// A mixin that depends on this one.
    #[must_use]
    pub fn depending_on(mut self, id: TypeId) -> Category {
        self.depends.push(id);
        self
    }

    /// A mixin that applies to this kind.
    #[must_use]
    pub fn applying_to(mut self, id: TypeId) -> Category {
        self.applies.push(id);
        self
    }

    /// Whether a mixin is one of the family of another: that one itself, or directly depending on it.
    pub fn is_of(&self, family: &TypeId) -> bool {
        self.id == *family || self.depends.contains(family)
    }
}
