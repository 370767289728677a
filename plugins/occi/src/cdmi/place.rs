//! Paths of CDMI: by name from the root, and by id.

use percent_encoding::percent_decode_str;

use super::record::{self, Kept, Kind};
use crate::{fault::Fault, store::keys::Keys};

/// Longest name, and most of them in a path.
const NAME: usize = 255;
const DEPTH: usize = 64;

/// What is at a path.
#[derive(Debug)]
pub enum Place {
    /// An object.
    Taken(Kept),
    /// Nothing yet, in this container.
    Free {
        /// The container.
        parent: Kept,
        /// The name.
        name: String,
    },
    /// Nothing, and no container either.
    Nowhere,
}

impl Place {
    /// Of a path as sent.
    ///
    /// # Errors
    /// 400 for a name that cannot be one.
    pub fn of(keys: &Keys, path: &str) -> Result<Place, Fault> {
        let (start, rest) = match path.strip_prefix("/cdmi_objectid/") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", path),
        };
        let start = if start.is_empty() { record::root_id(keys) } else { start.to_ascii_uppercase() };
        let Some(mut at) = record::by_id(keys, &start)? else { return Ok(Place::Nowhere) };
        let names: Vec<&str> = rest.split('/').filter(|name| !name.is_empty()).collect();
        if names.len() > DEPTH {
            return Err(Fault::bad_request(format!("A path has at most {DEPTH} names.")));
        }
        for (position, name) in names.iter().enumerate() {
            let name = decoded(name)?;
            if at.record.kind != Kind::Container {
                return Ok(Place::Nowhere);
            }
            match record::child(keys, &at.record.id, &name)? {
                Some((_, id)) => match record::by_id(keys, &id)? {
                    Some(found) => at = found,
                    None => return Ok(Place::Nowhere),
                },
                None if position + 1 == names.len() => return Ok(Place::Free { parent: at, name }),
                None => return Ok(Place::Nowhere),
            }
        }
        Ok(Place::Taken(at))
    }
}

fn decoded(name: &str) -> Result<String, Fault> {
    let name = percent_decode_str(name).decode_utf8().map_err(|_| Fault::bad_request("A name is not UTF-8."))?;
    let fits = name.len() <= NAME && name != "." && name != ".." && !name.contains(['/', '?']);
    if fits && !name.chars().any(char::is_control) && !name.starts_with("cdmi_") {
        Ok(name.into_owned())
    } else {
        Err(Fault::bad_request("A name is too long, reserved, or has characters that names cannot have."))
    }
}
