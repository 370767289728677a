//! What a secret is, and how it is written down before it is sealed.
//!
//! A record is a version byte (1), a byte for the kind, and fields, each with its length in four bytes, big-endian,
//! before it. An identity has the chain and the key, PEM; a credential has the form, the user, header or
//! pointer, the value, and its destinations; an HMAC key is one field.
//!
//! Invariant: a record is in memory only in buffers that are wiped.

use std::fmt;

use http::HeaderName;
use zeroize::Zeroizing;

use crate::outbound::{Credential, Form};

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A TLS client's certificate chain and private key.
    Identity = 1,
    /// Attached to outbound requests.
    Credential = 2,
    /// For message authentication.
    HmacKey = 3,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "an identity",
            Self::Credential => "a credential",
            Self::HmacKey => "an HMAC key",
        })
    }
}

/// The content of a secret.
pub(super) enum Secret {
    /// Both PEM.
    Identity {
        chain: Vec<u8>,
        key: Zeroizing<Vec<u8>>,
    },
    Credential(Credential),
    HmacKey(Zeroizing<Vec<u8>>),
}

const VERSION: u8 = 1;

impl Secret {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Identity { .. } => Kind::Identity,
            Self::Credential(_) => Kind::Credential,
            Self::HmacKey(_) => Kind::HmacKey,
        }
    }

    pub(super) fn write(&self) -> Zeroizing<Vec<u8>> {
        let destinations: Vec<String>;
        let mut fields: Vec<&[u8]> = Vec::new();
        match self {
            Self::Identity { chain, key } => fields.extend([chain.as_slice(), key.as_slice()]),
            Self::HmacKey(key) => fields.push(key),
            Self::Credential(credential) => {
                fields.extend(match credential.form() {
                    Form::Basic { user } => [&b"basic"[..], user.as_bytes()],
                    Form::Bearer => [&b"bearer"[..], b""],
                    Form::Header(name) => [&b"header"[..], name.as_str().as_bytes()],
                    Form::Json { pointer } => [&b"json"[..], pointer.as_bytes()],
                });
                fields.push(credential.value().as_bytes());
                destinations = credential.destinations().iter().map(ToString::to_string).collect();
                fields.extend(destinations.iter().map(String::as_bytes));
            }
        }
        // With all its room from the start: growing would leave a copy behind.
        let mut record = Vec::with_capacity(2 + fields.iter().map(|field| 4 + field.len()).sum::<usize>());
        record.extend([VERSION, self.kind() as u8]);
        for field in fields {
            record.extend(u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            record.extend_from_slice(field);
        }
        Zeroizing::new(record)
    }

    /// None if it is no record.
    pub(super) fn read(record: &[u8]) -> Option<Self> {
        let [VERSION, kind, rest @ ..] = record else { return None };
        let mut rest = rest;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk()?;
            let (field, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            fields.push(field);
            rest = behind;
        }
        match (*kind, fields.as_slice()) {
            (1, [chain, key]) => Some(Self::Identity { chain: chain.to_vec(), key: Zeroizing::new(key.to_vec()) }),
            (2, [form, with, value, destinations @ ..]) => {
                let form = match *form {
                    b"basic" => Form::Basic { user: text(with)? },
                    b"bearer" => Form::Bearer,
                    b"header" => Form::Header(HeaderName::from_bytes(with).ok()?),
                    b"json" => Form::Json { pointer: text(with)? },
                    _ => return None,
                };
                let to = destinations.iter().map(|line| text(line)?.parse().ok()).collect::<Option<_>>()?;
                Credential::new(form, Zeroizing::new(text(value)?), to).ok().map(Self::Credential)
            }
            (3, [key]) => Some(Self::HmacKey(Zeroizing::new(key.to_vec()))),
            _ => None,
        }
    }
}

fn text(field: &[u8]) -> Option<String> {
    std::str::from_utf8(field).ok().map(str::to_owned)
}
