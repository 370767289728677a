//! Client certificates that nobody vouches for.
//!
//! Some APIs know their clients by the certificate itself (its fingerprint, or a token it came
//! with), not by who signed it. What counts then is that the client has the key. That is proved
//! by the handshake's signature, which is verified here as for any other certificate.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, Error};

use crate::tls_signature::verify_signatures;

/// Takes any certificate whose key signed the handshake, and none at all.
#[derive(Debug)]
pub(super) struct AnyIssuer {
    pub(super) provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyIssuer {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    verify_signatures!();
}
