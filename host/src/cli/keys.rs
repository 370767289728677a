//! Keys that plugins are signed with, and signing.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::CliError;
use super::{Subject, inspect, output};
use crate::plugin::{Digest, signature};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Make a key pair: the private key into the file, the public one printed.
pub(super) fn generate(file: &Path) -> Result<(), CliError> {
    let (private, public) = signature::generate()?;
    let failed = |error| CliError::file(file.display().to_string(), error);
    let mut out = std::fs::File::options().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    out.write_all(armour(&private).as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    output::print(&format!("{public}\n"))?;
    output::say(&format!("the private key is in {}; put the public key above into [plugins] keys", file.display()));
    Ok(())
}

/// Write the signature of a plugin file beside it.
pub(super) fn sign(subject: &Subject, key: &Path) -> Result<(), CliError> {
    let name = subject.name()?;
    let digest = Digest::of(&inspect::read(&subject.file)?);
    let key_bytes = std::fs::read(key).map_err(|error| CliError::file(key.display().to_string(), error))?;
    let text = signature::sign(&unarmour(key_bytes), &name, &digest)?;
    let file = signature_path(&subject.file);
    std::fs::write(&file, format!("{text}\n")).map_err(|error| CliError::file(file.display().to_string(), error))?;
    output::say(&format!("{} signs {digest} as the plugin {name}", file.display()));
    Ok(())
}

/// Where the signature of a plugin file is.
pub(super) fn signature_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// PKCS #8 as PEM (RFC 7468).
pub(super) fn armour(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let body: Vec<_> = lines.collect();
    format!("{BEGIN}\n{}\n{END}\n", body.join("\n"))
}

/// PKCS #8, out of PEM or as it is.
pub(super) fn unarmour(bytes: Vec<u8>) -> Vec<u8> {
    let text = std::str::from_utf8(&bytes).ok();
    let body = text.and_then(|text| text.split_once(BEGIN)?.1.split_once(END));
    let der = body.and_then(|(body, _)| STANDARD.decode(body.split_whitespace().collect::<String>()).ok());
    der.unwrap_or(bytes)
}
