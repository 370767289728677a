//! Jinja2 templates, and what they see of a node.
//!
//! Default settings of Jinja2: one trailing newline is dropped, undefined names are empty, nothing is escaped. What a template may
//! cost is bounded in instructions and in output. Booleans, nothing and lists are printed as Python prints them. Templates reach
//! neither files nor other templates.

mod filters;

use std::collections::BTreeMap;
use std::io;

use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};
use serde::{Deserialize, Serialize};

use crate::design::Node;
use crate::design::effective::Shared;
use crate::design::kinds::Labels;

/// Instructions of one template.
const FUEL: u64 = 500_000;
/// Bytes that one template may give.
pub const OUTPUT: usize = 4 * 1024 * 1024;

/// `node` in templates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its name.
    pub hostname: String,
    /// Its domain.
    pub domain: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its labels.
    pub labels: Labels,
    /// Networks on which it has a fixed address, and `default` for the primary one.
    pub network: BTreeMap<String, NetworkView>,
    /// Its interfaces.
    pub interfaces: BTreeMap<String, InterfaceView>,
}

/// `node.network.NAME` in templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkView {
    /// The node's address.
    pub ip: String,
    /// The network.
    pub cidr: Option<String>,
    /// Its domain.
    pub dns_suffix: Option<String>,
}

/// `node.interfaces.NAME` in templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceView {
    /// Whether it has virtual functions.
    pub sriov: bool,
    /// How many.
    pub vf_count: Option<u32>,
    /// Whether they are trusted.
    pub trustedmode: Option<bool>,
}

impl NodeView {
    /// What templates see of a node.
    pub fn of(node: &Node, shared: &Shared) -> NodeView {
        let mut network = BTreeMap::new();
        for address in node.addressing.iter().filter(|address| !address.is_dhcp()) {
            let of = shared.networks.get(&address.network);
            let view = NetworkView {
                ip: address.address.clone(),
                cidr: of.and_then(|of| of.cidr.clone()),
                dns_suffix: of.and_then(|of| of.dns.domain.clone()),
            };
            if node.primary_network.as_ref() == Some(&address.network) {
                network.insert("default".to_owned(), view.clone());
            }
            network.insert(address.network.clone(), view);
        }
        let interface = |interface: &crate::design::profile::Interface| InterfaceView {
            sriov: interface.sriov.is_some(),
            vf_count: interface.sriov.as_ref().and_then(|sriov| sriov.vf_count),
            trustedmode: interface.sriov.as_ref().and_then(|sriov| sriov.trustedmode),
        };
        NodeView {
            hostname: node.name.clone(),
            domain: node.domain.clone(),
            tags: node.tags.clone(),
            labels: node.labels.clone(),
            network,
            interfaces: node.interfaces.iter().map(|(name, of)| (name.clone(), interface(of))).collect(),
        }
    }
}

/// `action` in templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionView {
    /// ULID.
    pub action_id: String,
    /// The node's key.
    pub action_key: String,
    /// Where to report.
    pub report_url: String,
    /// The design.
    pub design_ref: String,
}

/// Everything that templates see.
#[derive(Debug, Clone, Serialize)]
pub struct Scope<'a> {
    /// The node.
    pub node: &'a NodeView,
    /// The boot action.
    pub action: &'a ActionView,
}

/// Render a template.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn render(source: &str, scope: &Scope<'_>) -> Result<String, String> {
    let environment = environment();
    let template = environment.template_from_str(source).map_err(|error| error.to_string())?;
    let mut output = Bounded(Vec::new());
    template.render_captured_to(Serde(scope), &mut output).map_err(|error| error.to_string())?;
    String::from_utf8(output.0).map_err(|error| error.to_string())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(|output, _, value| {
        output
            .write_str(&printed(value)?)
            .map_err(|_| Error::new(minijinja::ErrorKind::WriteFailure, "too much output"))
    });
    minijinja_contrib::add_to_environment(&mut environment);
    filters::add(&mut environment);
    environment
}

/// A value as Python's `str` gives it.
fn printed(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Undefined => Ok(String::new()),
        _ => python(value, 0),
    }
}

/// A value as Python's `repr` gives it.
fn python(value: &Value, depth: usize) -> Result<String, Error> {
    if depth > 32 {
        return Err(Error::new(minijinja::ErrorKind::InvalidOperation, "a value is nested too deeply to be printed"));
    }
    Ok(match value.kind() {
        ValueKind::None => "None".to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.map(|item| python(&item, depth + 1)).collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", items.join(", "))
        }
        ValueKind::Map => {
            let item = |key: Value| {
                let value = value.get_item(&key)?;
                Ok(format!("{}: {}", python(&key, depth + 1)?, python(&value, depth + 1)?))
            };
            format!("{{{}}}", value.try_iter()?.map(item).collect::<Result<Vec<_>, Error>>()?.join(", "))
        }
        _ => value.to_string(),
    })
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(quote);
    for at in text.chars() {
        match at {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            at if at == quote => quoted.extend(['\\', at]),
            at => quoted.push(at),
        }
    }
    quoted.push(quote);
    quoted
}

/// Output up to a bound.
struct Bounded(Vec<u8>);

impl io::Write for &mut Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT {
            return Err(io::Error::other("the template gives too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
