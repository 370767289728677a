//! Secrets of one plugin: kept sealed, used by name, never read back.
//!
//! Owns names, kinds and limits, and which of two secrets of one name counts: the operator's, given in files or as the
//! token of a service account ([`Given`]). What plugins hand over or have made lies sealed in the store ([`vault`]). Does not own what is done with
//! a secret: [`Identity`] and [`Credential`] are for the host's own client, HMAC is done here.
//!
//! Invariants: there is no way to get a secret's content out, only its public part; content is in no text, neither
//! errors nor `Debug`; what was acknowledged is on disk; memory that held content is wiped, as far as it is ours
//! (TLS keeps keys in its own form).

mod certificate;
mod error;
mod given;
mod record;
mod vault;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use zeroize::Zeroizing;

pub use certificate::MAX_DAYS;
pub use error::SecretError;
pub use given::Given;
pub use record::Kind;

use given::Held;
use record::Secret;
use vault::{Existing, Vault};

use crate::blob::Algorithm;
use crate::capability::crypto::{KeyRing, hmac};
use crate::keystone::{Keystones, ServiceToken};
use crate::outbound::{Credential, CredentialError, Destination, Fingerprint, Form, Identity};
use crate::private_file;
use crate::store::Store;

/// Longest name, in bytes.
pub const MAX_NAME: usize = 128;
/// Most secrets of one plugin, beside those of the operator.
pub const MAX_SECRETS: u64 = 256;
/// Most bytes of one secret, and of a file of the operator.
pub const MAX_RECORD: usize = private_file::MAX_LENGTH;

/// The secrets of one plugin.
pub struct Secrets {
    vault: Vault,
    given: BTreeMap<String, Given>,
    keystones: Keystones,
}

/// A secret of the operator that cannot be used: which, and why. For the operator, not for the plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret {name:?}: {reason}")]
pub struct GivenError {
    /// Its name in the configuration.
    pub name: String,
    /// What is wrong, with the file.
    pub reason: String,
}

/// What may be known of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// The chain, leaf first, PEM.
    pub chain: String,
    /// SHA-256 over the DER of the leaf.
    pub fingerprint: Fingerprint,
}

/// A name in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Whether it is the operator's.
    pub operators: bool,
}

impl Secrets {
    /// Of this plugin. Reads every file of the operator once, to refuse what is of no use. Blocks.
    ///
    /// # Errors
    /// The first secret that cannot be used.
    pub fn open(
        store: Store,
        ring: Arc<KeyRing>,
        plugin: &str,
        given: &BTreeMap<String, Given>,
        keystones: Keystones,
    ) -> Result<Self, GivenError> {
        for (name, secret) in given {
            let wrong = |reason| GivenError { name: name.clone(), reason };
            check_name(name).map_err(|error| wrong(error.to_string()))?;
            if let Held::AtKeystone { auth, destinations } = secret.read().map_err(wrong)? {
                // Whether it could be sent, with something in place of the token.
                token_for("token", destinations).map_err(|error| wrong(error.to_string()))?;
                if !keystones.contains_key(&auth) {
                    return Err(wrong(format!("there is no Keystone in [auth.{auth}]")));
                }
            }
        }
        Ok(Self { vault: Vault::new(store, ring, plugin), given: given.clone(), keystones })
    }

    /// Keep a credential, in place of one of the same name. Durable when it returns.
    ///
    /// # Errors
    /// `Invalid`, `Operators`, `TooMany`, `Storage`.
    pub async fn put_credential(
        &self,
        name: &str,
        form: Form,
        value: Zeroizing<String>,
        destinations: Vec<Destination>,
    ) -> Result<(), SecretError> {
        let credential = Credential::new(form, value, destinations);
        let credential = credential.map_err(|error| SecretError::Invalid(error.to_string()))?;
        self.put(name, &Secret::Credential(credential), Existing::Replace).await.map(drop)
    }

