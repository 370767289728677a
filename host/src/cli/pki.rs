//! Certificates for trying mutual TLS: `plugbay pki`.
//!
//! Two authorities, one for each side: with one for both, every server could pose as a client.
//! `NAME.crt` is a certificate, `NAME.key` its key, `NAME.pem` both in one file. Nothing that is
//! there is overwritten.

mod authority;
mod files;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::{Pki, output, table};
use crate::config::is_name;
use authority::{Authority, Pair, ServerName, Subject};
use files::NewFile;

const SERVER_CA: &str = "server-ca";
const CLIENT_CA: &str = "client-ca";
const DEFAULT_SERVER_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const DEFAULT_CLIENT_NAME: &str = "client";
/// The most a common name has room for (RFC 5280, appendix A.1).
const COMMON_NAME: usize = 64;

/// Make the authorities and a certificate for each side; or, where the authorities are there,
/// further certificates.
pub(super) fn run(asked: &Pki) -> Result<(), CliError> {
    output::print(&make(asked)?)
}

/// Does it, and says what there is now.
fn make(asked: &Pki) -> Result<String, CliError> {
    let directory = std::path::absolute(&asked.directory)
        .map_err(|error| CliError::file(asked.directory.display().to_string(), error))?;
    let (server, client) = subjects(asked)?;
    match load(&directory)? {
        None => begin(&directory, server, client, asked.days),
        Some(authorities) => add(&directory, &authorities, server, client, asked.days),
    }
}

/// What was asked for, checked before anything is made.
fn subjects(asked: &Pki) -> Result<(Option<Vec<ServerName>>, Option<String>), CliError> {
    let names = asked.server_names.iter().map(|name| ServerName::parse(name)).collect::<Result<Vec<_>, _>>()?;
    if let Some(first) = names.first().filter(|name| name.text.len() > COMMON_NAME) {
        return Err(CliError::Words(format!(
            "--server-name {}: the first name is the common name, which has at most {COMMON_NAME} characters; give a \
             shorter one first",
            first.text
        )));
    }
    if let Some(name) = asked.client_name.as_ref().filter(|name| !is_name(name)) {
        return Err(CliError::Words(format!(
            "--client-name {name:?}: 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit"
        )));
    }
    Ok((Some(names).filter(|names| !names.is_empty()), asked.client_name.clone()))
}

struct Authorities {
    server: Authority,
    client: Authority,
}

/// The authorities of the directory, if there are any.
fn load(directory: &Path) -> Result<Option<Authorities>, CliError> {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for name in [SERVER_CA, CLIENT_CA] {
        for file in [format!("{name}.crt"), format!("{name}.key")] {
            let is_there = files::exists(&directory.join(&file))?;
            if is_there { there.push(file) } else { missing.push(file) }
        }
    }
    if there.is_empty() {
        return Ok(None);
    }
    if !missing.is_empty() {
        return Err(CliError::Words(format!(
            "{} has {} but not {}: bring back what is missing, or name another directory",
            directory.display(),
            there.join(", "),
            missing.join(", ")
        )));
    }
    let load = |name: &str| {
        let read = |file: PathBuf| {
            std::fs::read_to_string(&file).map_err(|error| CliError::file(file.display().to_string(), error))
        };
        let stem = directory.join(name);
        let pair = Pair { certificate: read(stem.with_extension("crt"))?, key: read(stem.with_extension("key"))? };
        Authority::load(&pair).map_err(|reason| CliError::Words(format!("{}.crt and .key: {reason}", stem.display())))
    };
    Ok(Some(Authorities { server: load(SERVER_CA)?, client: load(CLIENT_CA)? }))
}

/// Both authorities and a certificate for each side.
fn begin(
    directory: &Path,
    server: Option<Vec<ServerName>>,
    client: Option<String>,
    days: u16,
) -> Result<String, CliError> {
    let names = match server {
        Some(names) => names,
        None => DEFAULT_SERVER_NAMES.into_iter().map(ServerName::parse).collect::<Result<_, _>>()?,
    };
    let client = client.unwrap_or_else(|| DEFAULT_CLIENT_NAME.to_owned());
    let (server_authority, server_ca) = Authority::generate("Plugbay development server CA")?;
    let (client_authority, client_ca) = Authority::generate("Plugbay development client CA")?;
    let mut new = Vec::new();
    new.extend(of_authority(SERVER_CA, server_ca, "the authority of servers; clients trust it"));
    new.extend(of_authority(CLIENT_CA, client_ca, "the authority of clients; the listener's client_ca"));
    let example = example(directory, &names);
    let subject = Subject::Server(names);
    new.extend(of_certificate("server", server_authority.issue(&subject, days)?, &subject));
    let subject = Subject::Client(client);
    new.extend(of_certificate("client", client_authority.issue(&subject, days)?, &subject));
    files::write(directory, &new)?;
    Ok(list(directory, &new) + &example)
}

