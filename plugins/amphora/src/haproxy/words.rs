//! A line of a haproxy configuration as words, by haproxy's own quoting rules.
//!
//! `\` takes the next character as it is, `'…'` everything, `"…"` everything but `\` and variables; `#` outside of quotes begins a
//! comment. So `"lua-load"`, `lua\-load` and `lua-load` are one word, and a check that compares words cannot be fooled by spelling.

use std::ops::Range;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Without quotes and escapes.
    pub text: String,
    /// Where it stands in the line, quotes included.
    pub span: Range<usize>,
    /// Whether it is the same as in the line, so that a part of it may be replaced there.
    pub plain: bool,
    /// Whether it holds a variable, whose value is not known here.
    pub variable: bool,
    /// Whether it ends in an open quote or a single `\`.
    pub open: bool,
}

/// The words of a line, without its comment.
pub fn words(line: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = line.char_indices().peekable();
    while let Some(&(at, c)) = rest.peek() {
        if is_space(c) {
            rest.next();
        } else if c == '#' {
            break;
        } else {
            words.push(word(line, at, &mut rest));
        }
    }
    words
}

/// What haproxy takes for the space between words.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{b}' | '\u{c}')
}

fn word(line: &str, start: usize, rest: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> Word {
    let mut text = String::new();
    let mut quote = None;
    let (mut plain, mut variable, mut open) = (true, false, false);
    let mut end = line.len();
    while let Some(&(at, c)) = rest.peek() {
        match (quote, c) {
            (None, c) if is_space(c) || c == '#' => {
                end = at;
                break;
            }
            (None, '"' | '\'') => {
                quote = Some(c);
                plain = false;
            }
            (Some(q), c) if q == c => quote = None,
            (None | Some('"'), '\\') => {
                plain = false;
                rest.next();
                match rest.peek() {
                    Some(&(_, next)) => text.push(next),
                    None => open = true,
                }
            }
            (_, c) => {
                variable |= c == '$' && quote != Some('\'');
                text.push(c);
            }
        }
        rest.next();
    }
    Word { text, span: start..end, plain, variable, open: open || quote.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(line: &str) -> Vec<String> {
        words(line).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn quotes_and_escapes_do_not_hide_a_word() {
        for line in ["lua-load /x", r#""lua-load" /x"#, r"lua\-load /x", "l'ua'-load\t/x # c", "\u{b}lua-load\r/x"] {
            assert_eq!(texts(line), ["lua-load", "/x"], "{line}");
        }
        assert_eq!(texts(r#"log "a b" '#' "it\"s""#), ["log", "a b", "#", "it\"s"]);
        assert!(words("# mode http").is_empty());
    }

    #[test]
    fn variables_and_open_ends_are_seen() {
        assert!(words(r#""${X}" a"#)[0].variable);
        assert!(!words("'$X'")[0].variable);
        assert!(words("lua-\\")[0].open);
        assert!(words("'lua")[0].open);
    }

    proptest! {
        #[test]
        fn plain_words_stand_where_they_say(line in "[ a-c\"'\\\\#$é]{0,30}") {
            for word in words(&line) {
                let there = &line[word.span.clone()];
                prop_assert!(!word.plain || there == word.text);
            }
        }
    }
}
