//! A credential that the client attaches to requests, and the destinations it is for.
//!
//! Owns its form on the wire and the binding. Invariants: it goes to no destination that is not listed with it; its
//! value is in no text (`Debug` leaves it out), is wiped when dropped, and is marked sensitive in headers. What was
//! written into a request for the wire is not wiped.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::Value;
use zeroize::Zeroizing;

use super::destination::Destination;
use super::error::OutboundError;
use super::request::{Checked, is_reserved};
use super::target::Target;

/// Longest value, in bytes.
pub const MAX_VALUE: usize = 16 * 1024;

/// How a credential is written in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `Authorization: Basic` of this user; the value is the password (RFC 7617).
    Basic {
        /// Without a colon.
        user: String,
    },
    /// `Authorization: Bearer` (RFC 6750).
    Bearer,
    /// A header field of its own, such as `X-Auth-Token`.
    Header(HeaderName),
    /// Inside of the request's body, for logins: the string at this place of its JSON, which the plugin leaves empty.
    Json {
        /// A JSON pointer (RFC 6901), such as `/auth/identity/password/user/password`.
        pointer: String,
    },
}

/// A value and where it may be sent.
#[derive(Clone)]
pub struct Credential {
    form: Form,
    value: Zeroizing<String>,
    destinations: Vec<Destination>,
}

/// Why a credential cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The value does not fit into a header.
    #[error("a credential's value has 1 to {MAX_VALUE} bytes, and no control characters")]
    Value,
    /// The user does not fit into Basic authentication.
    #[error("a user name has no colon and no control characters")]
    User,
    /// Not a place in a JSON text.
    #[error("a JSON pointer begins with / and has at most {MAX_VALUE} bytes")]
    Pointer,
    /// A header that the client sets itself, or one of the connection.
    #[error("the header `{0}` cannot carry a credential")]
    Header(HeaderName),
    /// It would never be sent.
    #[error("a credential needs at least one destination, written as SCHEME://HOST[:PORT] without `at`")]
    Destinations,
}

impl Credential {
    /// For these destinations only.
    ///
    /// # Errors
    /// If one of the parts is not usable.
    pub fn new(form: Form, value: Zeroizing<String>, to: Vec<Destination>) -> Result<Self, CredentialError> {
        if value.is_empty() || value.len() > MAX_VALUE || value.chars().any(char::is_control) {
            return Err(CredentialError::Value);
        }
        match &form {
            Form::Basic { user } if user.len() > MAX_VALUE || user.contains(|c: char| c == ':' || c.is_control()) => {
                return Err(CredentialError::User);
            }
            Form::Json { pointer } if pointer.len() > MAX_VALUE || !pointer.starts_with('/') => {
                return Err(CredentialError::Pointer);
            }
            Form::Header(name) if is_reserved(name) => return Err(CredentialError::Header(name.clone())),
            _ => {}
        }
        match to.is_empty() || to.iter().any(Destination::has_addresses) {
            true => Err(CredentialError::Destinations),
            false => Ok(Self { form, value, destinations: to }),
        }
    }

    /// Whether it may be sent there.
    #[must_use]
    pub fn is_for(&self, target: &Target) -> bool {
        self.destinations.iter().any(|destination| destination.names(target))
    }

    /// How it is written.
    #[must_use]
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Where it may be sent.
    #[must_use]
    pub fn destinations(&self) -> &[Destination] {
        &self.destinations
    }

    /// The value itself, for whoever keeps it.
    pub(crate) fn value(&self) -> &Zeroizing<String> {
        &self.value
    }

    /// The field that it is set in, if it is in the head.
    pub(super) fn field(&self) -> Option<HeaderName> {
        match &self.form {
            Form::Header(name) => Some(name.clone()),
            Form::Basic { .. } | Form::Bearer => Some(AUTHORIZATION),
            Form::Json { .. } => None,
        }
    }

    /// Put it into a request.
    pub(super) fn attach(&self, target: &Target, request: &mut Checked) -> Result<(), OutboundError> {
        if !self.is_for(target) {
            return Err(OutboundError::Denied(format!("the credential is not for {}", target.origin())));
        }
        let text = match &self.form {
            Form::Basic { user } => {
                let pair = Zeroizing::new(format!("{user}:{}", *self.value));
                Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(pair.as_bytes()))))
            }
            Form::Bearer => Zeroizing::new(format!("Bearer {}", *self.value)),
            Form::Header(_) => self.value.clone(),
            Form::Json { pointer } => {
                request.body = self.fill(pointer, &request.body)?;
                return Ok(());
            }
        };
        let value = HeaderValue::from_bytes(text.as_bytes());
        // Neither happens: it was checked when it was made.
        let mut value = value.map_err(|_| OutboundError::Invalid("the credential fits into no header".into()))?;
        value.set_sensitive(true);
        self.field().map(|field| request.headers.insert(field, value));
        Ok(())
    }

    /// The body with the value in its place, which has to be an empty string there.
    fn fill(&self, pointer: &str, body: &[u8]) -> Result<Bytes, OutboundError> {
        let wrong = |reason: String| OutboundError::Invalid(format!("the credential goes into a JSON body: {reason}"));
        let mut json: Value = serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
        match json.pointer_mut(pointer) {
            Some(place @ Value::String(_)) if place == "" => *place = Value::String(self.value.to_string()),
            _ => return Err(wrong(format!("there is no empty string at {pointer}"))),
        }
        serde_json::to_vec(&json).map(Bytes::from).map_err(|error| wrong(error.to_string()))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("form", &self.form)
            .field("destinations", &self.destinations)
            .finish_non_exhaustive()
    }
}