/// Further certificates of authorities that are there.
fn add(
    directory: &Path,
    authorities: &Authorities,
    server: Option<Vec<ServerName>>,
    client: Option<String>,
    days: u16,
) -> Result<String, CliError> {
    if server.is_none() && client.is_none() {
        return Err(CliError::Words(format!(
            "{} has its authorities; say what they are to issue: --server-name NAME or --client-name NAME",
            directory.display()
        )));
    }
    let mut new = Vec::new();
    let mut hint = String::new();
    if let Some(names) = server {
        let stem = free_stem(directory, "server", names.first().map_or("", |name| &name.text))?;
        let subject = Subject::Server(names);
        new.extend(of_certificate(&stem, authorities.server.issue(&subject, days)?, &subject));
        let path = |name: &str| quoted(&directory.join(name));
        hint = format!(
            "\nA listener that has server.pem shows the new one from the next handshake on after\n\n  mv {} {}\n",
            path(&format!("{stem}.pem")),
            path("server.pem")
        );
    }
    if let Some(name) = client {
        let stem = free_stem(directory, "client", &name)?;
        let subject = Subject::Client(name);
        new.extend(of_certificate(&stem, authorities.client.issue(&subject, days)?, &subject));
    }
    files::write(directory, &new)?;
    Ok(list(directory, &new) + &hint)
}

fn of_authority(stem: &str, pair: Pair, purpose: &str) -> [NewFile; 2] {
    let key = "its key, which issues further certificates";
    [file(stem, "crt", pair.certificate, purpose), file(stem, "key", pair.key, key)]
}

fn of_certificate(stem: &str, pair: Pair, subject: &Subject) -> [NewFile; 3] {
    let (purpose, both) = match subject {
        Subject::Server(names) => {
            let names: Vec<_> = names.iter().map(|name| name.text.as_str()).collect();
            (format!("certificate of a server: {}", names.join(", ")), "both in one file; the listener's cert")
        }
        Subject::Client(name) => {
            (format!("certificate of a client: {name}"), "both in one file, for clients that want it so")
        }
    };
    let combined = format!("{}{}", pair.certificate, pair.key);
    [
        file(stem, "crt", pair.certificate, &purpose),
        file(stem, "key", pair.key, "its key"),
        file(stem, "pem", combined, both),
    ]
}

fn file(stem: &str, extension: &str, text: String, purpose: &str) -> NewFile {
    NewFile { name: format!("{stem}.{extension}"), purpose: purpose.to_owned(), text, private: extension != "crt" }
}

/// `SIDE-NAME`, with a number if that is taken.
fn free_stem(directory: &Path, side: &str, name: &str) -> Result<String, CliError> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = name.replace('*', "wildcard").chars().map(plain).collect();
    let mut stem = format!("{side}-{name}");
    let mut number = 1;
    while taken(directory, &stem)? {
        number += 1;
        stem = format!("{side}-{name}-{number}");
    }
    Ok(stem)
}

fn taken(directory: &Path, stem: &str) -> Result<bool, CliError> {
    for extension in ["crt", "key", "pem"] {
        if files::exists(&directory.join(format!("{stem}.{extension}")))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn list(directory: &Path, new: &[NewFile]) -> String {
    let rows: Vec<_> = new.iter().map(|file| vec![file.name.clone(), file.purpose.clone()]).collect();
    format!("In {}, for development only:\n\n{}", directory.display(), table::format(&["FILE", "WHAT IT IS"], &rows))
}

/// A listener with these files, and how to ask it.
fn example(directory: &Path, names: &[ServerName]) -> String {
    let toml = |name: &str| toml::Value::from(directory.join(name).display().to_string());
    let mut text = format!(
        "\nA listener that lets in who has a certificate of the client authority:\n\n[[listener]]\nbind = \
         \"127.0.0.1:9443\"\ntls = {{ cert = {}, client_auth = \"required\", client_ca = {} }}\n",
        toml("server.pem"),
        toml("client-ca.crt")
    );
    if let Some(host) = reachable(names) {
        let path = |name: &str| quoted(&directory.join(name));
        let resolve = if host.contains("127.0.0.1") || host == "localhost" {
            String::new()
        } else {
            format!(" --resolve {host}:9443:127.0.0.1")
        };
        let (authority, client) = (path("server-ca.crt"), path("client.pem"));
        let _ = write!(
            text,
            "\nAsk it with\n\n  curl --cacert {authority} --cert {client}{resolve} https://{host}:9443/\n"
        );
    }
    text
}

/// A name that the server of the example can be asked by.
fn reachable(names: &[ServerName]) -> Option<&str> {
    let mut texts = names.iter().map(|name| name.text.as_str());
    let local = texts.clone().find(|text| ["localhost", "127.0.0.1"].contains(text));
    local.or_else(|| texts.find(|text| !text.starts_with('*') && text.parse::<std::net::IpAddr>().is_err()))
}

/// For a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c)) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
