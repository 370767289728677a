//! The decoded query of a request.

use std::borrow::Cow;
use std::str::FromStr;

use crate::Problem;

/// Name and value pairs of a query, decoded (`+` is a blank), in the order sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Decode the text after the `?`. Bytes that are not UTF-8 become U+FFFD.
    pub fn decode(text: &'a str) -> Self {
        Self { pairs: form_urlencoded::parse(text.as_bytes()).collect() }
    }

    /// The first value of this name; empty if it was sent without one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of this name.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// Whether the name was sent, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The first value of this name as a number or another type; none if it was not sent.
    ///
    /// # Errors
    /// 400 if the text is not one.
    pub fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Problem::bad_request(format!("The query's `{name}` is not valid.")))
    }

    /// Every pair, in the order sent.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_value_counts_and_order_is_kept() {
        let query = Query::decode("a=1&b=x+y%21&a=2&flag");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get_all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.get("b"), Some("x y!"));
        assert!(query.has("flag") && !query.has("c"));
        assert_eq!(query.parse::<u8>("a").unwrap(), Some(1));
        assert_eq!(query.parse::<u8>("b").unwrap_err().status(), 400);
    }

    proptest! {
        #[test]
        fn what_was_encoded_reads_back(pairs in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..6)) {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let query = Query::decode(&text);
            let read: Vec<_> = query.pairs().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn any_text_decodes(text in ".*") {
            let query = Query::decode(&text);
            prop_assert!(query.pairs().count() <= text.split('&').count());
        }
    }
}
