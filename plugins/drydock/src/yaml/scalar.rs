//! Plain scalars by the rules of YAML 1.1, without its sexagesimal numbers and dates: a MAC address and a version that
//! nobody quoted stay text.

use serde_json::{Number, Value};

/// The value of an unquoted scalar.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

/// The value of a scalar with a tag; none if the tag is not one of the core schema's.
pub(super) fn tagged(text: &str, handle: &str, suffix: &str) -> Option<Value> {
    if handle == "!" && suffix.is_empty() {
        return Some(Value::String(text.to_owned()));
    }
    if !is_core(handle) {
        return None;
    }
    match suffix {
        "str" => Some(Value::String(text.to_owned())),
        "null" => Some(Value::Null),
        "bool" | "int" | "float" => Some(plain(text)).filter(|value| !value.is_string()),
        _ => None,
    }
}

/// Whether a tag's handle is that of YAML's own tags.
pub(super) fn is_core(handle: &str) -> bool {
    handle == "tag:yaml.org,2002:" || handle == "!!"
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    integer(text, unsigned).or_else(|| float(text, unsigned))
}

fn integer(text: &str, unsigned: &str) -> Option<Value> {
    let (digits, radix) = match unsigned {
        _ if unsigned.starts_with("0x") => (unsigned.get(2..)?, 16),
        _ if unsigned.starts_with("0b") => (unsigned.get(2..)?, 2),
        _ if unsigned.starts_with("0o") => (unsigned.get(2..)?, 8),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (unsigned.get(1..)?, 8),
        _ => (unsigned, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let digits = digits.replace('_', "");
    let value = i64::from_str_radix(&digits, radix).ok()?;
    Some(Value::from(if text.starts_with('-') { value.checked_neg()? } else { value }))
}

fn float(text: &str, unsigned: &str) -> Option<Value> {
    let shape = unsigned.contains('.')
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-_".contains(&byte))
        && unsigned.bytes().any(|byte| byte.is_ascii_digit());
    if !shape {
        return None;
    }
    text.replace('_', "").parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
}
