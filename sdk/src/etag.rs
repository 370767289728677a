//! Entity tags: made from versions, read from conditions (RFC 9110, sections 8.8.3 and 13.1).

/// The strong tag of a version: its number in quotes.
pub fn of_version(version: u64) -> String {
    format!("\"{version}\"")
}

/// What `If-Match` or `If-None-Match` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: whatever there is.
    Any,
    /// These tags. Text that is no tag ends the list: what follows it is not trusted.
    These(Vec<Tag>),
}

/// One entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Marked `W/`.
    pub weak: bool,
    /// With its quotes.
    pub text: String,
}

impl Tags {
    /// Read the value of one field.
    pub fn parse(value: &str) -> Self {
        if value.trim_matches([' ', '\t']) == "*" {
            return Self::Any;
        }
        let mut tags = Vec::new();
        let mut rest = value;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let (weak, quoted) = match rest.strip_prefix("W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let Some((inner, after)) = quoted.strip_prefix('"').and_then(|text| text.split_once('"')) else { break };
            tags.push(Tag { weak, text: format!("\"{inner}\"") });
            rest = after;
        }
        Self::These(tags)
    }

    /// Strong comparison, for `If-Match`. `current` is the tag with its quotes; none: there is nothing.
    pub fn match_strongly(&self, current: Option<&str>) -> bool {
        self.holds(current, |tag, current| !tag.weak && tag.text == current)
    }

    /// Weak comparison, for `If-None-Match`.
    pub fn match_weakly(&self, current: Option<&str>) -> bool {
        self.holds(current, |tag, current| tag.text == current.strip_prefix("W/").unwrap_or(current))
    }

    fn holds(&self, current: Option<&str>, equal: impl Fn(&Tag, &str) -> bool) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::These(tags), Some(current)) => tags.iter().any(|tag| equal(tag, current)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_weak_tag_does_not_satisfy_if_match() {
        let tags = Tags::parse("W/\"1\", \"2\"");
        assert!(!tags.match_strongly(Some("\"1\"")));
        assert!(tags.match_weakly(Some("\"1\"")));
        assert!(tags.match_strongly(Some("\"2\"")));
    }

    #[test]
    fn a_star_needs_something_to_be_there() {
        assert!(Tags::parse(" * ").match_strongly(Some("\"1\"")));
        assert!(!Tags::parse("*").match_strongly(None));
    }

    #[test]
    fn text_that_is_no_tag_matches_nothing() {
        assert_eq!(Tags::parse("12"), Tags::These(Vec::new()));
        assert!(!Tags::parse("\"12").match_weakly(Some("\"12\"")));
    }

    proptest! {
        #[test]
        fn any_text_parses(text in ".*") {
            let _ = Tags::parse(&text);
        }

        #[test]
        fn a_listed_version_is_found(versions in proptest::collection::vec(any::<u64>(), 1..5)) {
            let list = versions.iter().map(|v| of_version(*v)).collect::<Vec<_>>().join(" , ");
            let tags = Tags::parse(&list);
            for version in versions {
                prop_assert!(tags.match_strongly(Some(&of_version(version))));
            }
        }
    }
}
