//! `meta=k1,!k2,k3=v`: which objects of a listing are wanted, by their metadata.
//!
//! Owns the grammar and the comparison. All parts have to hold. A value is compared as text, with
//! `=`, `!=`, `<`, `<=`, `>` or `>=`; an object without the key passes none of them.

use std::{cmp::Ordering, collections::BTreeMap};

use percent_encoding::percent_decode_str;

use crate::headers::metadata_name;

/// Whether an ordering is the one asked for.
type Holds = fn(Ordering) -> bool;

/// How a value is compared; the longer signs first, because the shorter ones start them.
const SIGNS: [(&str, Holds); 6] = [
    ("!=", Ordering::is_ne),
    ("<=", Ordering::is_le),
    (">=", Ordering::is_ge),
    ("=", Ordering::is_eq),
    ("<", Ordering::is_lt),
    (">", Ordering::is_gt),
];

/// A parsed `meta` parameter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Debug, Clone)]
enum Term {
    Has(String),
    Lacks(String),
    Compares(String, Holds, String),
}

impl Filter {
    /// Read the parameter. Empty parts ask for nothing.
    pub fn parse(text: &str) -> Filter {
        Filter { terms: text.split(',').filter_map(Term::parse).collect() }
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object with this metadata, by normal name, is wanted.
    pub fn passes(&self, meta: &BTreeMap<String, String>) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Has(name) => meta.contains_key(name),
            Term::Lacks(name) => !meta.contains_key(name),
            Term::Compares(name, holds, value) => meta.get(name).is_some_and(|there| holds(there.cmp(value))),
        })
    }
}

impl Term {
    fn parse(text: &str) -> Option<Term> {
        let text = text.trim();
        let name = |name: &str| Some(metadata_name(name.trim())).filter(|name| !name.is_empty());
        if let Some(rest) = text.strip_prefix('!') {
            return name(rest).map(Term::Lacks);
        }
        let Some(at) = text.find(['!', '<', '>', '=']) else {
            // The original's own client encodes what it asks for twice.
            return match percent_decode_str(text).decode_utf8() {
                Ok(decoded) if decoded != text => Term::parse(&decoded),
                _ => name(text).map(Term::Has),
            };
        };
        let (key, rest) = text.split_at_checked(at)?;
        for (sign, holds) in SIGNS {
            if let Some(value) = rest.strip_prefix(sign) {
                return name(key).map(|key| Term::Compares(key, holds, value.trim().to_owned()));
            }
        }
        // A `!` inside a name is part of it.
        name(text).map(Term::Has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passes(filter: &str, meta: &[(&str, &str)]) -> bool {
        let meta = meta.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Filter::parse(filter).passes(&meta)
    }

    #[test]
    fn presence_absence_and_values_all_have_to_hold() {
        let meta = [("Color", "blue"), ("Trash-Can", "1")];
        for filter in [
            "color",
            "COLOR, trash_can",
            "!none",
            "color=blue",
            "color != red,trash-can>=1",
            ",,",
            "color<c",
            "color%3Dblue",
        ] {
            assert!(passes(filter, &meta), "{filter}");
        }
        for filter in ["none", "!color", "color=red", "color=blue,none", "none=1", "none!=1", "color<=blu"] {
            assert!(!passes(filter, &meta), "{filter}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_and_the_empty_one_passes_all(text in any::<String>()) {
            let filter = Filter::parse(&text);
            prop_assert!(!filter.is_empty() || filter.passes(&BTreeMap::new()));
        }

        #[test]
        fn a_name_and_its_negation_never_both_hold(
            name in "[A-Za-z_-]{1,8}",
            meta in prop::collection::btree_map("[A-Z][a-z]{0,3}", "[a-z]{0,3}", 0..4),
        ) {
            let (has, lacks) = (Filter::parse(&name), Filter::parse(&format!("!{name}")));
            prop_assert!(has.passes(&meta) != lacks.passes(&meta));
        }

        #[test]
        fn three_signs_are_the_negation_of_the_other_three(there in "[a-c]{0,3}", asked in "[a-c]{1,3}") {
            let meta = [("K", there.as_str())];
            for (sign, other) in [("=", "!="), ("<", ">="), (">", "<=")] {
                let (one, negated) = (format!("k{sign}{asked}"), format!("k{other}{asked}"));
                prop_assert!(passes(&one, &meta) != passes(&negated, &meta));
            }
        }
    }
}
