//! What this host offers to components, and what a component asks: the load-time check, in words.
//!
//! Owns the catalogue of interfaces and their default grants. Every reason a component cannot be
//! linked is collected, not the first one only, and each says what to do. Deny by default: what is
//! not in the catalogue or not granted is refused here, before anything of the component runs.

use std::collections::BTreeSet;

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::config::PluginConfig;

/// The package of the contract.
pub const PACKAGE: &str = "plugbay:plugin";
/// The version this host serves.
pub const VERSION: &str = "1.0.0";

/// How an interface of the contract comes to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Types only: always there.
    Types,
    /// There unless the operator denies it.
    Default,
    /// There if the operator grants it.
    Operator,
}

/// The interfaces of the contract that plugins import.
pub const INTERFACES: &[(&str, Grant)] = &[
    ("types", Grant::Types),
    ("descriptor", Grant::Types),
    ("kv", Grant::Default),
    ("blobs", Grant::Default),
    ("crypto", Grant::Default),
    ("jobs", Grant::Default),
    ("identity", Grant::Default),
    ("log", Grant::Default),
    ("config", Grant::Default),
    ("secrets", Grant::Operator),
    ("http-client", Grant::Operator),
    ("process", Grant::Operator),
    ("system", Grant::Operator),
    ("udp", Grant::Operator),
];

/// The WASI packages linked for every component, with nothing behind them that was not granted.
const WASI: &[&str] = &["wasi:cli", "wasi:io", "wasi:clocks", "wasi:random", "wasi:filesystem"];

/// What a component asks of a host, by its type alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Asks {
    /// Interfaces of the contract, by their short names.
    pub capabilities: BTreeSet<String>,
    /// Everything else it imports, as written.
    pub other_imports: BTreeSet<String>,
    /// Everything it exports, as written.
    pub exports: BTreeSet<String>,
}

/// An import or export name taken apart: `plugbay:plugin/kv@1.0.0`.
struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    version: Option<&'a str>,
}

impl<'a> Name<'a> {
    fn parse(text: &'a str) -> Self {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let (package, interface) = path.split_once('/').unwrap_or((path, ""));
        Self { package, interface, version }
    }

    /// Whether a host serving [`VERSION`] can serve this version: the same major, or below 1.0 the same `0.minor`.
    fn compatible(&self) -> bool {
        self.version.is_some_and(|asked| track(asked) == track(VERSION))
    }
}

fn track(version: &str) -> Option<&str> {
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split_once('.').map_or(rest, |(minor, _)| minor);
    if major == "0" { version.get(..major.len() + 1 + minor.len()) } else { Some(major) }
}

impl Asks {
    /// What `component` asks.
    pub fn of(engine: &Engine, component: &Component) -> Self {
        let ty = component.component_type();
        let mut asks = Self::default();
        for (text, _) in ty.imports(engine) {
            let name = Name::parse(text);
            if name.package == PACKAGE {
                asks.capabilities.insert(name.interface.into());
            } else {
                asks.other_imports.insert(text.into());
            }
        }
        asks.exports.extend(ty.exports(engine).map(|(name, _)| name.to_owned()));
        asks
    }
}

/// What the operator decided about interfaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decisions {
    /// Interfaces beside those that every plugin has.
    pub grants: BTreeSet<String>,
    /// Interfaces whose functions answer `denied`.
    pub deny: BTreeSet<String>,
}

impl Decisions {
    /// Those of a plugin's table.
    pub fn of(config: &PluginConfig) -> Self {
        Self { grants: config.grants.iter().cloned().collect(), deny: config.deny.iter().cloned().collect() }
    }
}

/// Every reason why `component` cannot be served; none if it can.
pub fn refusals(engine: &Engine, component: &Component, decisions: &Decisions) -> Vec<String> {
    let ty = component.component_type();
    let mut reasons: Vec<String> =
        ty.imports(engine).filter_map(|(text, item)| refuse_import(text, &item.ty, decisions)).collect();
    let exports: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
    reasons.extend(refuse_exports(&exports));
    reasons
}

