//! Which fields a query names: `?metadata:prefix;value:0-9;mimetype`.

use percent_encoding::percent_decode_str;

use crate::fault::Fault;

/// The fields of a query; none named: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Names in the order given.
    pub names: Vec<String>,
    /// Prefixes of metadata; empty: all of it.
    pub metadata: Vec<String>,
    /// First and last byte of the value.
    pub value: Option<(u64, u64)>,
    /// First and last child.
    pub children: Option<(u64, u64)>,
}

impl Fields {
    /// Of a query as sent. A semicolon at the end is common.
    ///
    /// # Errors
    /// 400 for a range that is none.
    pub fn parse(query: Option<&str>) -> Result<Fields, Fault> {
        let mut fields = Fields::default();
        let query = percent_decode_str(query.unwrap_or_default()).decode_utf8_lossy().into_owned();
        let mut in_metadata = false;
        for part in query.split([';', '&']).map(str::trim).filter(|part| !part.is_empty()) {
            let (name, rest) = match part.split_once(':') {
                Some((name, rest)) => (name, Some(rest)),
                None => (part, None),
            };
            match (name, rest) {
                ("metadata", Some(prefix)) => fields.metadata.push(prefix.to_owned()),
                ("value", Some(span)) => fields.value = Some(range(span)?),
                ("children", Some(span)) => fields.children = Some(range(span)?),
                (name, None) if in_metadata && !is_field(name) => {
                    fields.metadata.push(name.to_owned());
                    continue;
                }
                _ => {}
            }
            // `metadata:one;two` names two items.
            in_metadata = name == "metadata" && rest.is_some();
            if !fields.has(name) {
                fields.names.push(name.to_owned());
            }
        }
        Ok(fields)
    }

    /// Whether all fields are wanted.
    pub fn all(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether this field is named.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Whether this field is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.all() || self.has(name)
    }

    /// Whether this item of the metadata is wanted.
    pub fn wants_metadata(&self, item: &str) -> bool {
        self.metadata.is_empty() || self.metadata.iter().any(|prefix| item.starts_with(prefix.as_str()))
    }
}

const FIELDS: [&str; 20] = [
    "objectType",
    "objectID",
    "objectName",
    "parentURI",
    "parentID",
    "domainURI",
    "capabilitiesURI",
    "completionStatus",
    "percentComplete",
    "mimetype",
    "metadata",
    "valuetransferencoding",
    "valuerange",
    "value",
    "exports",
    "snapshots",
    "childrenrange",
    "children",
    "capabilities",
    "reference",
];

fn is_field(name: &str) -> bool {
    FIELDS.contains(&name)
}

fn range(text: &str) -> Result<(u64, u64), Fault> {
    let parsed = text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    parsed
        .filter(|(from, to)| from <= to)
        .ok_or_else(|| Fault::bad_request(format!("'{text}' is no range of two numbers.")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_ranges_and_prefixes() {
        let fields = Fields::parse(Some("parentURI;objectName;")).unwrap();
        assert!(fields.wants("parentURI") && !fields.wants("value"));
        let fields = Fields::parse(Some("value:0-9;metadata:cdmi_acl;colour;mimetype")).unwrap();
        assert_eq!(fields.value, Some((0, 9)));
        assert_eq!(fields.metadata, ["cdmi_acl", "colour"]);
        assert!(fields.has("mimetype"));
        assert!(Fields::parse(None).unwrap().all());
        for bad in ["value:", "value:3", "value:9-3", "children:a-b"] {
            assert!(Fields::parse(Some(bad)).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(query in ".{0,40}") {
            let _ = Fields::parse(Some(&query));
        }
    }
}
