//! `name=value` of X-OCCI-Attribute and of links.
//!
//! A value is a quoted text, a number, or `true` or `false`. Lists and objects, which only JSON has, are
//! rendered as quoted JSON.

use serde_json::{Number, Value};

use super::{
    Malformed,
    scan::{pair, quote, split, unquote},
};

/// All pairs of a field value.
///
/// # Errors
/// If one of them is no pair of an attribute name and a value.
pub fn parse_list(text: &str) -> Result<Vec<(String, Value)>, Malformed> {
    split(text, ',')?.into_iter().map(parse).collect()
}

/// One pair.
///
/// # Errors
/// If it is no pair of an attribute name and a value.
pub fn parse(text: &str) -> Result<(String, Value), Malformed> {
    let (name, value) = pair(text).ok_or_else(|| Malformed::new(format!("The attribute '{text}' has no value.")))?;
    if !is_name(name) {
        return Err(Malformed::new(format!("'{name}' is no attribute name.")));
    }
    let value = parse_value(value).ok_or_else(|| {
        Malformed::new(format!("The value of {name} is neither a quoted text nor a number nor true or false."))
    })?;
    Ok((name.to_owned(), value))
}

/// Whether this is an attribute name: components of letters, digits, `-` and `_`, joined by dots.
pub fn is_name(name: &str) -> bool {
    name.len() <= 256
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !name.ends_with('.')
        && !name.contains("..")
}

fn parse_value(text: &str) -> Option<Value> {
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        quoted if quoted.starts_with('"') => unquote(quoted).map(Value::String),
        number => parse_number(number).map(Value::Number),
    }
}

fn parse_number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    if !text.contains('.')
        && let Ok(number) = text.parse::<i64>()
    {
        return Some(number.into());
    }
    Number::from_f64(text.parse().ok()?)
}

/// A pair as it is written.
pub fn render(name: &str, value: &Value) -> String {
    format!("{name}={}", render_value(value))
}

/// A value as it is written.
pub fn render_value(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => render_number(number),
        other => quote(&other.to_string()),
    }
}

/// Without an exponent, which the grammar does not have.
fn render_number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => {
            let text = format!("{float}");
            if text.contains('.') { text } else { format!("{text}.0") }
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_escaped_quote_does_not_end_a_value() {
        let read = parse_list(r#"occi.compute.memory=3.6, occi.core.title="... \", occi.compute.memory=1.0""#).unwrap();
        assert_eq!(read[0], ("occi.compute.memory".to_owned(), json!(3.6)));
        assert_eq!(read[1].1, json!("... \", occi.compute.memory=1.0"));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for bad in ["a", "a=", "=1", "a=b", "a=1e3", "a=1.", "a=.5", "a b=1", "a=\"x", "a=+1", "a=\"x\"y", ".a=1"] {
            assert!(parse_list(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_have_no_exponent() {
        assert_eq!(render("a", &json!(1e21)), "a=1000000000000000000000.0");
        assert_eq!(render("a", &json!(1.0)), "a=1.0");
        assert_eq!(render("a", &json!(2)), "a=2");
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            "\\PC{0,20}".prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1.0e12..1.0e12f64).prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn what_was_rendered_reads_back(pairs in proptest::collection::vec(("[a-z][a-z0-9_-]{0,5}(\\.[a-z0-9]{1,5}){0,2}", value()), 0..6)) {
            let text = pairs.iter().map(|(name, value)| render(name, value)).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(parse_list(&text).unwrap(), pairs);
        }

        #[test]
        fn any_text_reads_or_is_refused(text in ".{0,60}") {
            let _ = parse_list(&text);
        }
    }
}
