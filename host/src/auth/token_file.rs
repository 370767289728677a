//! The token file: reading it, and adding a new token to it.
//!
//! ```toml
//! [[token]]
//! hash = "sha256:…"                  # of the token's bytes, in hex
//! id = "u-17"
//! name = "alice"                     # default: the id
//! project = "demo"                   # default: none
//! roles = ["admin"]
//! expires = 2027-01-01T00:00:00Z     # default: never
//! loopback_only = true               # default: false
//! extra = { email = "alice@example.org" }
//! ```
//!
//! The hash is a plain SHA-256 without salt: a token is 256 random bits, so there is nothing to
//! guess and nothing to precompute, and a slow hash would only slow down every request. Hashes of
//! passwords that people think up do not belong here.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Larger files are refused; that is some fifty thousand tokens.
const LARGEST: u64 = 16 << 20;

/// What is wrong with a token file.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("{}: cannot read the token file: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written. What was there before is unchanged.
    #[error("{}: cannot write the token file: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It can be read and is not right.
    #[error("{}:{line}: {message}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong. Never holds a value of the file.
        message: String,
    },
    /// Everybody on the machine could add tokens to it.
    #[error("{}: everybody may write to the token file; run chmod o-w on it", .0.display())]
    Writable(PathBuf),
    /// The system has no random bytes.
    #[error("no random bytes for a token: {0}")]
    Random(getrandom::Error),
}

/// SHA-256 of a token.
pub(super) type Hash = [u8; 32];

pub(super) fn hash(token: &[u8]) -> Hash {
    Sha256::digest(token).into()
}

/// One token of the file, checked.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) hash: Hash,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project: Option<String>,
    pub(super) roles: Vec<String>,
    pub(super) extra: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub(super) expires: Option<i64>,
    pub(super) loopback_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    token: Vec<toml::Spanned<WrittenToken>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenToken {
    hash: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<toml::value::Datetime>,
    #[serde(default)]
    loopback_only: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, String>,
}

/// Read a file. None if it does not exist.
pub(super) fn read(file: &Path) -> Result<Option<Vec<Entry>>, TokenFileError> {
    let failed = |source| TokenFileError::Read { file: file.to_owned(), source };
    let facts = match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        facts => facts.map_err(failed)?,
    };
    if facts.mode() & 0o002 != 0 {
        return Err(TokenFileError::Writable(file.to_owned()));
    }
    if facts.len() > LARGEST {
        return Err(failed(io::Error::new(ErrorKind::FileTooLarge, "larger than 16 MiB")));
    }
    let text = fs::read_to_string(file).map_err(failed)?;
    parse(&text, file).map(Some)
}

