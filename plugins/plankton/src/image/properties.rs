//! Keys and values of custom properties, and the lengths of the registry's metadata.

use crate::{faults::Fault, object::META_VALUE};

/// Most characters of a property's key.
const KEY: usize = 93;

/// The normal key: lower case, every ASCII punctuation character a `_`. Too long is a 400.
pub fn key(name: &str) -> Result<String, Fault> {
    let key: String = name.to_lowercase().chars().map(|c| if c.is_ascii_punctuation() { '_' } else { c }).collect();
    if key.chars().count() > KEY {
        return Err(Fault::bad_request("Metadata keys should be less than 111 characters"));
    }
    Ok(key)
}

/// The value, if it is not too long.
pub fn value(text: String) -> Result<String, Fault> {
    if text.chars().count() > META_VALUE {
        return Err(Fault::bad_request("Metadata values should be less than 256 characters"));
    }
    Ok(text)
}