    /// Keep a key for message authentication, in place of one of the same name. Durable when it returns.
    ///
    /// # Errors
    /// `Invalid`, `Operators`, `TooMany`, `Storage`.
    pub async fn put_hmac_key(&self, name: &str, key: Zeroizing<Vec<u8>>) -> Result<(), SecretError> {
        match key.is_empty() {
            true => Err(SecretError::Invalid("an HMAC key is not empty".into())),
            false => self.put(name, &Secret::HmacKey(key), Existing::Replace).await.map(drop),
        }
    }

    /// Keep an identity that was made elsewhere, PEM, in place of one of the same name. Durable when it returns.
    ///
    /// # Errors
    /// `Invalid` for what is no chain and its key, `Operators`, `TooMany`, `Storage`.
    pub async fn put_identity(&self, name: &str, chain: &[u8], key: Zeroizing<Vec<u8>>) -> Result<Public, SecretError> {
        let identity = Identity::from_pem(chain, &key).map_err(|error| SecretError::Invalid(error.to_string()))?;
        let secret = Secret::Identity { chain: chain.to_vec(), key };
        self.put(name, &secret, Existing::Replace).await?;
        Ok(public(&identity))
    }

    /// Make sure that there is an identity of this name: a new key with a self-signed certificate of this common
    /// name, valid for so many days, unless there is one (whatever its name and end; the operator's,
    /// too). Durable when it returns; of calls at the same time, all get the same one.
    ///
    /// # Errors
    /// `Invalid`, `WrongKind`, `TooMany`, `Storage`.
    pub async fn ensure_identity(&self, name: &str, common_name: &str, days: u32) -> Result<Public, SecretError> {
        match self.public(name).await {
            Err(SecretError::NotFound(_)) => {}
            found => return found,
        }
        let secret = certificate::generate(common_name, days)?;
        self.put(name, &secret, Existing::Keep).await?;
        self.public(name).await
    }

    /// The public part of an identity.
    ///
    /// # Errors
    /// `NotFound`, `WrongKind`, `Storage`.
    pub async fn public(&self, name: &str) -> Result<Public, SecretError> {
        self.identity(name).await.map(|identity| public(&identity))
    }

    /// An identity, for the host's client.
    ///
    /// # Errors
    /// `NotFound`, `WrongKind`, `Storage`.
    pub async fn identity(&self, name: &str) -> Result<Identity, SecretError> {
        match self.get(name).await? {
            Secret::Identity { chain, key } => Identity::from_pem(&chain, &key)
                .map_err(|error| SecretError::Storage(format!("the stored identity `{name}` is damaged: {error}"))),
            other => Err(wrong_kind(name, &other, Kind::Identity)),
        }
    }

    /// A credential, for the host's client.
    ///
    /// # Errors
    /// `NotFound`, `WrongKind`, `Storage`.
    pub async fn credential(&self, name: &str) -> Result<Credential, SecretError> {
        match self.get(name).await? {
            Secret::Credential(credential) => Ok(credential),
            other => Err(wrong_kind(name, &other, Kind::Credential)),
        }
    }

