//! Glance v1 over the same images: what its headers say, and how it prints an image.
//!
//! An image is still an object with registry metadata, so nothing here is kept apart: [`fields`] reads
//! requests, [`changes`] turns them into that metadata, [`query`] filters and pages, [`members`] reads member
//! lists, and [`View`] prints. Invariant: the two image APIs never disagree about an image, they only name
//! its state differently.

pub mod changes;
pub mod fields;
pub mod members;
pub mod query;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{headers::encode_name, image::Image};

/// Disk formats that this API takes.
pub const DISK_FORMATS: [&str; 9] = ["ami", "ari", "aki", "vhd", "vmdk", "raw", "qcow2", "vdi", "iso"];
/// Container formats that this API takes.
pub const CONTAINER_FORMATS: [&str; 7] = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker"];
/// Formats of which disk and container have to be the same.
pub const PAIRED: [&str; 3] = ["ami", "ari", "aki"];

/// The status of an image that awaits its data.
pub const QUEUED: &str = "queued";
/// The status of an image whose data can be had.
pub const ACTIVE: &str = "active";

/// The registry's stored states as this API names them. Any other text is an image with data.
const STATUSES: [(&str, &str); 3] = [("AVAILABLE", ACTIVE), ("UNAVAILABLE", "saving"), ("ERROR", "killed")];

/// An image as this API shows it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a>(pub Image<'a>);

/// A row of the brief list.
#[derive(Debug, Serialize)]
pub struct Brief<'a> {
    id: &'a str,
    name: Option<&'a str>,
    size: u64,
    disk_format: Option<&'a str>,
    container_format: Option<&'a str>,
    checksum: Option<&'a str>,
}

/// A row of the detailed list, and the image in answers to changes. Where the data is is never told.
#[derive(Debug, Serialize)]
pub struct Detail<'a> {
    #[serde(flatten)]
    brief: Brief<'a>,
    status: &'static str,
    is_public: bool,
    protected: bool,
    min_ram: u64,
    min_disk: u64,
    owner: &'a str,
    created_at: String,
    updated_at: String,
    deleted_at: Option<&'a str>,
    deleted: bool,
    properties: &'a BTreeMap<String, String>,
}

/// Text that may not have been given.
fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl<'a> View<'a> {
    /// Where the image is in its life.
    pub fn status(&self) -> &'static str {
        if self.0.awaits().is_some() {
            return QUEUED;
        }
        let stored = self.0.status();
        STATUSES.iter().find(|(known, _)| known.eq_ignore_ascii_case(stored)).map_or(ACTIVE, |(_, shown)| shown)
    }

    /// Bytes; of a reserved image, those that were announced.
    pub fn size(&self) -> u64 {
        match self.0.awaits() {
            Some(reserved) => reserved.size.unwrap_or(0),
            None => self.0.object.content.size,
        }
    }

    /// MD5, as far as it is known; of a reserved image, the one that was announced.
    pub fn checksum(&self) -> Option<&'a str> {
        match self.0.awaits() {
            Some(reserved) => reserved.checksum.as_deref(),
            None => self.0.object.content.md5.as_deref(),
        }
    }

    /// MD5 of the data that is there. What was only announced is any text.
    pub fn etag(&self) -> Option<&'a str> {
        self.0.object.content.md5.as_deref().filter(|_| self.0.awaits().is_none())
    }

    /// The row of the brief list.
    pub fn brief(&self) -> Brief<'a> {
        let metadata = self.0.metadata;
        Brief {
            id: &self.0.object.uuid,
            name: given(&metadata.name),
            size: self.size(),
            disk_format: given(&metadata.disk_format),
            container_format: given(&metadata.container_format),
            checksum: self.checksum(),
        }
    }

    /// The row of the detailed list.
    pub fn detail(&self) -> Detail<'a> {
        let Image { object, metadata } = self.0;
        Detail {
            brief: self.brief(),
            status: self.status(),
            is_public: object.permissions.is_public(),
            protected: metadata.protected,
            min_ram: metadata.min_ram,
            min_disk: metadata.min_disk,
            owner: &object.account,
            created_at: metadata.created.plain_iso(),
            updated_at: object.modified.plain_iso(),
            deleted_at: None,
            deleted: false,
            properties: &metadata.properties,
        }
    }

    /// The metadata headers, names with underscores, names and values as stored as far as a header can carry
    /// them; what is not known is left out.
    pub fn headers(&self) -> Vec<(String, String)> {
        let detail = self.detail();
        let python = |truth: bool| Some(if truth { "True" } else { "False" }.to_owned());
        let text = |text: Option<&str>| text.map(header_value);
        let fields = [
            ("id", text(Some(detail.brief.id))),
            ("name", text(detail.brief.name)),
            ("size", Some(detail.brief.size.to_string())),
            ("disk_format", text(detail.brief.disk_format)),
            ("container_format", text(detail.brief.container_format)),
            ("checksum", text(detail.brief.checksum)),
            ("status", text(Some(detail.status))),
            ("is_public", python(detail.is_public)),
            ("protected", python(detail.protected)),
            ("min_ram", Some(detail.min_ram.to_string())),
            ("min_disk", Some(detail.min_disk.to_string())),
            ("owner", text(Some(detail.owner))),
            ("created_at", Some(detail.created_at)),
            ("updated_at", Some(detail.updated_at)),
            ("deleted", python(false)),
        ];
        let mut headers: Vec<(String, String)> = fields
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (format!("x-image-meta-{name}"), value)))
            .collect();
        for (key, value) in detail.properties {
            headers.push((format!("x-image-meta-property-{}", encode_name(key)), header_value(value)));
        }
        headers
    }
}

/// A value as a header can carry it: as it is, save that control characters are percent-encoded.
fn header_value(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\t' => out.push(c),
            c if c.is_ascii_control() => out.push_str(&format!("%{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
