//! Commands about a running host: what it serves, and calls to its plugins.

use std::path::Path;
use std::process::ExitCode;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Deserialize;

use super::client::{self, Client};
use super::error::CliError;
use super::output::{self, Sink};
use super::{Call, table};
use crate::config::Config;

/// A plugin as the host tells of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) version: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) schema: Option<u32>,
    pub(super) mounts: Vec<String>,
    pub(super) resting: bool,
    pub(super) last_error: Option<String>,
}

/// List the plugins.
pub(super) async fn plugins(config: &Config, json: bool) -> Result<(), CliError> {
    let answer = Client::connect(&config.admin.socket).await?.ask(Method::GET, "/plugins").await?;
    if json {
        return output::print(&format!("{}\n", String::from_utf8_lossy(&answer)));
    }
    output::print(&list(&read::<Vec<Row>>(&answer)?))
}

/// Have a plugin's file read again.
pub(super) async fn reload(config: &Config, name: &str) -> Result<(), CliError> {
    let path = format!("/plugins/{}/reload", segment(name)?);
    let answer = Client::connect(&config.admin.socket).await?.ask(Method::POST, &path).await?;
    output::print(&list(&[read(&answer)?]))
}

/// Call a plugin's operator surface.
pub(super) async fn call(config: &Config, call: &Call) -> Result<ExitCode, CliError> {
    let method = Method::try_from(call.method.as_str())
        .map_err(|_| CliError::Words(format!("{:?} is no method", call.method)))?;
    let slash = if call.path.starts_with('/') { "" } else { "/" };
    let path = format!("/call/{}{slash}{}", segment(&call.name)?, call.path);
    let mut headers = HeaderMap::new();
    let body = match call.data.as_deref() {
        None => Body::empty(),
        Some(file) => body(file, &mut headers)?,
    };
    for field in &call.headers {
        let (name, value) = parse_field(field)?;
        headers.append(name, value);
    }
    let answer = Client::connect(&config.admin.socket).await?.send(method, &path, headers, body).await?;
    let status = answer.status();
    output::say(&status.to_string());
    let sink = Sink::open(None)?;
    client::copy(answer.into_body(), &mut sink.writer()?).await?;
    Ok(match status.as_u16() {
        ..400 => ExitCode::SUCCESS,
        400..500 => ExitCode::from(4),
        500.. => ExitCode::from(5),
    })
}

fn body(file: &Path, headers: &mut HeaderMap) -> Result<Body, CliError> {
    if file == Path::new("-") {
        return Ok(client::upload(output::stdin()?));
    }
    let failed = |error| CliError::file(file.display().to_string(), error);
    let open = std::fs::File::open(file).map_err(failed)?;
    let metadata = open.metadata().map_err(failed)?;
    if metadata.is_file() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(metadata.len()));
    }
    Ok(client::upload(open))
}

/// A header field as written: `NAME: VALUE`.
pub(super) fn parse_field(field: &str) -> Result<(HeaderName, HeaderValue), CliError> {
    let parsed = field.split_once(':').and_then(|(name, value)| {
        Some((HeaderName::try_from(name.trim()).ok()?, HeaderValue::try_from(value.trim()).ok()?))
    });
    parsed.ok_or_else(|| CliError::Words(format!("{field:?} is no header field; write NAME: VALUE")))
}

/// A plugin's name as part of a path.
fn segment(name: &str) -> Result<&str, CliError> {
    if crate::config::is_name(name) {
        Ok(name)
    } else {
        Err(CliError::Words(format!("no plugin can be named {name:?}")))
    }
}

fn read<T: for<'de> Deserialize<'de>>(answer: &[u8]) -> Result<T, CliError> {
    serde_json::from_slice(answer)
        .map_err(|error| CliError::Words(format!("the host's answer cannot be read: {error}")))
}

/// The plugins as a table, and beneath it why files were refused.
pub(super) fn list(plugins: &[Row]) -> String {
    let none = || "-".to_owned();
    let row = |plugin: &Row| {
        let state = if plugin.resting { format!("{}, resting", plugin.state) } else { plugin.state.clone() };
        let digest = plugin.digest.as_deref().and_then(|digest| digest.get(..12));
        vec![
            plugin.name.clone(),
            state,
            plugin.version.clone().unwrap_or_else(none),
            plugin.schema.map_or_else(none, |schema| schema.to_string()),
            digest.map_or_else(none, str::to_owned),
            if plugin.mounts.is_empty() { none() } else { plugin.mounts.join(", ") },
        ]
    };
    let rows: Vec<Vec<String>> = plugins.iter().map(row).collect();
    let mut text = table::format(&["NAME", "STATE", "VERSION", "SCHEMA", "SHA-256", "MOUNTS"], &rows);
    for plugin in plugins {
        if let Some(error) = &plugin.last_error {
            let lines: Vec<_> = error.lines().map(table::plain).collect();
            text += &format!("\n{}: its file was refused: {}\n", plugin.name, lines.join("\n  "));
        }
    }
    text
}
