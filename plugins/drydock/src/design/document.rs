//! A stream of documents into a [`Design`], with what is wrong with single documents as faults.
//!
//! Documents of other schema families are passed over. A document that breaks its schema is a fault with its name, and the rest is
//! read all the same, so that an author sees everything at once.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::bootaction::BootAction;
use super::kinds::{HardwareProfile, Network, NetworkLink, Rack, Region};
use super::profile::Profile;
use crate::yaml;

/// Code of faults in a document's shape.
pub const SCHEMA: &str = "DD001";
/// Code of documents that cannot be processed.
pub const PROCESSING: &str = "DD000";

/// Faults after which nothing more is read.
const FAULTS: usize = 1_000;

/// Longest name: what fits into keys and paths.
const NAME: usize = 255;

/// Which document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentRef {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl DocumentRef {
    /// A document of a kind.
    pub fn of(kind: &str, name: &str) -> DocumentRef {
        DocumentRef { schema: format!("drydock/{kind}/v1"), name: name.to_owned() }
    }
}

/// What is wrong with one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// [`SCHEMA`] or [`PROCESSING`].
    pub code: &'static str,
    /// What.
    pub text: String,
    /// With which; none if it could not be told.
    pub document: Option<DocumentRef>,
}

/// Why a stream is no design at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is no text.
    #[error("the design is not UTF-8")]
    Encoding,
    /// It is no YAML, or more than it may be.
    #[error("{0}")]
    Yaml(#[from] yaml::Error),
    /// Its documents together are more than can be worked with.
    #[error("the design holds too many values")]
    TooLarge,
}

/// The documents of a site. Nodes and boot actions keep their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Design {
    /// The region.
    pub region: Option<Region>,
    /// Racks by name.
    pub racks: BTreeMap<String, Rack>,
    /// Links by name.
    pub links: BTreeMap<String, NetworkLink>,
    /// Networks by name.
    pub networks: BTreeMap<String, Network>,
    /// Hardware profiles by name.
    pub hardware: BTreeMap<String, HardwareProfile>,
    /// Host profiles by name.
    pub profiles: BTreeMap<String, Profile>,
    /// Nodes.
    pub nodes: Vec<(String, Profile)>,
    /// Boot actions.
    pub boot_actions: Vec<(String, BootAction)>,
}

/// Read a design.
///
/// # Errors
/// If the stream as a whole cannot be read; faults of documents come with the design.
pub fn read(bytes: &[u8]) -> Result<(Design, Vec<Fault>), LoadError> {
    let text = std::str::from_utf8(bytes).map_err(|_| LoadError::Encoding)?;
    let mut reader = Reader::default();
    let mut held = 0_usize;
    for document in yaml::documents(text, yaml::Limits::of_bytes(bytes.len())) {
        let yaml::Document { value, values } = document?;
        match reader.take(value) {
            Ok(false) => {}
            Ok(true) => held = held.saturating_add(values),
            Err(fault) => reader.faults.push(fault),
        }
        if held > yaml::HELD || reader.faults.len() >= FAULTS {
            return reader.give_up(held);
        }
    }
    Ok((reader.design, reader.faults))
}

#[derive(Default)]
struct Reader {
    design: Design,
    faults: Vec<Fault>,
    seen: std::collections::BTreeSet<(String, String)>,
}

impl Reader {
    /// What a stream comes to whose rest is not read.
    fn give_up(mut self, held: usize) -> Result<(Design, Vec<Fault>), LoadError> {
        if held > yaml::HELD {
            return Err(LoadError::TooLarge);
        }
        let text = format!("After {FAULTS} faults the rest of the design was not read");
        self.faults.push(Fault { code: PROCESSING, text, document: None });
        Ok((self.design, self.faults))
    }

    /// Take a document; whether it is one of a design, and not passed over.
    fn take(&mut self, document: Value) -> Result<bool, Fault> {
        let lost = |text: &str| Fault { code: PROCESSING, text: text.to_owned(), document: None };
        let mut document = match document {
            Value::Null => return Ok(false),
            Value::Object(map) => map,
            _ => return Err(lost("A document is not a map")),
        };
        let Some(schema) = document.get("schema").and_then(Value::as_str).map(str::to_owned) else {
            return Err(lost("A document has no schema"));
        };
        let mut parts = schema.split('/');
        let (Some("drydock"), Some(kind), version) = (parts.next(), parts.next(), parts.next()) else {
            return Ok(false);
        };
        let name = document.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
        let Some(name) = name.filter(|name| !name.is_empty()).map(str::to_owned) else {
            let text = format!("A document of schema {schema} has no metadata.name");
            return Err(Fault { code: PROCESSING, text, document: None });
        };
        let document_ref = DocumentRef { schema: schema.clone(), name: name.clone() };
        let fault = |code, text: String| Fault { code, text, document: Some(document_ref.clone()) };
        if version != Some("v1") || parts.next().is_some() {
            return Err(fault(PROCESSING, format!("Unknown schema {schema}")));
        }
        if name.len() > NAME || name.chars().any(|at| at.is_control() || at == '/') {
            return Err(fault(SCHEMA, format!("{name:?} is not a name")));
        }
        if !self.seen.insert((kind.to_owned(), name.clone())) {
            return Err(fault(PROCESSING, format!("{kind} {name} is there twice")));
        }
        let data = document.remove("data").unwrap_or_default();
        self.place(kind, name, data).map(|()| true).map_err(|(code, text)| fault(code, text))
    }

    fn place(&mut self, kind: &str, name: String, data: Value) -> Result<(), (&'static str, String)> {
        let design = &mut self.design;
        match kind {
            "Region" => design.region = Some(typed(data)?),
            "Rack" => drop(design.racks.insert(name, typed(data)?)),
            "NetworkLink" => drop(design.links.insert(name, typed(data)?)),
            "Network" => {
                let network: Network = typed(data)?;
                if network.cidr.is_none() {
                    return Err((SCHEMA, "missing field `cidr`".to_owned()));
                }
                design.networks.insert(name, network);
            }
            "HardwareProfile" => drop(design.hardware.insert(name, typed(data)?)),
            "HostProfile" => {
                let profile: Profile = typed(data)?;
                if !profile.addressing.is_empty() || profile.metadata.boot_mac.is_some() {
                    return Err((SCHEMA, "addressing and boot_mac are of nodes only".to_owned()));
                }
                design.profiles.insert(name, profile);
            }
            "BaremetalNode" => {
                let node: Profile = typed(data)?;
                if node.addressing.is_empty() {
                    return Err((SCHEMA, "a node needs at least one address".to_owned()));
                }
                design.nodes.push((name, node));
            }
            "BootAction" => {
                let action: BootAction = typed(data)?;
                if let Some(filter) = &action.node_filter {
                    filter.check().map_err(|text| (SCHEMA, text))?;
                }
                design.boot_actions.push((name, action));
            }
            _ => return Err((PROCESSING, format!("Unknown kind {kind}"))),
        }
        Ok(())
    }
}

fn typed<T: DeserializeOwned>(data: Value) -> Result<T, (&'static str, String)> {
    let data = if data.is_null() { Value::Object(serde_json::Map::new()) } else { data };
    serde_json::from_value(data).map_err(|error| (SCHEMA, error.to_string()))
}
