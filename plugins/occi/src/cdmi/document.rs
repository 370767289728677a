//! Documents for CDMI clients: containers, data objects and capabilities.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugbay_sdk::kv;
use serde_json::{Map, Value, json};

use super::{
    fields::Fields,
    id,
    record::{self, Kind, Record},
    value,
};
use crate::{fault::Fault, store::keys::Keys};

/// Most children of one document; the rest is asked for by ranges.
const CHILDREN: u64 = 10_000;

/// The fields of an object that are wanted; with the value only if `with_value`.
///
/// # Errors
/// 413 if the value is too long for a document.
pub fn of(keys: &Keys, record: &Record, fields: &Fields, with_value: bool, limit: u64) -> Result<Value, Fault> {
    let mut out = Map::new();
    let container = record.kind == Kind::Container;
    let word = if container { "container" } else { "dataobject" };
    let mut put = |name: &str, value: Value| {
        if fields.wants(name) && !value.is_null() {
            out.insert(name.to_owned(), value);
        }
    };
    put("objectType", if container { "application/cdmi-container".into() } else { "application/cdmi-object".into() });
    put("objectID", record.id.as_str().into());
    if let Some(path) = record::path(keys, record)? {
        let own = path.trim_end_matches('/');
        let (parent, _) = own.rsplit_once('/').unwrap_or(("", own));
        let slash = if container { "/" } else { "" };
        put("objectName", format!("{}{slash}", record.name).into());
        put("parentURI", if own.is_empty() { "/".into() } else { format!("{parent}/").into() });
        put("parentID", record.parent.as_deref().unwrap_or(&record.id).into());
    }
    put("domainURI", "/cdmi_domains/".into());
    put("capabilitiesURI", format!("/cdmi_capabilities/{word}/").into());
    put("completionStatus", if record.partial { "Processing".into() } else { "Complete".into() });
    put("metadata", metadata(record, fields));
    if container {
        if !record.exports.is_empty() {
            put("exports", record.exports.clone().into());
        }
        if fields.wants("children") || fields.wants("childrenrange") {
            let (range, children) = children(keys, &record.id, fields.children)?;
            put("childrenrange", range.into());
            put("children", children.into());
        }
    } else {
        put("mimetype", record.mimetype.as_str().into());
        if with_value && (fields.wants("value") || fields.wants("valuerange") || fields.wants("valuetransferencoding"))
        {
            let (from, to) = fields.value.unwrap_or((0, u64::MAX));
            let to = to.min(record.size.saturating_sub(1));
            let bytes = read(record, from, to, limit)?;
            let (encoding, value) = match String::from_utf8(bytes) {
                Ok(text) if record.utf8 => ("utf-8", text),
                Ok(text) => ("base64", STANDARD.encode(text)),
                Err(error) => ("base64", STANDARD.encode(error.as_bytes())),
            };
            put("valuetransferencoding", encoding.into());
            put("valuerange", format!("{from}-{to}").into());
            put("value", value.into());
        }
    }
    Ok(out.into())
}

/// Bytes of a value, both ends included.
fn read(record: &Record, from: u64, to: u64, limit: u64) -> Result<Vec<u8>, Fault> {
    if from >= record.size {
        return Ok(Vec::new());
    }
    match to - from + 1 {
        length if length > limit => {
            Err(Fault::new(413, "The value is too long for a document; ask for a range, or without CDMI's types."))
        }
        length => value::read(record, from, length),
    }
}

fn metadata(record: &Record, fields: &Fields) -> Value {
    let mut items = record.metadata.clone();
    items.insert("cdmi_ctime".to_owned(), iso(record.created).into());
    items.insert("cdmi_mtime".to_owned(), iso(value::modified(record)).into());
    items.insert("cdmi_mcount".to_owned(), record.changes.to_string().into());
    items.insert("cdmi_owner".to_owned(), record.owner.as_str().into());
    if record.kind == Kind::DataObject {
        items.insert("cdmi_size".to_owned(), record.size.to_string().into());
    }
    items.entry("cdmi_acl").or_insert_with(|| {
        let entry = |who: &str, mask: &str| {
            json!({ "acetype": "ALLOW", "identifier": who, "aceflags": "OBJECT_INHERIT, CONTAINER_INHERIT", "acemask": mask })
        };
        json!([entry("OWNER@", "ALL_PERMS"), entry("AUTHENTICATED@", "READ"), entry("ADMINISTRATOR@", "ALL_PERMS")])
    });
    items.retain(|name, _| fields.wants_metadata(name));
    items.into()
}

