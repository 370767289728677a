//! Certificate authorities for development, and what they issue. ECDSA P-256 keys; everything as PEM.
//!
//! Owns what stands in the certificates; knows no files.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType,
};
use x509_parser::pem::parse_x509_pem;

use crate::cli::error::CliError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Authorities are made for about ten years, more than `--days` takes.
const AUTHORITY_DAYS: u16 = 3660;
/// Clocks of other machines may be behind.
const SKEW: Duration = Duration::from_secs(60 * 60);

/// A certificate and its private key.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Whom a certificate is for.
pub(super) enum Subject {
    /// `serverAuth`, under these names. The first is the common name too.
    Server(Vec<ServerName>),
    /// `clientAuth`.
    Client(String),
}

/// What a client may know a server by.
#[derive(Clone)]
pub(super) struct ServerName {
    pub(super) text: String,
    pub(super) kind: SanType,
}

/// One that signs certificates of one side.
pub(super) struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// A new one, and the files of it.
    pub(super) fn generate(name: &str) -> Result<(Self, Pair), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params(name, AUTHORITY_DAYS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pair = Pair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() };
        Ok((Self(Issuer::new(params, key)), pair))
    }

    /// One that was made before; the error says what is wrong with its files.
    pub(super) fn load(pair: &Pair) -> Result<Self, String> {
        let (_, pem) = parse_x509_pem(pair.certificate.as_bytes()).map_err(|_| "the certificate is not PEM")?;
        let certificate = pem.parse_x509().map_err(|_| "the certificate is not X.509")?;
        let key = KeyPair::from_pem(&pair.key).map_err(|error| format!("the key is not usable: {error}"))?;
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err("certificate and key do not belong together".to_owned());
        }
        if !certificate.is_ca() {
            return Err("the certificate is not that of an authority".to_owned());
        }
        let issuer = Issuer::from_ca_cert_pem(&pair.certificate, key);
        issuer.map(Self).map_err(|error| format!("the certificate is not usable: {error}"))
    }

    /// A certificate with a key of its own.
    pub(super) fn issue(&self, subject: &Subject, days: u16) -> Result<Pair, rcgen::Error> {
        let key = KeyPair::generate()?;
        let (common_name, usage) = match subject {
            Subject::Server(names) => {
                (names.first().map_or("", |name| &name.text), ExtendedKeyUsagePurpose::ServerAuth)
            }
            Subject::Client(name) => (name.as_str(), ExtendedKeyUsagePurpose::ClientAuth),
        };
        let mut params = params(common_name, days);
        if let Subject::Server(names) = subject {
            params.subject_alt_names = names.iter().map(|name| name.kind.clone()).collect();
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        // Strict clients want it (RFC 5280, 4.2.1.1).
        params.use_authority_key_identifier_extension = true;
        Ok(Pair { certificate: params.signed_by(&key, &self.0)?.pem(), key: key.serialize_pem() })
    }
}

fn params(common_name: &str, days: u16) -> CertificateParams {
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = (now - SKEW).into();
    params.not_after = (now + DAY * u32::from(days)).into();
    params
}

impl ServerName {
    /// A DNS name (a UUID is one), with a wildcard in front if need be, or an address.
    pub(super) fn parse(text: &str) -> Result<Self, CliError> {
        let kind = match text.parse() {
            Ok(address) => Some(SanType::IpAddress(address)),
            Err(_) => dns_name(text),
        };
        let wrong = || {
            CliError::Words(format!(
                "--server-name {text:?}: write a DNS name such as api.example.org or *.example.org, a UUID, or an address"
            ))
        };
        Ok(Self { text: text.to_owned(), kind: kind.ok_or_else(wrong)? })
    }
}

fn dns_name(text: &str) -> Option<SanType> {
    let host = text.strip_prefix("*.").unwrap_or(text);
    // The final dot of a name written out to the root is not part of a certificate's names.
    let good = !host.ends_with('.') && rustls::pki_types::DnsName::try_from(host).is_ok();
    if good { text.try_into().ok().map(SanType::DnsName) } else { None }
}
