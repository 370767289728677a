//! The mixin of a storage that is a CDMI container.

use super::{Attribute, Category, Type, TypeId, infrastructure};

/// Object id of the container.
pub const OBJECT_ID: &str = "org.snia.cdmi.objectid";
/// URL of the container.
pub const LOCATION: &str = "org.snia.cdmi.uri";

/// The mixin.
pub fn container() -> TypeId {
    TypeId::known("http://schemas.snia.org/cdmi/occi#", "container")
}

/// All of it.
pub fn categories() -> Vec<Category> {
    vec![
        Category::mixin(container(), "A storage that is a CDMI container")
            .at("/mixin/cdmi/container/")
            .applying_to(infrastructure::id("storage"))
            .with([Attribute::immutable(OBJECT_ID, Type::Text), Attribute::immutable(LOCATION, Type::Text)]),
    ]
}
