//! A whole message: the four structures together, as header fields (text/occi) or as lines of a body (text/plain).

use serde_json::Value;

use super::{CategoryField, Fields, InText, LinkField, Malformed, attribute, scan};

/// Longest header line that is written. Common clients stop at 64 KiB.
pub(super) const LINE: usize = 32 * 1024;

/// What a message holds, in the order sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// Category.
    pub categories: Vec<CategoryField>,
    /// Link.
    pub links: Vec<LinkField>,
    /// X-OCCI-Attribute.
    pub attributes: Vec<(String, Value)>,
    /// X-OCCI-Location.
    pub locations: Vec<String>,
}

impl Message {
    /// From header fields; those of other names are passed over.
    ///
    /// # Errors
    /// If a field is malformed.
    pub fn of_headers<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Message, Malformed> {
        let mut message = Message::default();
        for (name, value) in fields {
            if is_ours(name) {
                let value = std::str::from_utf8(value)
                    .map_err(|_| Malformed::new(format!("The value of {name} is not UTF-8.")))?;
                message.take(name, value)?;
            }
        }
        Ok(message)
    }

    /// From the lines of a body.
    ///
    /// # Errors
    /// If a line is malformed, or none of the four.
    pub fn of_body(body: &[u8]) -> Result<Message, Malformed> {
        let text = std::str::from_utf8(body).map_err(|_| Malformed::new("The body is not UTF-8."))?;
        let mut message = Message::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line
                .split_once(':')
                .filter(|(name, _)| is_ours(name.trim()))
                .ok_or_else(|| Malformed::new("A line of the body is none of the four that OCCI has."))?;
            message.take(name.trim(), value.trim())?;
        }
        Ok(message)
    }

    /// Locations from a text/uri-list.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn of_uri_list(body: &[u8]) -> Result<Message, Malformed> {
        let text = std::str::from_utf8(body).map_err(|_| Malformed::new("The body is not UTF-8."))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(Message { locations: lines.map(str::to_owned).collect(), ..Message::default() })
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Malformed> {
        match name.to_ascii_lowercase().as_str() {
            "category" => self.categories.extend(CategoryField::parse_list(value)?),
            "link" => self.links.extend(LinkField::parse_list(value)?),
            "x-occi-attribute" => self.attributes.extend(attribute::parse_list(value)?),
            _ => self.locations.extend(scan::split(value, ',')?.into_iter().map(str::to_owned)),
        }
        Ok(())
    }

    /// Names and values, one for each structure.
    fn fields(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        let categories = self.categories.iter().map(|category| ("Category", category.to_string()));
        let links = self.links.iter().map(|link| ("Link", link.to_string()));
        let attributes =
            self.attributes.iter().map(|(name, value)| ("X-OCCI-Attribute", attribute::render(name, value)));
        let locations = self.locations.iter().map(|location| ("X-OCCI-Location", location.clone()));
        categories.chain(links).chain(attributes).chain(locations)
    }
}

impl InText for Message {
    fn to_body(&self) -> String {
        self.fields().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    fn to_uri_list(&self) -> String {
        self.locations.iter().map(|location| format!("{location}\r\n")).collect()
    }

    fn to_headers(&self) -> Fields {
        let mut lines = Fields::new();
        for (name, value) in self.fields() {
            match lines.last_mut() {
                Some((last, line)) if *last == name && line.len() + value.len() + 2 <= LINE => {
                    line.push_str(", ");
                    line.push_str(&value);
                }
                _ => lines.push((name, value)),
            }
        }
        lines
    }
}

fn is_ours(name: &str) -> bool {
    ["category", "link", "x-occi-attribute", "x-occi-location"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::{Class, TypeId};

    fn message(titles: &[String]) -> Message {
        let id = TypeId::parse("http://schemas.ogf.org/occi/infrastructure#compute").unwrap();
        Message {
            categories: vec![CategoryField::new(id, Some(Class::Kind))],
            links: vec![LinkField::action("/compute/1", "start", "x#start")],
            attributes: titles.iter().map(|title| ("occi.core.title".to_owned(), json!(title))).collect(),
            locations: titles.iter().enumerate().map(|(n, _)| format!("http://h/compute/{n}")).collect(),
        }
    }

    fn headers(message: &Message) -> Message {
        let lines = message.to_headers();
        Message::of_headers(lines.iter().map(|(name, value)| (*name, value.as_bytes()))).unwrap()
    }

    proptest! {
        #[test]
        fn a_message_is_the_same_as_headers_and_as_a_body(titles in proptest::collection::vec("\\PC{0,20}", 0..8)) {
            let message = message(&titles);
            prop_assert_eq!(&headers(&message), &message);
            prop_assert_eq!(Message::of_body(message.to_body().as_bytes()).unwrap(), message);
        }

        #[test]
        fn any_body_reads_or_is_refused(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Message::of_body(&body);
            let _ = Message::of_uri_list(&body);
        }
    }

    #[test]
    fn very_long_headers_go_on_several_lines() {
        let message = message(&vec!["x".repeat(1000); 200]);
        assert!(message.to_headers().iter().all(|(_, value)| value.len() <= LINE));
        assert_eq!(headers(&message), message);
    }

    #[test]
    fn a_line_that_is_none_of_the_four_is_refused() {
        assert!(Message::of_body(b"Content-Type: text/plain\n").is_err());
        assert!(Message::of_body(b"nonsense").is_err());
        assert_eq!(Message::of_uri_list(b"# c\r\n/a\r\n\r\n/b").unwrap().locations, ["/a", "/b"]);
    }
}
