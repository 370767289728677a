//! `secrets`: names for what the host keeps and uses for a plugin. Kinds, limits and storage are in
//! [`crate::secret`].

use zeroize::Zeroizing;

use crate::outbound::{Destination, DestinationError, Form as Written};
use crate::plugin::GuestState;
use crate::plugin::bindings::secrets::{Credential, DigestAlgorithm, Error, Form, Host, Named, PublicIdentity};
use crate::secret::{self, SecretError, Secrets};

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        let text = error.to_string();
        match error {
            SecretError::Invalid(_) => Self::Invalid(text),
            SecretError::NotFound(_) => Self::NotFound,
            SecretError::Operators(_) => Self::Operators,
            SecretError::WrongKind { .. } => Self::WrongKind(text),
            SecretError::TooMany => Self::QuotaExceeded,
            SecretError::Storage(_) => Self::Storage(text),
        }
    }
}

impl From<secret::Public> for PublicIdentity {
    fn from(public: secret::Public) -> Self {
        Self { chain: public.chain.into_bytes(), fingerprint: public.fingerprint.to_vec() }
    }
}

fn written(form: Form) -> Result<Written, Error> {
    Ok(match form {
        Form::Basic(user) => Written::Basic { user },
        Form::Bearer => Written::Bearer,
        Form::Header(name) => {
            let name = http::HeaderName::from_bytes(name.as_bytes());
            Written::Header(name.map_err(|error| Error::Invalid(error.to_string()))?)
        }
        Form::Json(pointer) => Written::Json { pointer },
    })
}

fn destinations(lines: &[String]) -> Result<Vec<Destination>, Error> {
    lines.iter().map(|line| line.parse().map_err(|error: DestinationError| Error::Invalid(error.to_string()))).collect()
}

impl GuestState {
    fn secrets(&self) -> Result<&Secrets, Error> {
        self.plugin.secrets.as_ref().ok_or(Error::Denied)
    }
}

/// Call with the secrets, as something that may wait.
macro_rules! waiting {
    ($state:ident, $secrets:ident => $call:expr) => {
        Ok(match $state.secrets() {
            Ok($secrets) => $state.cpu.waiting($call).await.map(Into::into).map_err(Error::from),
            Err(error) => Err(error),
        })
    };
}

impl Host for GuestState {
    async fn put_credential(&mut self, name: String, credential: Credential) -> wasmtime::Result<Result<(), Error>> {
        let Credential { form, value, destinations: lines } = credential;
        let value = Zeroizing::new(value);
        let (form, destinations) = match (written(form), destinations(&lines)) {
            (Ok(form), Ok(destinations)) => (form, destinations),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        waiting!(self, secrets => secrets.put_credential(&name, form, value, destinations))
    }

    async fn put_hmac_key(&mut self, name: String, key: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let key = Zeroizing::new(key);
        waiting!(self, secrets => secrets.put_hmac_key(&name, key))
    }

    async fn put_identity(
        &mut self,
        name: String,
        chain: Vec<u8>,
        key: Vec<u8>,
    ) -> wasmtime::Result<Result<PublicIdentity, Error>> {
        let key = Zeroizing::new(key);
        waiting!(self, secrets => secrets.put_identity(&name, &chain, key))
    }

    async fn ensure_identity(
        &mut self,
        name: String,
        common_name: String,
        days: u32,
    ) -> wasmtime::Result<Result<PublicIdentity, Error>> {
        waiting!(self, secrets => secrets.ensure_identity(&name, &common_name, days))
    }

    async fn identity(&mut self, name: String) -> wasmtime::Result<Result<PublicIdentity, Error>> {
        waiting!(self, secrets => secrets.public(&name))
    }

    async fn hmac(
        &mut self,
        name: String,
        algorithm: DigestAlgorithm,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        waiting!(self, secrets => secrets.hmac(&name, algorithm.into(), &data))
    }

    async fn delete(&mut self, name: String) -> wasmtime::Result<Result<bool, Error>> {
        waiting!(self, secrets => secrets.remove(&name))
    }

    async fn names(&mut self) -> wasmtime::Result<Result<Vec<Named>, Error>> {
        let listed = match self.secrets() {
            Ok(secrets) => self.cpu.waiting(secrets.list()).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        let named = |one: secret::Named| Named { name: one.name, operators: one.operators };
        Ok(listed.map(|all| all.into_iter().map(named).collect()))
    }
}