/// `file` is for messages only.
pub(super) fn parse(text: &str, file: &Path) -> Result<Vec<Entry>, TokenFileError> {
    let invalid = |span: Range<usize>, message: &str| TokenFileError::Invalid {
        file: file.to_owned(),
        line: 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count(),
        message: message.to_owned(),
    };
    let written: Written = toml::from_str(text).map_err(|error| {
        // The reader quotes wrong values, and a wrong value may be a token.
        let message = error.message();
        let quotes = message.starts_with("invalid ");
        let message = if quotes { "a value of the wrong type" } else { message };
        invalid(error.span().unwrap_or_default(), message)
    })?;

    let mut entries: Vec<Entry> = Vec::with_capacity(written.token.len());
    let mut hashes = std::collections::HashSet::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for token in written.token {
        let span = token.span();
        let entry = checked(token.into_inner()).map_err(|message| invalid(span.clone(), message))?;
        // The table is keyed by this part of the hash.
        if !hashes.insert(super::tokens::short(&entry.hash)) {
            return Err(invalid(span, "this hash stands in the file already"));
        }
        // A catalog of users has to be a function both ways.
        let name = names.entry(entry.id.clone()).or_insert_with(|| entry.name.clone());
        let id = ids.entry(entry.name.clone()).or_insert_with(|| entry.id.clone());
        if *name != entry.name || *id != entry.id {
            let message = "another token has this id with another name, or this name with another id";
            return Err(invalid(span, message));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn checked(written: WrittenToken) -> Result<Entry, &'static str> {
    const HASH: &str = "hash has to be sha256: and 64 hex digits; `plugbay token new` writes it";
    let digits = written.hash.strip_prefix("sha256:").ok_or(HASH)?;
    let mut hash = Hash::default();
    hex::decode_to_slice(digits, &mut hash).map_err(|_| HASH)?;
    let name = written.name.unwrap_or_else(|| written.id.clone());
    if [&written.id, &name].iter().any(|text| text.is_empty() || text.contains(char::is_control)) {
        return Err("id and name have to be text that is not empty");
    }
    let expires = match written.expires {
        None => None,
        Some(date) => {
            let when: jiff::Timestamp = date
                .to_string()
                .parse()
                .map_err(|_| "expires has to be a date with time and offset: 2027-01-01T00:00:00Z")?;
            Some(when.as_second())
        }
    };
    Ok(Entry {
        hash,
        id: written.id,
        name,
        project: written.project,
        roles: written.roles,
        extra: written.extra,
        expires,
        loopback_only: written.loopback_only,
    })
}

/// Whom a new token is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewToken {
    /// Stable id of the user.
    pub id: String,
    /// None: the id.
    pub name: Option<String>,
    /// Project or tenant.
    pub project: Option<String>,
    /// Roles there.
    pub roles: Vec<String>,
    /// None: never.
    pub expires: Option<jiff::Timestamp>,
    /// Good on this machine only.
    pub loopback_only: bool,
}

/// A token's text. Shown to its owner once; does not show itself in debug output.
pub struct Secret(String);

impl Secret {
    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Make a random token and add its hash to the file, which is made with mode 0600 if there is
/// none. The file is replaced whole and durably: a reader sees it before or after. Comments stay.
/// A file that is not right is left alone.
pub fn issue(file: &Path, new: &NewToken) -> Result<Secret, TokenFileError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(TokenFileError::Random)?;
    // The prefix lets people, and programs that look for leaked secrets, know it for what it is.
    let secret = format!("plugbay_{}", URL_SAFE_NO_PAD.encode(random));
    let token = WrittenToken {
        hash: format!("sha256:{}", hex::encode(hash(secret.as_bytes()))),
        id: new.id.clone(),
        name: new.name.clone(),
        project: new.project.clone(),
        roles: new.roles.clone(),
        expires: new.expires.and_then(|when| when.to_string().parse().ok()),
        loopback_only: new.loopback_only,
        extra: BTreeMap::new(),
    };
    add(file, &token)?;
    Ok(Secret(secret))
}

fn add(file: &Path, token: &WrittenToken) -> Result<(), TokenFileError> {
    // A symbolic link stays one; what it points to is replaced.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let failed = |source| TokenFileError::Write { file: file.clone(), source };
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    // Held until the end: of two who add at once, neither loses the other's token.
    let dir_handle = File::open(dir).map_err(failed)?;
    dir_handle.lock().map_err(failed)?;

    let mut text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.map_err(|source| TokenFileError::Read { file: file.clone(), source })?,
    };
    if !text.is_empty() {
        text += if text.ends_with('\n') { "\n" } else { "\n\n" };
    }
    let written = toml::to_string(token).map_err(|error| failed(io::Error::other(error)))?;
    text += "[[token]]\n";
    text += &written;
    parse(&text, &file)?;
    replace(&file, &text).and_then(|()| dir_handle.sync_all()).map_err(failed)
}

fn replace(file: &Path, text: &str) -> io::Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let aside = file.with_file_name(format!(".{name}.new"));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    if let Ok(old) = fs::metadata(file) {
        // Whoever could read the old one, the server among them, can read the new one.
        let own = new.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(&new, Some(old.uid()), Some(old.gid()))?;
        }
        new.set_permissions(old.permissions())?;
    }
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(&aside, file)
}
