//! The plugin's own settings, from its table in the operator's file.

use serde::de::DeserializeOwned;

pub use crate::capability::config::all;

/// The settings are not what the plugin takes. The text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the plugin's `config` table is not usable: {}", self.0)
    }
}

impl std::error::Error for Error {}

/// The settings as a type of the plugin's; with `#[serde(default)]` missing ones have defaults.
///
/// Reads them anew on each call. In `describe` there are none yet, so routes cannot depend on them.
///
/// # Errors
/// If they do not have the type's shape.
pub fn load<T: DeserializeOwned>() -> Result<T, Error> {
    serde_json::from_str(&all()).map_err(|error| Error(error.to_string()))
}