fn refuse_import(text: &str, item: &ComponentItem, decisions: &Decisions) -> Option<String> {
    let name = Name::parse(text);
    if !matches!(item, ComponentItem::ComponentInstance(_)) {
        return Some(format!(
            "imports `{text}` on its own: this host offers interfaces of {PACKAGE} and WASI 0.2 only"
        ));
    }
    if WASI.contains(&name.package) {
        let served = name.version.is_some_and(|version| track(version) == Some("0.2"));
        return (!served).then(|| format!("imports {text}: this host offers WASI 0.2; build for wasm32-wasip2"));
    }
    if name.package != PACKAGE {
        return Some(match name.package {
            "wasi:sockets" => format!(
                "imports {text}: sockets are not offered to plugins; the network is reached through {PACKAGE}/http-client and udp"
            ),
            _ => format!("imports {text}: this host offers no such interface"),
        });
    }
    let Some((interface, grant)) = INTERFACES.iter().find(|(known, _)| *known == name.interface) else {
        return Some(format!("imports {text}: {PACKAGE} {VERSION}, which this host offers, has no such interface"));
    };
    if !name.compatible() {
        return Some(format!(
            "imports {text}: this host offers {PACKAGE}/{interface}@{VERSION}; build the plugin against that contract, or use a host that offers the other"
        ));
    }
    match grant {
        _ if decisions.deny.contains(*interface) => None,
        Grant::Types | Grant::Default => None,
        Grant::Operator if decisions.grants.contains(*interface) => None,
        Grant::Operator => Some(format!(
            "imports {text}: only an operator can give that; add \"{interface}\" to `grants` in the plugin's table, or to `deny` to load it with that interface answering `denied`"
        )),
    }
}

fn refuse_exports(exports: &[&str]) -> Option<String> {
    let wanted = |text: &&&str| {
        let name = Name::parse(text);
        name.package == PACKAGE && name.interface == "handler"
    };
    match exports.iter().find(wanted) {
        Some(text) if Name::parse(text).compatible() => None,
        Some(text) => Some(format!(
            "exports {text}: this host calls {PACKAGE}/handler@{VERSION}; build the plugin against that contract"
        )),
        None if exports.iter().any(|text| text.starts_with("wasi:http/")) => Some(format!(
            "exports wasi:http instead of {PACKAGE}/handler@{VERSION}: plain wasi:http components are not served yet"
        )),
        None => Some(format!(
            "does not export {PACKAGE}/handler@{VERSION}; it exports {}",
            if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") }
        )),
    }
}

/// Why bytes cannot be a component at all, from their beginning; none if they may be one.
pub fn refuse_bytes(start: &[u8]) -> Option<String> {
    const MAGIC: &[u8] = b"\0asm";
    const CORE: &[u8] = &[1, 0, 0, 0];
    const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
    let Some(layer) = start.strip_prefix(MAGIC) else {
        return Some("is not WebAssembly: it does not begin with the bytes 00 61 73 6d".into());
    };
    match layer.get(..4) {
        Some(COMPONENT) => None,
        Some(CORE) => Some(
            "is a core WebAssembly module, not a component: build it for wasm32-wasip2 or with `cargo component`"
                .into(),
        ),
        _ => Some("is WebAssembly of a version this host does not know".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_track_are_compatible() {
        assert_eq!(track("0.1.0"), track("0.1.7"));
        assert_ne!(track("0.1.0"), track("0.2.0"));
        assert_eq!(track("1.0.0"), track("1.4.2"));
        assert_ne!(track("1.0.0"), track("2.0.0"));
        assert_eq!(track("nonsense"), None);
    }

    #[test]
    fn bytes_that_are_no_component_are_told_apart() {
        assert!(refuse_bytes(b"").unwrap().contains("not WebAssembly"));
        assert!(refuse_bytes(&[0; 16]).unwrap().contains("not WebAssembly"));
        assert!(refuse_bytes(b"\0asm\x01\0\0\0").unwrap().contains("core"));
        assert!(refuse_bytes(b"\0asm\x0d\0\x01\0").is_none());
        assert!(refuse_bytes(b"\0asm").unwrap().contains("version"));
    }

    #[test]
    fn a_missing_handler_export_is_named_with_what_is_there() {
        assert!(refuse_exports(&[]).unwrap().contains("nothing"));
        assert!(refuse_exports(&["wasi:cli/run@0.2.0"]).unwrap().contains("wasi:cli/run"));
        assert!(refuse_exports(&["wasi:http/incoming-handler@0.2.0"]).unwrap().contains("not served yet"));
        assert!(refuse_exports(&["plugbay:plugin/handler@0.1.0"]).unwrap().contains("1.0.0"));
        assert_eq!(refuse_exports(&["plugbay:plugin/handler@1.0.3"]), None);
    }
}
