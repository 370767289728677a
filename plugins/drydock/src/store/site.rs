//! What `prepare_site` leaves with the built-in provisioner: parts of the design that all nodes share.

use plugbay_sdk::kv;
use serde_json::{Map, Value};

use super::content::Content;
use super::keys;
use crate::fault::Broken;
use crate::time::Moment;

/// Keep a part in place of the one before.
///
/// # Errors
/// Those of the host.
pub fn keep(part: &str, value: &Value, now: Moment) -> Result<(), Broken> {
    Content::replace(&format!("{}{part}", keys::SITE), &value.to_string(), now)
}

/// All parts by name.
///
/// # Errors
/// Those of the host.
pub fn all() -> Result<Map<String, Value>, Broken> {
    let mut parts = Map::new();
    for entry in kv::prefix(keys::SITE) {
        let entry = entry?;
        let name = entry.key.strip_prefix(keys::SITE).unwrap_or_default().to_owned();
        let content: Content = entry.json()?.value;
        parts.insert(name, serde_json::from_str(&content.read()?)?);
    }
    Ok(parts)
}
