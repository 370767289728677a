//! The metadata headers of a request: which are taken, refused or passed over, by call.
//!
//! The table is `FIELDS`; what is not in it and is no property is passed over.

use super::{CONTAINER_FORMATS, DISK_FORMATS, properties};
use crate::{
    faults::Fault,
    headers::{Headers, decode},
};

/// The call that carries the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// POST: register or re-register.
    Register,
    /// PUT: update.
    Update,
}

/// What happens to a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Read.
    Take,
    /// Accepted without effect.
    Pass,
    /// 400.
    Refuse,
}

use Rule::{Pass, Refuse, Take};

/// Name after `x-image-meta-`, rule of a registration, rule of an update.
const FIELDS: [(&str, Rule, Rule); 16] = [
    ("id", Refuse, Refuse),
    ("name", Take, Take),
    ("location", Take, Refuse),
    ("store", Take, Refuse),
    ("disk-format", Take, Take),
    ("container-format", Take, Take),
    ("size", Take, Refuse),
    ("checksum", Take, Refuse),
    ("is-public", Take, Take),
    ("owner", Pass, Pass),
    ("status", Refuse, Take),
    ("created-at", Refuse, Refuse),
    ("updated-at", Refuse, Refuse),
    ("deleted-at", Refuse, Refuse),
    ("is-snapshot", Refuse, Refuse),
    ("description", Refuse, Refuse),
];

/// What a request gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Decoded; never empty.
    pub name: Option<String>,
    /// As sent.
    pub location: Option<String>,
    /// One of the known formats.
    pub disk_format: Option<String>,
    /// One of the known formats.
    pub container_format: Option<String>,
    /// As sent.
    pub size: Option<String>,
    /// As sent.
    pub checksum: Option<String>,
    /// Only the word true, in any case, is true.
    pub is_public: Option<bool>,
    /// Any text.
    pub status: Option<String>,
    /// By normal key, in the order of the headers' names; the last of one key counts.
    pub properties: Vec<(String, String)>,
}

impl Given {
    /// Read and check the headers of a call.
    pub fn read(headers: &Headers, call: Call) -> Result<Given, Fault> {
        let field = |name: &str| format!("x-image-meta-{name}");
        for (name, register, update) in FIELDS {
            let rule = match call {
                Call::Register => register,
                Call::Update => update,
            };
            if rule == Refuse && headers.has(&field(name)) {
                return Err(Fault::bad_request(format!(
                    "Parameter '{}' is not accepted by this call",
                    name.replace('-', "_")
                )));
            }
        }
        let text = |name: &str| headers.text(&field(name));
        let given = Given {
            name: text("name")?.map(properties::value).transpose()?,
            location: headers.plain(&field("location"))?.map(str::to_owned),
            disk_format: known("disk format", text("disk-format")?, &DISK_FORMATS)?,
            container_format: known("container format", text("container-format")?, &CONTAINER_FORMATS)?,
            size: text("size")?,
            checksum: text("checksum")?,
            is_public: text("is-public")?.map(|word| word.eq_ignore_ascii_case("true")),
            status: text("status")?.map(properties::value).transpose()?,
            properties: custom(headers)?,
        };
        known("store", text("store")?, &["pithos"])?;
        match (&given.name, call) {
            (None, Call::Register) => Err(Fault::bad_request("Image 'name' parameter is required")),
            (Some(name), _) if name.is_empty() => Err(Fault::bad_request("Invalid image name")),
            _ => Ok(given),
        }
    }

    /// Compare the size and the checksum that came with a registration with the object's.
    pub fn agrees_with(&self, size: u64, checksum: &str) -> Result<(), Fault> {
        if let Some(given) = &self.size
            && given.trim().parse() != Ok(size)
        {
            return Err(Fault::bad_request(format!("Invalid image size '{given}'")));
        }
        if let Some(given) = &self.checksum
            && given != checksum
        {
            return Err(Fault::bad_request(format!("Invalid image checksum '{given}'")));
        }
        Ok(())
    }
}

fn known(what: &str, given: Option<String>, known: &[&str]) -> Result<Option<String>, Fault> {
    match given {
        Some(given) if !known.contains(&given.as_str()) => Err(Fault::bad_request(format!("Invalid {what} '{given}'"))),
        given => Ok(given),
    }
}

fn custom(headers: &Headers) -> Result<Vec<(String, String)>, Fault> {
    headers
        .prefixed("x-image-meta-property-")?
        .into_iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| Ok((properties::key(&name)?, properties::value(value)?)))
        .collect()
}

/// Both readings of a query value: as it came, and decoded once more, because some clients encode
/// twice.
pub(super) fn readings(value: &str) -> Vec<String> {
    let mut readings = vec![value.to_owned()];
    if let Ok(again) = decode(value.as_bytes())
        && again != value
    {
        readings.push(again);
    }
    readings
}
