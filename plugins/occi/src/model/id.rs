//! The identity of a category: scheme followed by term.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest identity that is taken.
const LONGEST: usize = 384;

/// Scheme, which ends in `#`, and term in one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TypeId(String);

impl TypeId {
    /// Of a scheme and a term; none if they are no such.
    pub fn of(scheme: &str, term: &str) -> Option<TypeId> {
        let scheme_fits = scheme.len() > 1
            && scheme.strip_suffix('#').is_some_and(|rest| !rest.contains('#'))
            && scheme.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\".contains(&b));
        let term_fits = term.starts_with(|first: char| first.is_ascii_alphanumeric())
            && term.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        (scheme_fits && term_fits && scheme.len() + term.len() <= LONGEST).then(|| TypeId(format!("{scheme}{term}")))
    }

    /// Of both in one; none if it is no such.
    pub fn parse(text: &str) -> Option<TypeId> {
        let at = text.find('#')?;
        let (scheme, term) = text.split_at_checked(at + 1)?;
        TypeId::of(scheme, term)
    }

    /// For the tables, whose ids are right.
    pub(crate) fn known(scheme: &str, term: &str) -> TypeId {
        TypeId(format!("{scheme}{term}"))
    }

    /// What stands before the term, with its `#`.
    pub fn scheme(&self) -> &str {
        self.0.split_at_checked(self.at()).map_or("", |(scheme, _)| scheme)
    }

    /// What follows the scheme.
    pub fn term(&self) -> &str {
        self.0.split_at_checked(self.at()).map_or("", |(_, term)| term)
    }

    /// Both in one.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn at(&self) -> usize {
        self.0.find('#').map_or(0, |at| at + 1)
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TypeId {
    type Error = String;

    fn try_from(text: String) -> Result<TypeId, String> {
        TypeId::parse(&text).ok_or_else(|| format!("'{text}' is no category identifier"))
    }
}

impl From<TypeId> for String {
    fn from(id: TypeId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_apart_at_its_hash() {
        let id = TypeId::parse("http://shop.example/os#plum.2").unwrap();
        assert_eq!((id.scheme(), id.term()), ("http://shop.example/os#", "plum.2"));
        for bad in ["", "#", "a#", "#a", "a#b#c", "a b#c", "a#b c", "a#-b", "a\"#b", "a"] {
            assert_eq!(TypeId::parse(bad), None, "{bad}");
        }
    }
}
