//! `crypto`: digests, message authentication, certificates, and keys that the host keeps.
//!
//! Here is the binding to the contract; certificates are read in `certificates`, host-kept keys live
//! in `keys`, and `mac` has HMAC and comparison.

mod certificates;
mod keys;
mod mac;

use wasmtime::component::Resource;

use crate::blob::Hasher as Digest;
use crate::plugin::GuestState;
use crate::plugin::bindings::crypto::{Certificate, DigestAlgorithm, Error, Hasher, Host, HostHasher, KeyKind};

pub use keys::{KeyError, KeyKind as RingKeyKind, KeyRing, OpenError};
pub(crate) use mac::hmac;

/// Most random bytes given at once.
const MAX_RANDOM: u32 = 4096;

impl From<certificates::Certificate> for Certificate {
    fn from(certificate: certificates::Certificate) -> Self {
        Self {
            der: certificate.der,
            fingerprint: certificate.fingerprint.to_vec(),
            subject: certificate.subject,
            issuer: certificate.issuer,
            common_names: certificate.common_names,
            alternative_names: certificate.alternative_names,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            key_kind: certificate.key_kind,
            key_bits: certificate.key_bits,
            is_ca: certificate.is_ca,
        }
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NoSuchKey(_) => Self::NoSuchKey,
            KeyError::NotAuthentic => Self::NotAuthentic,
            KeyError::Store(_) | KeyError::Unreadable(_) | KeyError::Random | KeyError::Refused(_) => {
                Self::Storage(error.to_string())
            }
            _ => Self::Invalid(error.to_string()),
        }
    }
}

impl From<KeyKind> for keys::KeyKind {
    fn from(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Sealing => Self::Sealing,
            KeyKind::Signing => Self::Signing,
        }
    }
}

impl Host for GuestState {
    async fn digest(&mut self, algorithm: DigestAlgorithm, data: Vec<u8>) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let mut digest = Digest::new(algorithm.into());
        digest.update(&data);
        Ok(Ok(digest.finish()))
    }

    async fn hmac(
        &mut self,
        algorithm: DigestAlgorithm,
        key: Vec<u8>,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        Ok(Ok(mac::hmac(algorithm.into(), &key, &data)))
    }

    fn equal(&mut self, a: Vec<u8>, b: Vec<u8>) -> wasmtime::Result<bool> {
        Ok(mac::equal(&a, &b))
    }

    async fn random(&mut self, length: u32) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        if length > MAX_RANDOM {
            return Ok(Err(Error::Invalid(format!("at most {MAX_RANDOM} random bytes at once"))));
        }
        let mut bytes = vec![0; length as usize];
        let filled = getrandom::fill(&mut bytes);
        Ok(filled.map(|()| bytes).map_err(|error| Error::Storage(format!("the system gives no random bytes: {error}"))))
    }

    async fn parse_certificates(&mut self, pem: Vec<u8>) -> wasmtime::Result<Result<Vec<Certificate>, Error>> {
        let found = certificates::parse_pem(&pem);
        Ok(found
            .map(|all| all.into_iter().map(Into::into).collect())
            .map_err(|error| Error::Invalid(error.to_string())))
    }

    async fn parse_certificate(&mut self, der: Vec<u8>) -> wasmtime::Result<Result<Certificate, Error>> {
        Ok(certificates::parse_der(&der).map(Into::into).map_err(|error| Error::Invalid(error.to_string())))
    }

    async fn ensure_key(&mut self, name: String, kind: KeyKind) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let plugin = &self.plugin;
        let ensured = plugin.key_ring.ensure(plugin.keys.store(), &plugin.name, &name, kind.into());
        Ok(self.cpu.waiting(ensured).await.map_err(Into::into))
    }

    async fn seal(
        &mut self,
        key: String,
        context: Vec<u8>,
        plain: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let plugin = &self.plugin;
        let sealed = plugin.key_ring.seal(plugin.keys.store(), &plugin.name, &key, &context, &plain);
        Ok(self.cpu.waiting(sealed).await.map_err(Into::into))
    }

    async fn open(
        &mut self,
        key: String,
        context: Vec<u8>,
        sealed: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let plugin = &self.plugin;
        let opened = plugin.key_ring.open_sealed(plugin.keys.store(), &plugin.name, &key, &context, &sealed);
        Ok(self.cpu.waiting(opened).await.map_err(Into::into))
    }

    async fn sign(&mut self, key: String, message: Vec<u8>) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let plugin = &self.plugin;
        let signed = plugin.key_ring.sign(plugin.keys.store(), &plugin.name, &key, &message);
        Ok(self.cpu.waiting(signed).await.map_err(Into::into))
    }

    async fn verify(
        &mut self,
        public_key: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, Error>> {
        Ok(keys::verify(&public_key, &message, &signature).map_err(Into::into))
    }
}

impl HostHasher for GuestState {
    async fn new(&mut self, algorithm: DigestAlgorithm) -> wasmtime::Result<Resource<Hasher>> {
        let hasher = self.table.push(Digest::new(algorithm.into()))?;
        Ok(Resource::new_own(hasher.rep()))
    }

    async fn update(&mut self, hasher: Resource<Hasher>, data: Vec<u8>) -> wasmtime::Result<()> {
        self.table.get_mut(&digest_of(&hasher))?.update(&data);
        Ok(())
    }

    async fn finish(&mut self, hasher: Resource<Hasher>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&digest_of(&hasher))?.clone().finish())
    }

    async fn drop(&mut self, hasher: Resource<Hasher>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Digest>::new_own(hasher.rep()))?;
        Ok(())
    }
}

/// The contract's name for a digest is a type of its own; in the table is ours.
fn digest_of(hasher: &Resource<Hasher>) -> Resource<Digest> {
    Resource::new_borrow(hasher.rep())
}
