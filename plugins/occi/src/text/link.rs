//! `Link: <target>; rel="…"; self="…"; category="…"; name=value` to resources, and the short form to actions.

use std::fmt;

use serde_json::Value;

use super::{
    Malformed, attribute,
    scan::{pair, quote, split, unquote_or_plain},
};

/// One link as the text renderings have it.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkField {
    /// What stands in `<…>`.
    pub target: String,
    /// Ids of the target's categories, or of the action.
    pub rel: Vec<String>,
    /// Where the link itself is; not in requests, nor for actions.
    pub location: Option<String>,
    /// Ids of the link's own categories.
    pub category: Vec<String>,
    /// Its attributes.
    pub attributes: Vec<(String, Value)>,
}

impl LinkField {
    /// A link to an action of an entity.
    pub fn action(entity: &str, term: &str, id: &str) -> LinkField {
        LinkField {
            target: format!("{entity}?action={term}"),
            rel: vec![id.to_owned()],
            location: None,
            category: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// All links of a field value.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn parse_list(text: &str) -> Result<Vec<LinkField>, Malformed> {
        split(text, ',')?.into_iter().map(LinkField::parse).collect()
    }

    fn parse(text: &str) -> Result<LinkField, Malformed> {
        let mut parts = split(text, ';')?.into_iter();
        let target = parts
            .next()
            .and_then(|first| first.strip_prefix('<')?.strip_suffix('>'))
            .filter(|target| !target.is_empty())
            .ok_or_else(|| Malformed::new("A link does not begin with a target in '<' and '>'."))?;
        let mut link = LinkField {
            target: target.to_owned(),
            rel: Vec::new(),
            location: None,
            category: Vec::new(),
            attributes: Vec::new(),
        };
        let ids = |value| Ok(unquote_or_plain(value)?.split_whitespace().map(str::to_owned).collect());
        for part in parts {
            let (name, value) =
                pair(part).ok_or_else(|| Malformed::new(format!("'{part}' in a link has no value.")))?;
            match name.to_ascii_lowercase().as_str() {
                "rel" => link.rel = ids(value)?,
                "self" => link.location = Some(unquote_or_plain(value)?),
                "category" => link.category = ids(value)?,
                _ => link.attributes.push(attribute::parse(part)?),
            }
        }
        Ok(link)
    }
}

impl fmt::Display for LinkField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>; rel={}", self.target, quote(&self.rel.join(" ")))?;
        if let Some(location) = &self.location {
            write!(f, "; self={}", quote(location))?;
        }
        if !self.category.is_empty() {
            write!(f, "; category={}", quote(&self.category.join(" ")))?;
        }
        for (name, value) in &self.attributes {
            write!(f, "; {}", attribute::render(name, value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn links_to_resources_and_to_actions() {
        let line = "</network/n7>; rel=\"http://schemas.ogf.org/occi/infrastructure#network\"; \
                    self=\"/networkinterface/i3\"; \
                    category=\"http://schemas.ogf.org/occi/infrastructure#networkinterface\"; \
                    occi.networkinterface.interface=\"eth0\"; occi.networkinterface.state=\"active\"";
        let read = LinkField::parse_list(line).unwrap();
        assert_eq!(read[0].attributes[0].1, json!("eth0"));
        assert_eq!(read[0].to_string(), line);
        assert_eq!(LinkField::action("/c/5", "start", "x#start").to_string(), "</c/5?action=start>; rel=\"x#start\"");
        for bad in ["", "</a", "a; rel=\"b\"", "<>; rel=\"x\"", "</a>; x", "</a>; x=y"] {
            assert!(LinkField::parse_list(bad).map_or(true, |links| links.is_empty()), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_rendered_reads_back(
            target in "/[a-z0-9/?=,;]{1,10}",
            rel in proptest::collection::vec("[a-z:/.#]{1,8}", 1..3),
            location in proptest::option::of("/[a-z]{1,8}"),
            category in proptest::collection::vec("[a-z:/.#]{1,8}", 0..3),
            title in "\\PC{0,12}",
        ) {
            let attributes = vec![("a.b".to_owned(), json!(title)), ("c".to_owned(), json!(3))];
            let link = LinkField { target, rel, location, category, attributes };
            let text = format!("{link}, {link}");
            prop_assert_eq!(LinkField::parse_list(&text).unwrap(), vec![link.clone(), link]);
        }

        #[test]
        fn any_text_reads_or_is_refused(text in ".{0,80}") {
            let _ = LinkField::parse_list(&text);
        }
    }
}
