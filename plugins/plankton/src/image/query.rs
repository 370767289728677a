//! Filters and sorting of image lists.

use super::{Image, fields::readings};
use crate::{faults::Fault, headers::Query};

/// A text that an image field must have. Several readings of one value count.
type Wanted = Option<Vec<String>>;

/// Which images a list holds.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    name: Wanted,
    container_format: Wanted,
    disk_format: Wanted,
    status: Wanted,
    size_min: Option<i128>,
    size_max: Option<i128>,
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// Uuid, as text.
    Id,
    /// Name, as text.
    Name,
    /// Stored status, as text.
    Status,
    /// Bytes, as a number.
    Size,
    /// Disk format, as text.
    DiskFormat,
    /// Container format, as text.
    ContainerFormat,
    /// Time of registration.
    CreatedAt,
    /// Time of the newest version.
    UpdatedAt,
}

/// Every sort key by its name in queries.
pub const SORT_KEYS: [(&str, SortKey); 8] = [
    ("id", SortKey::Id),
    ("name", SortKey::Name),
    ("status", SortKey::Status),
    ("size", SortKey::Size),
    ("disk_format", SortKey::DiskFormat),
    ("container_format", SortKey::ContainerFormat),
    ("created_at", SortKey::CreatedAt),
    ("updated_at", SortKey::UpdatedAt),
];

/// In which order a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// The greatest first.
    pub descending: bool,
}

impl Filters {
    /// Read the query; unknown parameters are passed over.
    pub fn parse(query: &Query) -> Result<Filters, Fault> {
        let text = |name| query.get(name).map(readings);
        let number = |name| {
            query
                .get(name)
                .map(|text| integer(text.trim()).ok_or_else(|| Fault::bad_request("Malformed request.")))
                .transpose()
        };
        Ok(Filters {
            name: text("name"),
            container_format: text("container_format"),
            disk_format: text("disk_format"),
            status: text("status"),
            size_min: number("size_min")?,
            size_max: number("size_max")?,
        })
    }

    /// Whether the image passes all of them. Status compares without case.
    pub fn pass(&self, image: &Image<'_>) -> bool {
        let is = |wanted: &Wanted, value: &str| {
            wanted.as_ref().is_none_or(|readings| readings.iter().any(|reading| reading == value))
        };
        let size = i128::from(image.object.content.size);
        is(&self.name, &image.metadata.name)
            && is(&self.container_format, &image.metadata.container_format)
            && is(&self.disk_format, &image.metadata.disk_format)
            && self
                .status
                .as_ref()
                .is_none_or(|readings| readings.iter().any(|reading| reading.eq_ignore_ascii_case(image.status())))
            && self.size_min.is_none_or(|least| size >= least)
            && self.size_max.is_none_or(|most| size <= most)
    }
}

/// An integer of any length. What is beyond all sizes may be cut off.
fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let beyond = if text.starts_with('-') { i128::MIN } else { i128::MAX };
    Some(text.parse().unwrap_or(beyond))
}

impl Sort {
    /// Newest registration first.
    pub const DEFAULT: Sort = Sort { key: SortKey::CreatedAt, descending: true };

    /// Read `sort_key` and `sort_dir`; any other value is a 400.
    pub fn parse(query: &Query) -> Result<Sort, Fault> {
        let mut sort = Sort::DEFAULT;
        if let Some(name) = query.get("sort_key") {
            sort.key = SORT_KEYS
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, key)| *key)
                .ok_or_else(|| Fault::bad_request("Invalid 'sort_key'"))?;
        }
        if let Some(direction) = query.get("sort_dir") {
            sort.descending = match direction {
                "asc" => false,
                "desc" => true,
                _ => return Err(Fault::bad_request("Invalid 'sort_dir'")),
            };
        }
        Ok(sort)
    }

    /// Whether lists can be read in this order as they are kept.
    pub fn is_kept(self) -> bool {
        self.key == SortKey::CreatedAt
    }

    /// What an image is ordered by, as bytes that compare like it: the value, then the id, so that every
    /// list has one order.
    pub fn rank(self, image: &Image<'_>) -> Vec<u8> {
        let mut rank = match self.key {
            SortKey::Id => Vec::new(),
            SortKey::Name => image.metadata.name.clone().into_bytes(),
            SortKey::Status => image.status().as_bytes().to_vec(),
            SortKey::Size => image.object.content.size.to_be_bytes().to_vec(),
            SortKey::DiskFormat => image.metadata.disk_format.clone().into_bytes(),
            SortKey::ContainerFormat => image.metadata.container_format.clone().into_bytes(),
            SortKey::CreatedAt => image.metadata.created.0.to_be_bytes().to_vec(),
            SortKey::UpdatedAt => image.object.modified.0.to_be_bytes().to_vec(),
        };
        // Text that another goes on from sorts before it.
        rank.push(0);
        rank.extend_from_slice(image.object.uuid.as_bytes());
        rank
    }
}
