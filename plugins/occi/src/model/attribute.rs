//! Attributes of categories, and what values they take.

use serde_json::{Value, json};

/// What values an attribute takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    /// Any text of up to 64 KiB.
    Text,
    /// One word without blanks.
    Token,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A number above zero.
    Positive,
    /// An address in CIDR form.
    Cidr,
    /// An IP address.
    Address,
    /// A hardware address.
    Mac,
    /// `true` or `false`.
    Flag,
}

/// Longest text.
const TEXT: usize = 64 * 1024;

impl Type {
    /// The value in its proper form; none if it does not fit. Whole numbers may come as `2.0`, others as `2`.
    pub fn admit(&self, value: &Value) -> Option<Value> {
        let text = value.as_str();
        match self {
            Type::Text => text.filter(|text| text.len() <= TEXT && !text.contains('\0')).map(Value::from),
            Type::Token => text.filter(|text| is_token(text)).map(Value::from),
            Type::OneOf(words) => text.filter(|text| words.contains(text)).map(Value::from),
            Type::Integer(least, most) => {
                whole(value).filter(|number| (*least..=*most).contains(number)).map(Value::from)
            }
            Type::Positive => value.as_f64().filter(|number| *number > 0.0 && number.is_finite()).map(Value::from),
            Type::Cidr => text.filter(|text| is_cidr(text)).map(Value::from),
            Type::Address => text.filter(|text| text.parse::<std::net::IpAddr>().is_ok()).map(Value::from),
            Type::Mac => text.filter(|text| is_mac(text)).map(Value::from),
            Type::Flag => value.as_bool().map(Value::from),
        }
    }

    /// Its name in the JSON rendering.
    pub fn json_name(&self) -> &'static str {
        match self {
            Type::Integer(..) | Type::Positive => "number",
            Type::Flag => "boolean",
            _ => "string",
        }
    }

    /// The JSON schema that tells more than the name; none if there is nothing to tell.
    pub fn json_pattern(&self) -> Option<Value> {
        match self {
            Type::OneOf(words) => Some(json!({ "enum": words })),
            Type::Integer(least, most) if *most == i64::MAX => Some(json!({ "type": "integer", "minimum": least })),
            Type::Integer(least, most) => Some(json!({ "type": "integer", "minimum": least, "maximum": most })),
            Type::Positive => Some(json!({ "minimum": 0, "exclusiveMinimum": true })),
            _ => None,
        }
    }

    /// For a refusal: "has to be …".
    pub fn expected(&self) -> String {
        match self {
            Type::Text => "a text of at most 64 KiB".to_owned(),
            Type::Token => "one word".to_owned(),
            Type::OneOf(words) => format!("one of {}", words.join(", ")),
            Type::Integer(least, most) if *most == i64::MAX => format!("a whole number from {least} on"),
            Type::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Type::Positive => "a number above zero".to_owned(),
            Type::Cidr => "an address with a prefix length".to_owned(),
            Type::Address => "an IP address".to_owned(),
            Type::Mac => "a hardware address".to_owned(),
            Type::Flag => "true or false".to_owned(),
        }
    }
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        // Beyond 2^53 a float does not tell whole numbers apart.
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.chars().all(|char| !char.is_whitespace() && !char.is_control())
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let bits = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.bytes().all(|b| b.is_ascii_digit()) && length.parse::<u8>().is_ok_and(|length| length <= bits)
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    parts.len() == 6 && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// One attribute of a category.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Type,
    /// Whether clients set it.
    pub mutable: bool,
    /// Whether it has to be given at creation.
    pub required: bool,
    /// What it is if nobody says.
    pub default: Option<Value>,
}

impl Attribute {
    /// One that clients set.
    pub const fn mutable(name: &'static str, kind: Type) -> Attribute {
        Attribute { name, kind, mutable: true, required: false, default: None }
    }

    /// One that only the server sets.
    pub const fn immutable(name: &'static str, kind: Type) -> Attribute {
        Attribute { name, kind, mutable: false, required: false, default: None }
    }

    /// One that clients have to set.
    pub const fn required(name: &'static str, kind: Type) -> Attribute {
        Attribute { name, kind, mutable: true, required: true, default: None }
    }

    /// With this default.
    #[must_use]
    pub fn or(mut self, default: Value) -> Attribute {
        self.default = Some(default);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_type() {
        let rows: [(Type, Value, bool); 21] = [
            (Type::Text, json!("a\nb"), true),
            (Type::Text, json!(3), false),
            (Type::Token, json!("a b"), false),
            (Type::OneOf(&["x86", "x64"]), json!("x64"), true),
            (Type::OneOf(&["x86", "x64"]), json!("arm"), false),
            (Type::Integer(0, 4095), json!(4095), true),
            (Type::Integer(0, 4095), json!(4096), false),
            (Type::Integer(0, 4095), json!(1.5), false),
            (Type::Integer(0, 4095), json!("1"), false),
            (Type::Positive, json!(0), false),
            (Type::Positive, json!(0.5), true),
            (Type::Positive, json!("0.5"), false),
            (Type::Cidr, json!("10.0.0.0/24"), true),
            (Type::Cidr, json!("10.0.0.0/33"), false),
            (Type::Cidr, json!("fe80::/+1"), false),
            (Type::Address, json!("::1"), true),
            (Type::Address, json!("10.0.0"), false),
            (Type::Mac, json!("fa:16:3e:00:00:01"), true),
            (Type::Mac, json!("fa:16"), false),
            (Type::Flag, json!(true), true),
            (Type::Flag, json!("true"), false),
        ];
        for (kind, value, fits) in rows {
            assert_eq!(kind.admit(&value).is_some(), fits, "{kind:?} {value}");
        }
        assert_eq!(Type::Integer(0, 9).admit(&json!(2.0)), Some(json!(2)));
        assert_eq!(Type::Positive.admit(&json!(2)), Some(json!(2.0)));
    }
}
