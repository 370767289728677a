//! Whether a server's certificate is the right one.
//!
//! Owns the verifiers and the TLS settings of one connection. A pin takes the place of chain, names and dates: it is
//! for servers with certificates of their own making, whose names do not fit. Invariant: whichever way a certificate is
//! trusted, the handshake's signature proves that the server has its key; and a certificate is judged before the
//! client sends its own, and before any byte of a request.

use std::sync::Arc;

use bytes::Bytes;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, Error, OtherError, RootCertStore};

use super::error::OutboundError;
use super::identity::{Fingerprint, Identity, sha256};
use crate::tls_signature::verify_signatures;

/// Most pins of one request.
const MAX_PINS: usize = 16;

/// By what a server's certificate is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// It chains to an authority of the system, or of the operator's for this plugin, and has the host's name.
    #[default]
    System,
    /// It chains to one of these PEM certificates and to no other, and has the host's name.
    Authorities(Bytes),
    /// It is one of these, whatever its issuer, names and dates.
    Pinned(Vec<Fingerprint>),
}

/// Tells connections that were judged in different ways apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TrustId {
    System,
    Authorities(Fingerprint),
    Pinned(Vec<Fingerprint>),
}

impl Trust {
    pub(super) fn id(&self) -> TrustId {
        match self {
            Self::System => TrustId::System,
            Self::Authorities(pem) => TrustId::Authorities(sha256(pem)),
            Self::Pinned(pins) => TrustId::Pinned(pins.clone()),
        }
    }

    /// What can be said of it without a server.
    pub(super) fn check(&self) -> Result<(), OutboundError> {
        match self {
            Self::System => Ok(()),
            Self::Authorities(pem) => authorities(pem).map(drop).map_err(OutboundError::Invalid),
            Self::Pinned(pins) if (1..=MAX_PINS).contains(&pins.len()) => Ok(()),
            Self::Pinned(_) => Err(OutboundError::Invalid(format!("a request has 1 to {MAX_PINS} pins"))),
        }
    }

    /// The settings of one connection. `system` is what [`Trust::System`] means.
    pub(super) fn settings(
        &self,
        identity: Option<&Identity>,
        system: Arc<RootCertStore>,
    ) -> Result<ClientConfig, OutboundError> {
        let provider = Arc::new(provider::default_provider());
        let chained = |roots| {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            verifier.map_err(|_| OutboundError::Tls("there are no authorities to trust: this system has none".into()))
        };
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Self::System => chained(system)?,
            Self::Authorities(pem) => chained(Arc::new(authorities(pem).map_err(OutboundError::Invalid)?))?,
            Self::Pinned(pins) => Arc::new(Pinned { pins: pins.clone(), provider: Arc::clone(&provider) }),
        };
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12]);
        let builder = builder.map_err(|error| OutboundError::Tls(error.to_string()))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified()))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // The settings live as long as one connection.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// The authorities of the system, and these. Blocks.
pub(super) fn system(beside: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "an authority of the system cannot be read");
    }
    // A store of the system has entries that nobody can use, and they harm nobody.
    roots.add_parsable_certificates(found.certs);
    roots.add_parsable_certificates(beside.iter().cloned());
    roots
}

/// Every certificate of a PEM text.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| format!("not PEM: {error}"))?;
    match found.is_empty() {
        true => Err("there is no certificate in it".into()),
        false => Ok(found),
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(|reason| format!("the authorities are not usable: {reason}"))? {
        roots.add(certificate).map_err(|error| format!("the authorities are not usable: {error}"))?;
    }
    Ok(roots)
}

/// Takes exactly these certificates.
#[derive(Debug)]
struct Pinned {
    pins: Vec<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

/// What was presented instead.
#[derive(Debug, thiserror::Error)]
#[error("not the pinned certificate: {}", hex::encode(.0))]
struct Mismatch(Fingerprint);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = sha256(end_entity);
        match self.pins.contains(&presented) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::Other(OtherError(Arc::new(Mismatch(presented)))).into()),
        }
    }

    verify_signatures!();
}

/// A TLS error in the cases that a plugin can tell apart.
pub(super) fn explain(error: &Error) -> OutboundError {
    if let Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error
        && let Some(Mismatch(presented)) = other.downcast_ref()
    {
        return OutboundError::PinMismatch { presented: *presented };
    }
    OutboundError::Tls(match error {
        Error::InvalidCertificate(reason) => format!("the server's certificate is not trusted: {reason}"),
        Error::AlertReceived(alert) => format!("the server refused the TLS connection: {alert:?}"),
        error => format!("the TLS handshake failed: {error}"),
    })
}