    /// Another credential in place of one that a server refused; none if there is no other.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn credential_in_place_of(
        &self,
        name: &str,
        refused: &Credential,
    ) -> Result<Option<Credential>, SecretError> {
        let Some(Given::Keystone { auth, destinations }) = self.given.get(name) else { return Ok(None) };
        let Some(keystone) = self.keystones.get(auth) else { return Ok(None) };
        let made = match keystone.token_in_place_of(refused.value()).await {
            Ok(Some(token)) => credential_of(&token, destinations.clone()).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        made.map_err(|why| of_no_use(name, &why))
    }

    /// HMAC of some bytes under a kept key.
    ///
    /// # Errors
    /// `NotFound`, `WrongKind`, `Storage`.
    pub async fn hmac(&self, name: &str, algorithm: Algorithm, data: &[u8]) -> Result<Vec<u8>, SecretError> {
        match self.get(name).await? {
            Secret::HmacKey(key) => Ok(hmac(algorithm, &key, data)),
            other => Err(wrong_kind(name, &other, Kind::HmacKey)),
        }
    }

    /// Forget a secret; whether there was one. Durable when it returns.
    ///
    /// # Errors
    /// `Operators`, `Storage`.
    pub async fn remove(&self, name: &str) -> Result<bool, SecretError> {
        self.check_own(name)?;
        self.vault.remove(name).await
    }

    /// Every name in use, in order.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn list(&self) -> Result<Vec<Named>, SecretError> {
        let own = self.vault.names().await?.into_iter().map(|name| (name, false));
        let all: BTreeMap<String, bool> = own.chain(self.given.keys().map(|name| (name.clone(), true))).collect();
        Ok(all.into_iter().map(|(name, operators)| Named { name, operators }).collect())
    }

    fn check_own(&self, name: &str) -> Result<(), SecretError> {
        check_name(name)?;
        match self.given.contains_key(name) {
            true => Err(SecretError::Operators(name.to_owned())),
            false => Ok(()),
        }
    }

    async fn put(&self, name: &str, secret: &Secret, existing: Existing) -> Result<bool, SecretError> {
        self.check_own(name)?;
        self.vault.put(name, &secret.write(), existing).await
    }

    async fn token(&self, auth: &str, to: Vec<Destination>) -> Result<Secret, String> {
        let keystone = self.keystones.get(auth).ok_or_else(|| format!("there is no Keystone in [auth.{auth}]"))?;
        let token = keystone.token().await.map_err(|error| error.to_string())?;
        credential_of(&token, to).map(Secret::Credential)
    }

    async fn get(&self, name: &str) -> Result<Secret, SecretError> {
        check_name(name)?;
        if let Some(given) = self.given.get(name).cloned() {
            let read = tokio::task::spawn_blocking(move || given.read()).await;
            let read = match read.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(Held::Here(secret)) => Ok(secret),
                Ok(Held::AtKeystone { auth, destinations }) => self.token(&auth, destinations).await,
                Err(error) => Err(error),
            };
            return read.map_err(|error| of_no_use(name, &error));
        }
        let record = self.vault.get(name).await?.ok_or_else(|| SecretError::NotFound(name.to_owned()))?;
        Secret::read(&record).ok_or_else(|| SecretError::Storage(format!("the stored secret `{name}` is damaged")))
    }
}

/// For the log, and for the plugin.
fn of_no_use(name: &str, error: &str) -> SecretError {
    tracing::error!(secret = name, %error, "a secret of the operator cannot be used");
    SecretError::Storage(format!("the operator's secret `{name}` cannot be used; the log says why"))
}

fn credential_of(token: &ServiceToken, to: Vec<Destination>) -> Result<Credential, String> {
    token_for(token.value(), to).map_err(|error| error.to_string())
}

fn token_for(token: &str, to: Vec<Destination>) -> Result<Credential, CredentialError> {
    let form = Form::Header(HeaderName::from_static("x-auth-token"));
    Credential::new(form, Zeroizing::new(token.to_owned()), to)
}

fn check_name(name: &str) -> Result<(), SecretError> {
    match name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        true => Err(SecretError::Invalid(format!("a secret's name has 1 to {MAX_NAME} bytes, no control characters"))),
        false => Ok(()),
    }
}

fn wrong_kind(name: &str, is: &Secret, wanted: Kind) -> SecretError {
    SecretError::WrongKind { name: name.to_owned(), is: is.kind(), wanted }
}

/// Written anew from what was read, so that nothing else in the operator's or plugin's text comes along.
fn public(identity: &Identity) -> Public {
    let mut chain = String::new();
    for certificate in identity.chain() {
        chain.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(certificate);
        for (position, character) in text.chars().enumerate() {
            if position > 0 && position % 64 == 0 {
                chain.push('\n');
            }
            chain.push(character);
        }
        chain.push_str("\n-----END CERTIFICATE-----\n");
    }
    Public { chain, fingerprint: identity.fingerprint() }
}

#[cfg(test)]
mod tests;
