//! `Category: term; scheme="…"; class="…"; …` with all its optional parts, in the order clients expect.

use std::fmt;

use super::{
    Malformed, attribute,
    scan::{pair, quote, split, unquote_or_plain},
};
use crate::model::{Class, TypeId};

/// One category as the text renderings have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryField {
    /// Scheme and term.
    pub id: TypeId,
    /// Old clients leave it out.
    pub class: Option<Class>,
    /// A title for people.
    pub title: Option<String>,
    /// A kind's parent, or what a mixin depends on first.
    pub rel: Option<String>,
    /// Where its collection is.
    pub location: Option<String>,
    /// Its attributes.
    pub attributes: Vec<AttributeName>,
    /// Ids of its actions.
    pub actions: Vec<String>,
}

/// An attribute as far as the text renderings describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeName {
    /// The name.
    pub name: String,
    /// Only the server sets it.
    pub immutable: bool,
    /// Must be given at creation.
    pub required: bool,
}

impl CategoryField {
    /// A category without any of the optional parts.
    pub fn new(id: TypeId, class: Option<Class>) -> CategoryField {
        CategoryField { id, class, title: None, rel: None, location: None, attributes: Vec::new(), actions: Vec::new() }
    }

    /// All categories of a field value.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn parse_list(text: &str) -> Result<Vec<CategoryField>, Malformed> {
        split(text, ',')?.into_iter().map(CategoryField::parse).collect()
    }

    fn parse(text: &str) -> Result<CategoryField, Malformed> {
        let mut parts = split(text, ';')?.into_iter();
        let term = parts.next().unwrap_or_default();
        let mut scheme = None;
        let mut rest = Vec::new();
        for part in parts {
            let (name, value) =
                pair(part).ok_or_else(|| Malformed::new(format!("'{part}' in a category has no value.")))?;
            let value = unquote_or_plain(value)?;
            if name.eq_ignore_ascii_case("scheme") {
                scheme = Some(value);
            } else {
                rest.push((name.to_ascii_lowercase(), value));
            }
        }
        let scheme = scheme.ok_or_else(|| Malformed::new(format!("The category '{term}' has no scheme.")))?;
        let id = TypeId::of(&scheme, term)
            .ok_or_else(|| Malformed::new(format!("'{scheme}' and '{term}' are no scheme and term.")))?;
        let mut category = CategoryField::new(id, None);
        for (name, value) in rest {
            match name.as_str() {
                "class" => {
                    let class = Class::parse(&value);
                    category.class =
                        Some(class.ok_or_else(|| Malformed::new(format!("'{value}' is no class of categories.")))?);
                }
                "title" => category.title = Some(value),
                "rel" => category.rel = Some(value),
                "location" => category.location = Some(value),
                "attributes" => category.attributes = AttributeName::parse_list(&value)?,
                "actions" => category.actions = value.split_whitespace().map(str::to_owned).collect(),
                _ => {}
            }
        }
        Ok(category)
    }
}

impl AttributeName {
    fn parse_list(text: &str) -> Result<Vec<AttributeName>, Malformed> {
        let mut names = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let end = rest.find(|char: char| char == '{' || char.is_whitespace()).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let (properties, after) = match after.strip_prefix('{') {
                Some(inner) => inner
                    .split_once('}')
                    .ok_or_else(|| Malformed::new("A '{' in a list of attributes is not closed."))?,
                None => ("", after),
            };
            if !attribute::is_name(name) {
                return Err(Malformed::new(format!("'{name}' is no attribute name.")));
            }
            let has = |property| properties.split_whitespace().any(|known| known == property);
            names.push(AttributeName { name: name.to_owned(), immutable: has("immutable"), required: has("required") });
            rest = after.trim_start();
        }
        Ok(names)
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let properties = match (self.immutable, self.required) {
            (false, false) => "",
            (true, false) => "{immutable}",
            (false, true) => "{required}",
            (true, true) => "{immutable required}",
        };
        write!(f, "{}{properties}", self.name)
    }
}

/// With exactly one blank after each `;`, which published suites match on.
impl fmt::Display for CategoryField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; scheme={}", self.id.term(), quote(self.id.scheme()))?;
        if let Some(class) = self.class {
            write!(f, "; class=\"{class}\"")?;
        }
        for (name, value) in [("title", &self.title), ("rel", &self.rel), ("location", &self.location)] {
            if let Some(value) = value {
                write!(f, "; {name}={}", quote(value))?;
            }
        }
        let attributes = self.attributes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        for (name, list) in [("attributes", attributes), ("actions", self.actions.join(" "))] {
            if !list.is_empty() {
                write!(f, "; {name}={}", quote(&list))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_part_is_in_its_place() {
        let line = "bucket; scheme=\"http://shop.example/occi#\"; class=\"kind\"; title=\"A, \\\"big\\\" bucket\"; \
                    rel=\"http://schemas.ogf.org/occi/core#resource\"; location=\"/bucket/\"; \
                    attributes=\"example.shop.litres{required} example.shop.level{immutable} a.b\"; \
                    actions=\"http://shop.example/occi/bucket/action#empty\"";
        let read = CategoryField::parse_list(line).unwrap();
        assert_eq!(read[0].title.as_deref(), Some("A, \"big\" bucket"));
        assert!(read[0].attributes[0].required && read[0].attributes[1].immutable);
        assert_eq!(read[0].to_string(), line);
    }

    #[test]
    fn term_and_scheme_suffice_and_a_trailing_semicolon_is_common() {
        let read = CategoryField::parse_list("a;scheme=x#, b; scheme=\"http://y#\"; class=mixin;");
        assert!(read.is_ok(), "{read:?}");
        for bad in
            ["a", "a; scheme=\"x\"", "; scheme=\"x#\"", "A b; scheme=\"x#\"", "a; scheme=\"x#\"; class=\"y\"", "a; x"]
        {
            assert!(CategoryField::parse_list(bad).is_err(), "{bad}");
        }
    }

    fn category() -> impl Strategy<Value = CategoryField> {
        let attribute = ("[a-z]{1,5}(\\.[a-z]{1,5}){0,2}", any::<bool>(), any::<bool>())
            .prop_map(|(name, immutable, required)| AttributeName { name, immutable, required });
        let optional = || proptest::option::of("\\PC{0,12}");
        (
            "[a-z][a-z0-9_-]{0,6}",
            "http://[a-z.]{1,8}/[a-z]{0,4}#",
            optional(),
            optional(),
            optional(),
            proptest::collection::vec(attribute, 0..4),
            proptest::collection::vec("http://[a-z]{1,5}#[a-z]{1,5}", 0..3),
        )
            .prop_map(|(term, scheme, title, rel, location, attributes, actions)| CategoryField {
                id: TypeId::of(&scheme, &term).unwrap(),
                class: Some(Class::Mixin),
                title,
                rel,
                location,
                attributes,
                actions,
            })
    }

    proptest! {
        #[test]
        fn what_was_rendered_reads_back(categories in proptest::collection::vec(category(), 1..4)) {
            let text = categories.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(CategoryField::parse_list(&text).unwrap(), categories);
        }

        #[test]
        fn any_text_reads_or_is_refused(text in ".{0,80}") {
            let _ = CategoryField::parse_list(&text);
        }
    }
}
