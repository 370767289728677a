//! Secrets that the operator gives a plugin: in files, or as the token of a service account.
//!
//! Owns their form in the configuration and the reading of the files. They are read each time they are used, so that a
//! replaced file counts from then on, and nothing of it stays in memory. Invariant: a file that
//! others on the machine may read is refused.

use std::path::{Path, PathBuf};

use http::HeaderName;
use serde::Deserialize;

use super::record::Secret;
use crate::outbound::{Credential, Destination, Form, Identity};
use crate::private_file;

/// A secret of the operator. Of a text, the end of the last line is left out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Given {
    /// A password for Basic authentication at these destinations.
    Basic {
        /// The user.
        user: String,
        /// File of the password.
        file: PathBuf,
        /// `SCHEME://HOST[:PORT]`, as in the allow-list, without `at`.
        destinations: Vec<Destination>,
    },
    /// A bearer token for these destinations.
    Bearer {
        /// File of the token.
        file: PathBuf,
        /// `SCHEME://HOST[:PORT]`, as in the allow-list, without `at`.
        destinations: Vec<Destination>,
    },
    /// The value of a header, `X-Auth-Token` for example, for these destinations.
    Header {
        /// Its name.
        header: String,
        /// File of the value.
        file: PathBuf,
        /// `SCHEME://HOST[:PORT]`, as in the allow-list, without `at`.
        destinations: Vec<Destination>,
    },
    /// A string in the JSON body of requests to these destinations: the password of a login.
    Json {
        /// Where, as a JSON pointer; the plugin leaves an empty string there.
        pointer: String,
        /// File of the value.
        file: PathBuf,
        /// `SCHEME://HOST[:PORT]`, as in the allow-list, without `at`.
        destinations: Vec<Destination>,
    },
    /// What the plugin shows servers that ask for a certificate.
    Identity {
        /// File of the chain, leaf first, PEM.
        certificate: PathBuf,
        /// File of the private key, PEM.
        key: PathBuf,
    },
    /// A key for message authentication.
    HmacKey {
        /// File of the key: all its bytes count.
        file: PathBuf,
    },
    /// The token that a service account has at its Keystone at the time, as `X-Auth-Token`, for these destinations.
    Keystone {
        /// Name of the `[auth.NAME]` table with the account.
        auth: String,
        /// `SCHEME://HOST[:PORT]`, as in the allow-list, without `at`.
        destinations: Vec<Destination>,
    },
}

/// What is behind a line of the configuration.
pub(super) enum Held {
    /// It was in files.
    Here(Secret),
    /// It has to be asked for.
    AtKeystone {
        /// Where.
        auth: String,
        /// What it is for.
        destinations: Vec<Destination>,
    },
}

impl Given {
    /// Every file it names.
    pub(crate) fn files(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Basic { file, .. }
            | Self::Bearer { file, .. }
            | Self::Header { file, .. }
            | Self::Json { file, .. }
            | Self::HmacKey { file } => vec![file],
            Self::Identity { certificate, key } => vec![certificate, key],
            Self::Keystone { .. } => Vec::new(),
        }
    }

    /// Read it. Blocks. The error is for the log and the operator, not for the plugin.
    pub(super) fn read(&self) -> Result<Held, String> {
        let secret = match self {
            Self::Basic { user, file, destinations } => {
                credential(Form::Basic { user: user.clone() }, file, destinations)
            }
            Self::Bearer { file, destinations } => credential(Form::Bearer, file, destinations),
            Self::Header { header, file, destinations } => {
                let name = HeaderName::from_bytes(header.as_bytes());
                let name = name.map_err(|_| format!("header: {header:?} is no name of a header"))?;
                credential(Form::Header(name), file, destinations)
            }
            Self::Json { pointer, file, destinations } => {
                credential(Form::Json { pointer: pointer.clone() }, file, destinations)
            }
            Self::Identity { certificate, key } => {
                // It is no secret, whoever may read it.
                let chain = private_file::public(certificate)?;
                let key = private_file::private(key)?;
                Identity::from_pem(&chain, &key).map_err(|error| error.to_string())?;
                Ok(Secret::Identity { chain, key })
            }
            Self::HmacKey { file } => match private_file::private(file)? {
                key if key.is_empty() => Err(format!("{}: it is empty", file.display())),
                key => Ok(Secret::HmacKey(key)),
            },
            Self::Keystone { auth, destinations } => {
                return Ok(Held::AtKeystone { auth: auth.clone(), destinations: destinations.clone() });
            }
        };
        secret.map(Held::Here)
    }
}

fn credential(form: Form, file: &Path, destinations: &[Destination]) -> Result<Secret, String> {
    let value = private_file::text(file)?;
    let made = Credential::new(form, value, destinations.to_vec());
    made.map(Secret::Credential).map_err(|error| format!("{}: {error}", file.display()))
}
