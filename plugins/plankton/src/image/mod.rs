//! What an image is: an object that carries metadata in the image registry's domain.
//!
//! There is no other record. [`Image`] looks at an object as an image and prints it the registry's
//! way; [`fields`] reads requests, [`query`] filters and sorts, [`members`] reads member lists.
//! Invariant: whatever is printed here comes from the object, so the two services never disagree.

pub mod fields;
pub mod members;
pub mod properties;
pub mod query;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    faults::Fault,
    headers::{encode_image, encode_part},
    location::Location,
    object::Object,
    time::Moment,
};

/// Default and other disk formats.
pub const DISK_FORMATS: [&str; 3] = ["diskdump", "extdump", "ntfsdump"];
/// Default and other container formats.
pub const CONTAINER_FORMATS: [&str; 5] = ["bare", "aki", "ari", "ami", "ovf"];
/// The status of every ordinary upload.
pub const AVAILABLE: &str = "AVAILABLE";

/// The registry's domain of an object's metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Name for people.
    pub name: String,
    /// One of [`DISK_FORMATS`] or of the other API's; empty: not said yet.
    pub disk_format: String,
    /// One of [`CONTAINER_FORMATS`] or of the other API's; empty: not said yet.
    pub container_format: String,
    /// What a client stored as status; none: [`AVAILABLE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When the object was first registered.
    pub created: Moment,
    /// Custom properties by normal key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// What only the other API shows: least memory in MiB.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_ram: u64,
    /// Likewise: least disk in GiB.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_disk: u64,
    /// Likewise: may not be deleted there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// The image was reserved there and awaits its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Reserved>,
}

/// What was said of the data of a reserved image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// Bytes it is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// MD5 it is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Metadata {
    /// Entries in the domain: name, two formats, the time, a stored status, and the properties.
    fn entries(&self) -> usize {
        4 + usize::from(self.status.is_some()) + self.properties.len()
    }

    /// What a registration makes: everything starts afresh, save the time of the first one.
    pub fn registered(given: &fields::Given, created: Moment) -> Result<Metadata, Fault> {
        let text = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        let mut metadata = Metadata {
            name: given.name.clone().unwrap_or_default(),
            disk_format: text(&given.disk_format, "diskdump"),
            container_format: text(&given.container_format, "bare"),
            created,
            ..Metadata::default()
        };
        crate::object::overlay(&mut metadata.properties, given.properties.clone());
        metadata.checked(0)
    }

    /// What an update makes: what is not given stays, an empty property goes.
    pub fn updated(&self, given: &fields::Given) -> Result<Metadata, Fault> {
        let mut metadata = self.clone();
        let fields = [
            (&mut metadata.name, &given.name),
            (&mut metadata.disk_format, &given.disk_format),
            (&mut metadata.container_format, &given.container_format),
        ];
        for (there, given) in fields {
            if let Some(given) = given {
                there.clone_from(given);
            }
        }
        if given.status.is_some() {
            metadata.status.clone_from(&given.status);
        }
        crate::object::overlay(&mut metadata.properties, given.properties.clone());
        metadata.checked(self.entries())
    }

    /// Refuse more entries than a domain takes. The other API takes more; what came from there may stay.
    fn checked(self, before: usize) -> Result<Metadata, Fault> {
        if self.entries() > before {
            crate::object::check_entries(self.entries())?;
        }
        Ok(self)
    }
}

/// An object seen as an image.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// The object.
    pub object: &'a Object,
    /// Its registry domain.
    pub metadata: &'a Metadata,
}

/// A row of the brief list.
#[derive(Debug, Serialize)]
pub struct Brief<'a> {
    id: &'a str,
    name: &'a str,
    status: &'a str,
    disk_format: &'a str,
    container_format: &'a str,
    size: u64,
}

