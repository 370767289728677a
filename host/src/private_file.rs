//! Files of the operator with something in them that nobody else is to know: passwords, tokens, keys.
//!
//! Invariants: a file that others on the machine may read is refused; it is read whole, up to a bound, into memory that is
//! wiped. Blocks; errors name the file, and are for the operator.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

/// Longest file, in bytes.
pub const MAX_LENGTH: usize = 64 * 1024;

/// The bytes of a file that only its owner and group may read.
///
/// # Errors
/// In words, with the file.
pub fn private(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    bytes(path, true)
}

/// The bytes of a file that may be public.
///
/// # Errors
/// In words, with the file.
pub fn public(path: &Path) -> Result<Vec<u8>, String> {
    bytes(path, false).map(|bytes| bytes.to_vec())
}

/// The text of a private file, without the end of its last line.
///
/// # Errors
/// In words, with the file.
pub fn text(path: &Path) -> Result<Zeroizing<String>, String> {
    let bytes = private(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{}: it is not text", path.display()))?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(Zeroizing::new(text.to_owned()))
}

fn bytes(path: &Path, private: bool) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("{}: it is not a file", path.display()));
    }
    if private && metadata.mode() & 0o007 != 0 {
        return Err(format!("{0}: everybody on this machine may use it; run `chmod o= {0}`", path.display()));
    }
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if length > MAX_LENGTH {
        return Err(format!("{}: it has more than {MAX_LENGTH} bytes", path.display()));
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    file.read_exact(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
