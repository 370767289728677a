//! XML as the services write it: text made safe, and a listing's row from its JSON form.

use serde_json::{Map, Value};

/// Text made safe between XML tags and in attributes; characters XML cannot carry become `?`.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            // Written as it is, a reader would take it for the end of a line.
            '\r' => out.push_str("&#13;"),
            c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

/// `<kind>` with one element for each field, the name first. An object inside becomes pairs of
/// `<key>` and `<value>`.
pub fn row(kind: &str, fields: &Map<String, Value>) -> String {
    let mut out = format!("<{kind}>");
    let named = fields.iter().filter(|(name, _)| *name == "name");
    for (name, value) in named.chain(fields.iter().filter(|(name, _)| *name != "name")) {
        out.push_str(&format!("<{name}>"));
        match value {
            Value::Object(inside) => {
                for (key, value) in inside {
                    out.push_str(&format!("<key>{}</key><value>{}</value>", text(key), plain(value)));
                }
            }
            value => out.push_str(&plain(value)),
        }
        out.push_str(&format!("</{name}>"));
    }
    out.push_str(&format!("</{kind}>"));
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(value) => text(value),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        value => text(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// What a reader makes of escaped text.
    fn read(text: &str) -> String {
        let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#13;", "\r"), ("&amp;", "&")];
        pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    #[test]
    fn a_row_starts_with_its_name_and_nests_as_pairs() {
        let fields = json!({ "bytes": 1, "name": "a<b", "policy": { "quota": "0" }, "available": true });
        assert_eq!(
            row("object", fields.as_object().unwrap()),
            "<object><name>a&lt;b</name><available>True</available><bytes>1</bytes>\
             <policy><key>quota</key><value>0</value></policy></object>"
        );
    }

    proptest! {
        #[test]
        fn escaped_text_has_no_markup_and_reads_back(original in any::<String>()) {
            let escaped = text(&original);
            prop_assert!(!escaped.contains(['<', '>', '"', '\r']));
            prop_assert!(escaped.split('&').skip(1).all(|rest| rest.contains(';')));
            let expected: String = original
                .chars()
                .map(|c| match c {
                    '\t' | '\n' | '\r' => c,
                    c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => '?',
                    c => c,
                })
                .collect();
            prop_assert_eq!(read(&escaped), expected);
        }
    }
}
