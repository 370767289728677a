//! Lists of locations, written in one go: they are what lists are in the text renderings, and may be long.

use super::{Fields, InText, message::LINE};

/// Paths below a mount at this URL.
#[derive(Debug, Clone, Copy)]
pub struct Locations<'a> {
    /// URL of the mount, without a final slash.
    pub base: &'a str,
    /// The paths.
    pub paths: &'a [String],
}

const NAME: &str = "X-OCCI-Location";

impl Locations<'_> {
    fn lines(&self, before: &str, after: &str) -> String {
        // Each end of a line goes with the beginning of the next.
        let between = [after, before, self.base].concat();
        let mut lines = String::with_capacity(self.paths.iter().map(|path| path.len() + between.len()).sum());
        let mut next = between.get(after.len()..).unwrap_or_default();
        for path in self.paths {
            lines.push_str(next);
            lines.push_str(path);
            next = &between;
        }
        if !self.paths.is_empty() {
            lines.push_str(after);
        }
        lines
    }
}

impl InText for Locations<'_> {
    fn to_body(&self) -> String {
        self.lines("X-OCCI-Location: ", "\n")
    }

    fn to_uri_list(&self) -> String {
        self.lines("", "\r\n")
    }

    fn to_headers(&self) -> Fields {
        let between = [", ", self.base].concat();
        let (mut lines, mut line) = (Vec::new(), String::new());
        for path in self.paths {
            let length = between.len() + path.len();
            if line.len() + length > LINE && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            if line.is_empty() {
                line.reserve((self.paths.len() * length).min(LINE));
                line.push_str(self.base);
            } else {
                line.push_str(&between);
            }
            line.push_str(path);
        }
        lines.extend(Some(line).filter(|line| !line.is_empty()));
        lines.into_iter().map(|line| (NAME, line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::Message;

    proptest! {
        #[test]
        fn locations_are_those_of_a_message(paths in proptest::collection::vec("/[a-z]{1,400}", 0..200)) {
            let base = "http://host:1/cloud";
            let locations = Locations { base, paths: &paths };
            let message = Message {
                locations: paths.iter().map(|path| format!("{base}{path}")).collect(),
                ..Message::default()
            };
            prop_assert_eq!(locations.to_body(), message.to_body());
            prop_assert_eq!(locations.to_headers(), message.to_headers());
            prop_assert_eq!(Message::of_uri_list(locations.to_uri_list().as_bytes()).unwrap(), message);
        }
    }
}