fn children(keys: &Keys, container: &str, range: Option<(u64, u64)>) -> Result<(String, Vec<String>), Fault> {
    let (from, to) = range.unwrap_or((0, u64::MAX));
    let to = to.min(from.saturating_add(CHILDREN - 1));
    let prefix = record::names(keys, container);
    let mut found = Vec::new();
    let skip = usize::try_from(from).unwrap_or(usize::MAX);
    for entry in kv::prefix(&prefix).iter().skip(skip) {
        if found.len() as u64 > to - from {
            break;
        }
        let entry = entry?;
        let name = entry.key.strip_prefix(&prefix).unwrap_or_default().to_owned();
        let (kind, _) = record::leads_to(entry.value)?;
        found.push(if kind == Kind::Container { format!("{name}/") } else { name });
    }
    let range = if found.is_empty() { String::new() } else { format!("{from}-{}", from + found.len() as u64 - 1) };
    Ok((range, found))
}

/// `2026-01-02T03:04:05.000000Z`.
fn iso(moment: u64) -> String {
    let (seconds, fraction) = (moment / 1_000_000, moment % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0: leap days come last in a year, and 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

/// What can be done: at the service, with containers, with data objects. Only what is true is said.
const CAPABILITIES: [(&str, &[(&str, &str)]); 3] = [
    (
        "",
        &[
            ("cdmi_dataobjects", "true"),
            ("cdmi_export_occi_iscsi", "true"),
            ("cdmi_object_access_by_ID", "true"),
            ("cdmi_post_dataobject_by_ID", "true"),
            ("cdmi_object_copy_from_local", "true"),
            ("cdmi_metadata_maxitems", "1024"),
            ("cdmi_metadata_maxsize", "65536"),
            ("cdmi_metadata_maxtotalsize", "131072"),
        ],
    ),
    (
        "container",
        &[
            ("cdmi_list_children", "true"),
            ("cdmi_list_children_range", "true"),
            ("cdmi_read_metadata", "true"),
            ("cdmi_modify_metadata", "true"),
            ("cdmi_create_dataobject", "true"),
            ("cdmi_post_dataobject", "true"),
            ("cdmi_create_container", "true"),
            ("cdmi_delete_container", "true"),
            ("cdmi_copy_dataobject", "true"),
            ("cdmi_export_container_occi", "true"),
            ("cdmi_ctime", "true"),
            ("cdmi_mtime", "true"),
            ("cdmi_mcount", "true"),
        ],
    ),
    (
        "dataobject",
        &[
            ("cdmi_read_value", "true"),
            ("cdmi_read_value_range", "true"),
            ("cdmi_read_metadata", "true"),
            ("cdmi_modify_value", "true"),
            ("cdmi_modify_value_range", "true"),
            ("cdmi_modify_metadata", "true"),
            ("cdmi_delete_dataobject", "true"),
            ("cdmi_size", "true"),
            ("cdmi_ctime", "true"),
            ("cdmi_mtime", "true"),
            ("cdmi_mcount", "true"),
        ],
    ),
];

/// The document of capabilities at a path below `/cdmi_capabilities/`; none if there is none. `root` is the id of `/`.
pub fn capabilities(below: &str, root: &str, fields: &Fields) -> Option<Value> {
    let name = below.trim_matches('/');
    let (_, list) = CAPABILITIES.iter().find(|(known, _)| *known == name)?;
    let own = |name: &str| id::of(&crate::store::keys::digest(&format!("capabilities {name}")));
    let top = name.is_empty();
    let children: &[&str] = if top { &["container/", "dataobject/"] } else { &[] };
    let document = json!({
        "objectType": "application/cdmi-capability",
        "objectID": own(name),
        "objectName": if top { "cdmi_capabilities/".to_owned() } else { format!("{name}/") },
        "parentURI": if top { "/" } else { "/cdmi_capabilities/" },
        "parentID": if top { root.to_owned() } else { own("") },
        "capabilities": list.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect::<Map<_, _>>(),
        "childrenrange": if top { "0-1" } else { "" },
        "children": children,
    });
    let Value::Object(mut document) = document else { return None };
    document.retain(|field, _| fields.wants(field));
    Some(document.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(iso(1_767_323_045_000_000), "2026-01-02T03:04:05.000000Z");
        assert_eq!(iso(951_782_400_000_001), "2000-02-29T00:00:00.000001Z");
    }
}