/// A row of the detailed list.
#[derive(Debug, Serialize)]
pub struct Detail<'a> {
    #[serde(flatten)]
    brief: Brief<'a>,
    checksum: &'a str,
    location: String,
    created_at: String,
    updated_at: String,
    deleted_at: &'a str,
    is_public: bool,
    is_snapshot: bool,
    owner: &'a str,
    properties: &'a BTreeMap<String, String>,
}

impl<'a> Image<'a> {
    /// The object as an image; none if it carries no registry metadata.
    pub fn of(object: &'a Object) -> Option<Image<'a>> {
        object.image.as_ref().map(|metadata| Image { object, metadata })
    }

    /// What was said of the data that a reserved image still awaits. Data that came another way than
    /// announced counts.
    pub fn awaits(&self) -> Option<&'a Reserved> {
        self.metadata.reserved.as_ref().filter(|_| self.object.content.size == 0)
    }

    /// The status as stored; an image that awaits its data is not available.
    pub fn status(&self) -> &'a str {
        if self.awaits().is_some() {
            return "UNAVAILABLE";
        }
        self.metadata.status.as_deref().unwrap_or(AVAILABLE)
    }

    /// The status as headers show it: stored states are mapped, anything else is `UNKNOWN`.
    pub fn shown_status(&self) -> &'static str {
        const SHOWN: [(&str, &str); 3] = [("AVAILABLE", "AVAILABLE"), ("UNAVAILABLE", "SAVING"), ("ERROR", "ERROR")];
        SHOWN
            .iter()
            .find(|(stored, _)| stored.eq_ignore_ascii_case(self.status()))
            .map_or("UNKNOWN", |(_, shown)| shown)
    }

    /// Where the bytes are, percent-encoded.
    pub fn location(&self) -> String {
        Location {
            account: self.object.account.clone(),
            container: self.object.container.clone(),
            object: self.object.name.clone(),
        }
        .to_string()
    }

    /// The row of the brief list.
    pub fn brief(&self) -> Brief<'a> {
        Brief {
            id: &self.object.uuid,
            name: &self.metadata.name,
            status: self.status(),
            disk_format: &self.metadata.disk_format,
            container_format: &self.metadata.container_format,
            size: self.object.content.size,
        }
    }

    /// The row of the detailed list.
    pub fn detail(&self) -> Detail<'a> {
        Detail {
            brief: self.brief(),
            checksum: &self.object.content.root,
            location: self.location(),
            created_at: self.metadata.created.sql(),
            updated_at: self.object.modified.sql(),
            deleted_at: "",
            is_public: self.object.permissions.is_public(),
            is_snapshot: false,
            owner: &self.object.account,
            properties: &self.metadata.properties,
        }
    }

    /// The metadata headers, names in lower case with dashes, values percent-encoded.
    pub fn headers(&self) -> Vec<(String, String)> {
        let python = |truth: bool| if truth { "True" } else { "False" }.to_owned();
        let mut fields: Vec<(String, String)> = [
            ("id", self.object.uuid.clone()),
            ("name", encode_image(&self.metadata.name)),
            ("location", self.location()),
            ("disk-format", self.metadata.disk_format.clone()),
            ("container-format", self.metadata.container_format.clone()),
            ("size", self.object.content.size.to_string()),
            ("checksum", self.object.content.root.clone()),
            ("is-public", python(self.object.permissions.is_public())),
            ("owner", encode_image(&self.object.account)),
            ("status", self.shown_status().to_owned()),
            ("created-at", self.metadata.created.sql()),
            ("updated-at", self.object.modified.sql()),
            ("deleted-at", String::new()),
            ("is-snapshot", python(false)),
            ("description", String::new()),
        ]
        .into_iter()
        .map(|(name, value)| (format!("x-image-meta-{name}"), value))
        .collect();
        for (key, value) in &self.metadata.properties {
            // Keys that came through the other API may hold a slash, which no header name does.
            let name = encode_part(&key.replace('_', "-"));
            fields.push((format!("x-image-meta-property-{name}"), encode_image(value)));
        }
        fields
    }
}
