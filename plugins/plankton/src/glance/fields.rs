//! The metadata headers of a request: which are taken and which are passed over. Any other is a 400.

use std::collections::BTreeMap;

use super::{CONTAINER_FORMATS, DISK_FORMATS};
use crate::{
    faults::{Fault, Kind},
    headers::Headers,
};

/// Most characters of a name and of a property's key.
const NAME: usize = 255;

/// Most properties of an image.
const PROPERTIES: usize = 128;

/// Refuse more properties than an image takes.
pub fn check_properties(count: usize) -> Result<(), Fault> {
    if count > PROPERTIES {
        let message = format!("An image cannot have more than {PROPERTIES} properties");
        return Err(Fault::new(Kind::OverLimit, message));
    }
    Ok(())
}

/// Names after `x-image-meta-`, in folded form, that are read.
const TAKEN: [&str; 12] = [
    "id",
    "name",
    "store",
    "disk-format",
    "container-format",
    "size",
    "checksum",
    "is-public",
    "protected",
    "min-ram",
    "min-disk",
    "location",
];

/// Names that are accepted without effect: they are the server's to say.
const PASSED: [&str; 7] = ["owner", "status", "created-at", "updated-at", "deleted-at", "deleted", "uri"];

/// What a request gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// A uuid, or any text a client made up.
    pub id: Option<String>,
    /// May be empty.
    pub name: Option<String>,
    /// One of [`DISK_FORMATS`].
    pub disk_format: Option<String>,
    /// One of [`CONTAINER_FORMATS`].
    pub container_format: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// MD5, lower case.
    pub checksum: Option<String>,
    /// Whether everyone sees the image.
    pub is_public: Option<bool>,
    /// Whether the image is kept from deletion.
    pub protected: Option<bool>,
    /// MiB.
    pub min_ram: Option<u64>,
    /// GiB.
    pub min_disk: Option<u64>,
    /// Where the data is, as a `pithos:` location with its parts encoded.
    pub location: Option<String>,
    /// By normal key; empty values are values.
    pub properties: BTreeMap<String, String>,
    /// Whether properties that are not given go.
    pub purge: bool,
}

impl Given {
    /// Read and check the headers of a request.
    pub fn read(headers: &Headers) -> Result<Given, Fault> {
        let mut given = Given { purge: true, ..Given::default() };
        for (name, value) in headers.prefixed("x-image-meta-")? {
            if let Some(key) = name.strip_prefix("property-") {
                given.properties.insert(property_key(key)?, value);
            } else if TAKEN.contains(&name.as_str()) {
                given.take(&name, value)?;
            } else if name == "copy-from" {
                return Err(no_copy());
            } else if !PASSED.contains(&name.as_str()) {
                return Err(Fault::bad_request(format!("Bad header: x-image-meta-{name}")));
            }
        }
        if headers.has("x-glance-api-copy-from") {
            return Err(no_copy());
        }
        check_properties(given.properties.len())?;
        if let Some(word) = headers.text("x-glance-registry-purge-props")? {
            given.purge = truth(&word).unwrap_or(true);
        }
        Ok(given)
    }

    fn take(&mut self, name: &str, value: String) -> Result<(), Fault> {
        let number = |value: &str| {
            let parsed = value.trim().parse::<u64>();
            parsed.map_err(|_| Fault::bad_request(format!("'{value}' is no value for {}", name.replace('-', "_"))))
        };
        match name {
            "id" => self.id = Some(value),
            "name" if value.chars().count() > NAME => {
                return Err(Fault::bad_request(format!("Image name too long: {} characters", value.chars().count())));
            }
            "name" => self.name = Some(value),
            "store" if value != "pithos" => {
                return Err(Fault::bad_request(format!("The store '{value}' is not offered; there is 'pithos'")));
            }
            "disk-format" => self.disk_format = Some(known("disk", value, &DISK_FORMATS)?),
            "container-format" => self.container_format = Some(known("container", value, &CONTAINER_FORMATS)?),
            "size" => self.size = Some(number(&value)?),
            "checksum" => self.checksum = Some(value.trim().to_ascii_lowercase()),
            "is-public" => self.is_public = Some(truth(&value).unwrap_or(false)),
            "protected" => self.protected = Some(truth(&value).unwrap_or(false)),
            "min-ram" => self.min_ram = Some(number(&value)?),
            "min-disk" => self.min_disk = Some(number(&value)?),
            "location" => self.location = Some(location(value)?),
            _ => {}
        }
        Ok(())
    }

    /// Compare the announced size and checksum with those of the data that came. A checksum that cannot be
    /// compared is refused: what was announced always holds.
    pub fn check_data(size: Option<u64>, checksum: Option<&str>, came: (u64, Option<&str>)) -> Result<(), Fault> {
        let (bytes, md5) = came;
        if let Some(size) = size
            && size != bytes
        {
            return Err(Fault::bad_request(format!("Supplied image size {size} does not match the data's {bytes}")));
        }
        match (checksum, md5) {
            (Some(checksum), Some(md5)) if checksum != md5 => {
                Err(Fault::bad_request(format!("Supplied checksum {checksum} does not match the data's {md5}")))
            }
            (Some(checksum), None) => Err(Fault::bad_request(format!(
                "Supplied checksum {checksum} cannot be compared: the MD5 of the data is not known"
            ))),
            _ => Ok(()),
        }
    }
}

fn no_copy() -> Fault {
    Fault::bad_request("Copying from a URL is not offered by this server; upload the data or give a pithos: location")
}

fn known(what: &str, value: String, known: &[&str]) -> Result<String, Fault> {
    if known.contains(&value.as_str()) {
        Ok(value)
    } else {
        Err(Fault::bad_request(format!("Invalid {what} format '{value}' for image.")))
    }
}

fn location(value: String) -> Result<String, Fault> {
    if value.starts_with("pithos:") {
        return Ok(value);
    }
    Err(Fault::bad_request(format!(
        "The location '{value}' is not offered by this server; an image's data is at pithos://ACCOUNT/CONTAINER/OBJECT"
    )))
}

/// What a word says of a switch; none if it is neither yes nor no.
pub fn truth(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" | "on" => Some(true),
        "false" | "f" | "0" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// The normal key of a property: lower case, dashes as underscores.
pub fn property_key(name: &str) -> Result<String, Fault> {
    let key = name.to_lowercase().replace('-', "_");
    if key.is_empty() || key.chars().count() > NAME {
        return Err(Fault::bad_request(format!("A property's name has 1 to {NAME} characters")));
    }
    Ok(key)
}
