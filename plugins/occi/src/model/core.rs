//! The kinds of the core model (GFD.221, section 4).

use super::{Attribute, Category, Type, TypeId};

/// Scheme of the core model.
pub const SCHEME: &str = "http://schemas.ogf.org/occi/core#";

/// Id of an entity, a URI.
pub const ID: &str = "occi.core.id";
/// Title of an entity.
pub const TITLE: &str = "occi.core.title";
/// Summary of a resource.
pub const SUMMARY: &str = "occi.core.summary";
/// Where a link comes from.
pub const SOURCE: &str = "occi.core.source";
/// Where a link leads to.
pub const TARGET: &str = "occi.core.target";
/// Kind of where a link comes from.
pub const SOURCE_KIND: &str = "occi.core.source.kind";
/// Kind of where a link leads to.
pub const TARGET_KIND: &str = "occi.core.target.kind";

/// The kind of all.
pub fn entity() -> TypeId {
    TypeId::known(SCHEME, "entity")
}

/// The kind of resources.
pub fn resource() -> TypeId {
    TypeId::known(SCHEME, "resource")
}

/// The kind of links.
pub fn link() -> TypeId {
    TypeId::known(SCHEME, "link")
}

/// The three kinds.
pub fn categories() -> Vec<Category> {
    vec![
        Category::kind(entity(), None, "Entity")
            .with([Attribute::immutable(ID, Type::Text), Attribute::mutable(TITLE, Type::Text)]),
        Category::kind(resource(), Some(entity()), "Resource")
            .at("/resource/")
            .with([Attribute::mutable(SUMMARY, Type::Text)]),
        Category::kind(link(), Some(entity()), "Link").at("/link/").with([
            Attribute::required(SOURCE, Type::Token),
            Attribute::required(TARGET, Type::Token),
            Attribute::immutable(SOURCE_KIND, Type::Text),
            Attribute::immutable(TARGET_KIND, Type::Text),
        ]),
    ]
}
