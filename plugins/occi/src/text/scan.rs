//! Splitting and quoting, the ground of all text forms.
//!
//! A separator counts outside of quotes and of `<…>` only. In quotes `\"` and `\\` are escapes; any other backslash
//! is one.

use super::Malformed;

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Plain,
    Quoted,
    Escaped,
    Angle,
}

/// The parts between separators, trimmed, empty ones left out.
///
/// # Errors
/// If a quote or an angle bracket is not closed.
pub fn split(text: &str, separator: char) -> Result<Vec<&str>, Malformed> {
    let mut parts = Vec::new();
    let mut at = At::Plain;
    let mut start = 0;
    for (index, char) in text.char_indices() {
        at = match (at, char) {
            (At::Plain, '"') => At::Quoted,
            (At::Plain, '<') => At::Angle,
            (At::Plain, char) if char == separator => {
                parts.push(text.get(start..index).unwrap_or_default());
                start = index + char.len_utf8();
                At::Plain
            }
            (At::Quoted, '\\') => At::Escaped,
            (At::Escaped, _) => At::Quoted,
            (At::Quoted, '"') | (At::Angle, '>') => At::Plain,
            (at, _) => at,
        };
    }
    parts.push(text.get(start..).unwrap_or_default());
    match at {
        At::Plain => Ok(parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()),
        At::Angle => Err(Malformed::new("A '<' is not closed.")),
        At::Quoted | At::Escaped => Err(Malformed::new("A quote is not closed.")),
    }
}

/// A text in quotes, escaped. Control characters, which no header may hold, become blanks.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => quoted.push(' '),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// The text in quotes; none if this is not exactly one quoted text.
pub fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?;
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(plain),
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\') => plain.push(escaped),
                other => plain.extend(['\\', other]),
            },
            char => plain.push(char),
        }
    }
}

/// The text in quotes, or the text itself if it has none.
///
/// # Errors
/// If quotes stand in the middle.
pub fn unquote_or_plain(text: &str) -> Result<String, Malformed> {
    if text.starts_with('"') {
        unquote(text).ok_or_else(|| Malformed::new(format!("{text} is not one quoted text.")))
    } else if text.contains('"') {
        Err(Malformed::new(format!("{text} has quotes in the middle.")))
    } else {
        Ok(text.to_owned())
    }
}

/// Name and value around the first `=`, trimmed.
pub fn pair(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    Some((name.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn separators_in_quotes_and_angles_do_not_count() {
        let parts = split(r#"a="1, \", 2" , </x?a,b>; c , "#, ',').unwrap();
        assert_eq!(parts, [r#"a="1, \", 2""#, "</x?a,b>; c"]);
        assert_eq!(split("a;;b;", ';').unwrap(), ["a", "b"]);
        for open in ["\"", "a,\"b\\\"", "<a,b"] {
            assert!(split(open, ',').is_err(), "{open}");
        }
    }

    #[test]
    fn only_quote_and_backslash_are_escapes() {
        assert_eq!(unquote(r#""a\"b\\c\nd""#).as_deref(), Some("a\"b\\c\\nd"));
        for bad in ["", "\"", "a", "\"a\"b", r#""a\""#, r#"a"b""#] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_quoted_reads_back(text in "\\PC{0,40}") {
            prop_assert_eq!(unquote(&quote(&text)), Some(text));
        }

        #[test]
        fn joined_parts_come_apart_again(texts in proptest::collection::vec("\\PC{0,12}", 1..6)) {
            let joined = texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ");
            let parts: Vec<_> = split(&joined, ',').unwrap().into_iter().filter_map(unquote).collect();
            prop_assert_eq!(parts, texts);
        }

        #[test]
        fn any_text_splits_or_is_refused(text in ".{0,60}", separator in "[,;]") {
            let separator = separator.chars().next().unwrap();
            if let Ok(parts) = split(&text, separator) {
                prop_assert!(parts.iter().all(|part| !part.is_empty()));
            }
        }
    }
}
