//! Boot actions as designs have them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::filter::NodeFilter;

/// `drydock/BootAction/v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootAction {
    /// Whether its end is reported.
    #[serde(default = "yes")]
    pub signaling: bool,
    /// What it consists of.
    #[serde(default)]
    pub assets: Vec<Asset>,
    /// Which nodes it is for; none: all.
    #[serde(default)]
    pub node_filter: Option<NodeFilter>,
}

fn yes() -> bool {
    true
}

/// One part of a boot action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AssetKind,
    /// Where it goes.
    #[serde(default)]
    pub path: Option<String>,
    /// Octal digits.
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// Its content, if it stands here.
    #[serde(default)]
    pub data: Option<AssetData>,
    /// Where its content is, if it stands elsewhere.
    #[serde(default)]
    pub location: Option<String>,
    /// What is done to the location first.
    #[serde(default)]
    pub location_pipeline: Option<Vec<LocationSegment>>,
    /// What is done to the content.
    #[serde(default)]
    pub data_pipeline: Option<Vec<DataSegment>>,
}

/// Kinds of assets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// A unit of systemd.
    Unit,
    /// A file.
    File,
    /// Packages for the installer.
    PkgList,
}

/// Content of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AssetData {
    /// Of units and files.
    Text(String),
    /// Packages with their versions.
    Packages(BTreeMap<String, Option<String>>),
}

/// A mode as three octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permissions(pub u32);

impl TryFrom<String> for Permissions {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Permissions, &'static str> {
        let octal = text.len() == 3 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if octal => Ok(Permissions(mode)),
            _ => Err("permissions are three octal digits as text"),
        }
    }
}

impl From<Permissions> for String {
    fn from(permissions: Permissions) -> String {
        format!("{:03o}", permissions.0)
    }
}

/// What may be done to a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocationSegment {
    /// Render it.
    Template,
}

/// What may be done to content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSegment {
    /// Base64 to bytes.
    Base64Decode,
    /// Bytes to base64.
    Base64Encode,
    /// Bytes to text.
    Utf8Decode,
    /// Text to bytes.
    Utf8Encode,
    /// Render it.
    Template,
}
