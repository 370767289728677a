//! What a plugin file is and what it asks, by its type alone. Nothing of it runs.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;
use wasmtime::component::Component;

use super::error::CliError;
use super::keys::signature_path;
use super::{Subject, output, table};
use crate::config::Config;
use crate::plugin::contract::{self, Asks, Decisions, Grant, INTERFACES};
use crate::plugin::signature::{self, PublicKey};
use crate::plugin::{Digest, engine};

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) name: String,
    pub(super) bytes: usize,
    pub(super) sha256: String,
    /// What this host serves.
    pub(super) contract: String,
    pub(super) signature: String,
    pub(super) asks: Asks,
    /// Why it is not served without a line of the configuration; empty if it is.
    pub(super) refusals: Vec<String>,
    /// With these under `grants` in its table, those below are what is left of the refusals.
    pub(super) grants: BTreeSet<String>,
    pub(super) refusals_with_grants: Vec<String>,
}

/// Print what a plugin file is and asks. With a configuration, its keys verify the signature.
pub(super) fn run(subject: &Subject, json: bool, config: Option<&Config>) -> Result<(), CliError> {
    let report = look(subject, config)?;
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| CliError::Words(error.to_string()))?;
        return output::print(&format!("{text}\n"));
    }
    output::print(&text(&report))
}

/// The bytes of a plugin file, refused early if they cannot be a component.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |error| CliError::file(path.display().to_string(), error);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut wasm = Vec::new();
    file.by_ref().take(8).read_to_end(&mut wasm).map_err(failed)?;
    if let Some(reason) = contract::refuse_bytes(&wasm) {
        return Err(CliError::Words(format!("{} {reason}", path.display())));
    }
    file.read_to_end(&mut wasm).map_err(failed)?;
    Ok(wasm)
}

fn look(subject: &Subject, config: Option<&Config>) -> Result<Report, CliError> {
    let name = subject.name()?;
    let wasm = read(&subject.file)?;
    let digest = Digest::of(&wasm);
    let file = subject.file.display().to_string();
    let invalid = |error: wasmtime::Error| CliError::Words(format!("{file} is not a valid component: {error:#}"));
    let engine = engine::offline().map_err(invalid)?;
    let component = Component::from_binary(&engine, &wasm).map_err(invalid)?;
    let asks = Asks::of(&engine, &component);
    let operators =
        INTERFACES.iter().filter(|(_, grant)| *grant == Grant::Operator).map(|(name, _)| (*name).to_owned());
    let grants: BTreeSet<String> = operators.filter(|name| asks.capabilities.contains(name)).collect();
    let granted = Decisions { grants: grants.clone(), ..Decisions::default() };
    let refusals = contract::refusals(&engine, &component, &Decisions::default());
    Ok(Report {
        signature: signed(&subject.file, &name, &digest, config)?,
        bytes: wasm.len(),
        sha256: digest.to_string(),
        contract: format!("{}@{}", contract::PACKAGE, contract::VERSION),
        refusals_with_grants: contract::refusals(&engine, &component, &granted),
        file,
        name,
        asks,
        refusals,
        grants,
    })
}

/// What is known of who made it.
fn signed(file: &Path, name: &str, digest: &Digest, config: Option<&Config>) -> Result<String, CliError> {
    let path = signature_path(file);
    let text = std::fs::read_to_string(&path).ok();
    let keys = config.map(keys_of).transpose()?.unwrap_or_default();
    Ok(match text {
        Some(_) if keys.is_empty() => {
            format!("{} is there and was not verified: no keys are configured", path.display())
        }
        None if keys.is_empty() => "none, and none is asked for: without `[plugins] keys` nothing is verified".into(),
        text => match signature::verify(&keys, name, digest, text.as_deref()) {
            Ok(()) => format!("good for the name {name}"),
            Err(error) => error.to_string(),
        },
    })
}

/// The keys that may have signed plugins.
pub(super) fn keys_of(config: &Config) -> Result<Vec<PublicKey>, CliError> {
    let keys = config.plugins.keys.iter().map(|key| key.read().map(PublicKey::from));
    keys.collect::<Result<_, _>>().map_err(|error| CliError::Words(format!("plugins.keys: {error}")))
}

/// Whether an interface has no functions, so that asking for it means nothing.
fn is_types(name: &str) -> bool {
    INTERFACES.iter().any(|(known, grant)| *known == name && *grant == Grant::Types)
}

/// The report for people.
pub(super) fn text(report: &Report) -> String {
    let mut text = format!(
        "{}\n  name       {}\n  size       {} bytes\n  sha256     {}\n  signature  {}\n\n",
        report.file, report.name, report.bytes, report.sha256, report.signature
    );
    let capabilities = report.asks.capabilities.iter().any(|name| !is_types(name));
    text += &match capabilities {
        true => format!("It asks of {}:\n", report.contract),
        false => format!("It asks nothing of {}.\n", report.contract),
    };
    for name in &report.asks.capabilities {
        let known = INTERFACES.iter().find(|(known, _)| known == name).map(|(_, grant)| *grant);
        if is_types(name) {
            continue;
        }
        let how = match known {
            Some(Grant::Types | Grant::Default) => "there by default",
            Some(Grant::Operator) => "only if its table grants it",
            None => "not known to this host",
        };
        text += &format!("  {:<12} {how}\n", table::plain(name));
    }
    let others = &report.asks.other_imports;
    if !others.is_empty() {
        let names: Vec<_> = others.iter().map(|name| table::plain(name)).collect();
        text += &format!("\nIt also imports {}.\n", names.join(", "));
    }
    if others.iter().any(|name| name.starts_with("wasi:filesystem")) {
        text += "The file system is empty for it unless its table says grants = [\"filesystem\"].\n";
    }
    text += "\n";
    if report.refusals.is_empty() {
        return text + "It needs no line of the configuration.\n";
    }
    text += "Without a line of the configuration it is refused:\n";
    for reason in &report.refusals {
        text += &format!("  {}\n", table::plain(reason));
    }
    if !report.grants.is_empty() && report.refusals_with_grants.is_empty() {
        let names: Vec<_> = report.grants.iter().map(|name| format!("{name:?}")).collect();
        text += &format!("\nThis loads it:\n\n  [plugin.{}]\n  grants = [{}]\n", report.name, names.join(", "));
    }
    text
}
