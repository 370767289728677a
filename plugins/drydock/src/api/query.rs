//! Words of queries.

use super::refusal::Refusal;

/// A boolean in any of its words; sent without a value it is true, not sent it is false.
pub(super) fn boolean(name: &str, value: Option<&str>) -> Result<bool, Refusal> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "no" | "n" | "f" | "off" | "0") => Ok(false),
        Some("" | "true" | "yes" | "y" | "t" | "on" | "1") => Ok(true),
        Some(_) => Err(Refusal::error(400, format!("{name} is not true or false"))),
    }
}
