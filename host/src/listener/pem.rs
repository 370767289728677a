//! PEM files of a listener: reading them within a bound, and taking out what is asked for.
//!
//! A plugin may be the one who writes such a file. So only a regular file of bounded size is read,
//! opening it never waits, and no byte of it gets into an error: it may be a piece of a key, or
//! megabytes.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ListenError;

/// Far more than any chain or list of authorities.
const MAX_FILE: u64 = 1 << 20;

/// The whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ListenError> {
    read_bounded(path).map_err(|source| ListenError::File { path: path.to_owned(), source })
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would otherwise be waited for until somebody writes to it.
    let unwaiting = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(unwaiting).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB"));
    }
    Ok(bytes)
}

/// Every certificate of the file, at least one. Other sections, a key for example, are passed over.
pub(super) fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, ListenError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(|error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, reason(&error));
        ListenError::File { path: path.to_owned(), source }
    })?;
    if certificates.is_empty() {
        return Err(ListenError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

/// The first private key of the file.
pub(super) fn private_key(path: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, ListenError> {
    PrivateKeyDer::from_pem_slice(bytes)
        .map_err(|error| ListenError::NoKey { path: path.to_owned(), reason: reason(&error) })
}

/// The error without what it quotes of the file.
fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::NoItemsFound => "none found",
        pem::Error::MissingSectionEnd { .. } => "not valid PEM: a section has no end",
        pem::Error::IllegalSectionStart { .. } => "not valid PEM: a section begins wrongly",
        pem::Error::Base64Decode(_) => "not valid PEM: what a section holds is not base64",
        _ => "not valid PEM",
    }
}
