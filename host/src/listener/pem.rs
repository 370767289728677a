//! PEM files of a listener: reading them within a bound, and taking out what is asked for.
//!
//! A plugin may be the one who writes such a file. So only a regular file of bounded size is read,
//! opening it never waits and follows no link that a plugin made, and no byte of it gets into an
//! error: it may be a piece of a key, or megabytes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ListenError;

/// Far more than any chain or list of authorities.
const MAX_FILE: u64 = 1 << 20;

/// The whole file. Below `plugins` no link is followed.
pub(super) fn read(path: &Path, plugins: Option<&Path>) -> Result<Vec<u8>, ListenError> {
    read_bounded(path, plugins).map_err(|source| ListenError::File { path: path.to_owned(), source })
}

fn read_bounded(path: &Path, plugins: Option<&Path>) -> io::Result<Vec<u8>> {
    // A pipe would otherwise be waited for until somebody writes to it.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match plugins.and_then(|plugins| Some((plugins, path.strip_prefix(plugins).ok()?))) {
        Some((plugins, below)) => {
            let folder = rustix::fs::open(plugins, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let strictly = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            File::from(rustix::fs::openat2(folder, below, flags, Mode::empty(), strictly)?)
        }
        None => File::from(rustix::fs::open(path, flags, Mode::empty())?),
    };
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
