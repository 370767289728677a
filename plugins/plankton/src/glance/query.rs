//! Filters and pages of image lists.

use super::View;
use crate::{
    faults::Fault,
    headers::Query,
    image::{
        Image,
        query::{SORT_KEYS, Sort},
    },
    sharing::is_uuid,
    time::{Moment, parse_iso},
};

/// Images on a page unless said otherwise.
pub const PAGE: u64 = 25;
/// Most images on a page.
pub const MOST: u64 = 1_000;

/// Which images a list holds.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    name: Option<String>,
    disk_format: Option<String>,
    container_format: Option<String>,
    status: Option<String>,
    size_min: Option<u64>,
    size_max: Option<u64>,
    min_ram: Option<u64>,
    min_disk: Option<u64>,
    is_public: Option<bool>,
    protected: Option<bool>,
    changes_since: Option<Moment>,
    properties: Vec<(String, String)>,
}

impl Filters {
    /// Read the query; a value that is none is a 400, unknown parameters are passed over.
    pub fn parse(query: &Query) -> Result<Filters, Fault> {
        let text = |name: &str| query.get(name).map(str::to_owned);
        let bad = |name: &str, value: &str| Fault::bad_request(format!("'{value}' is no value for {name}"));
        let number = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(value) => value.trim().parse::<u64>().map(Some).map_err(|_| bad(name, value)),
        };
        let switch = |name: &str, any: bool| match query.get(name) {
            None => Ok(None),
            Some(value) if any && value.eq_ignore_ascii_case("none") => Ok(None),
            Some(value) => super::fields::truth(value).map(Some).ok_or_else(|| bad(name, value)),
        };
        let changes_since = match query.get("changes-since") {
            None => None,
            Some(value) => Some(parse_iso(value).ok_or_else(|| bad("changes-since", value))?),
        };
        let mut properties = Vec::new();
        for (name, value) in query.pairs() {
            if let Some(key) = name.strip_prefix("property-") {
                properties.push((super::fields::property_key(key)?, value.to_owned()));
            }
        }
        Ok(Filters {
            name: text("name"),
            disk_format: text("disk_format"),
            container_format: text("container_format"),
            status: text("status"),
            size_min: number("size_min")?,
            size_max: number("size_max")?,
            min_ram: number("min_ram")?,
            min_disk: number("min_disk")?,
            is_public: switch("is_public", true)?,
            protected: switch("protected", false)?,
            changes_since,
            properties,
        })
    }

    /// Whether the image passes all of them.
    pub fn pass(&self, image: &Image<'_>) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, value: T) -> bool {
            wanted.as_ref().is_none_or(|wanted| *wanted == value)
        }
        let text = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
        let (view, metadata) = (View(*image), image.metadata);
        text(&self.name, &metadata.name)
            && text(&self.disk_format, &metadata.disk_format)
            && text(&self.container_format, &metadata.container_format)
            && text(&self.status, view.status())
            && self.size_min.is_none_or(|least| view.size() >= least)
            && self.size_max.is_none_or(|most| view.size() <= most)
            && is(&self.min_ram, metadata.min_ram)
            && is(&self.min_disk, metadata.min_disk)
            && is(&self.is_public, image.object.permissions.is_public())
            && is(&self.protected, metadata.protected)
            && self.changes_since.is_none_or(|since| image.object.modified > since)
            && self.properties.iter().all(|(key, value)| metadata.properties.get(key) == Some(value))
    }
}

/// Which stretch of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// By what and in which direction.
    pub sort: Sort,
    /// Most images.
    pub limit: u64,
    /// Id of the image after which to go on.
    pub marker: Option<String>,
}

impl Page {
    /// Read `limit`, `marker`, `sort_key` and `sort_dir`; anything else than they take is a 400.
    pub fn parse(query: &Query) -> Result<Page, Fault> {
        let limit = match query.get("limit") {
            None => PAGE,
            Some(text) => {
                let bad = |_| Fault::bad_request(format!("limit has to be a number from 0 on, not '{text}'"));
                text.trim().parse::<u64>().map_err(bad)?.min(MOST)
            }
        };
        let marker = query.get("marker").map(|marker| {
            let known = is_uuid(marker).then(|| marker.to_ascii_lowercase());
            known.ok_or_else(|| bad_marker(marker))
        });
        let sort = Sort::parse(query).map_err(|_| {
            let keys: Vec<&str> = SORT_KEYS.iter().map(|(name, _)| *name).collect();
            Fault::bad_request(format!("Acceptable values are sort_key={}; sort_dir=asc, desc", keys.join(", ")))
        })?;
        Ok(Page { sort, limit, marker: marker.transpose()? })
    }
}

/// The fault for a marker that is no image the caller can see.
pub fn bad_marker(marker: &str) -> Fault {
    Fault::bad_request(format!("Invalid marker. Image {marker} could not be found."))
}
