//! What plugins learn of X.509 certificates: names, dates, fingerprint, the kind of key.
//!
//! Reads, and does not judge: no signature, date or chain is checked. A certificate of which a part
//! that is reported cannot be read whole is an error, never a certificate with that part left out:
//! whoever decides by names must not miss one.
//!
//! Invariant: whatever the input, no panic, and memory within a small multiple of [`MAX_TEXT`].

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use x509_parser::asn1_rs::{Any, Class, FromDer, Oid, Tag, ToDer, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::der::der_read_element_header;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_SIG_ED25519,
    OID_X509_EXT_BASIC_CONSTRAINTS,
};
use x509_parser::public_key::{ECPoint, RSAPublicKey};
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

/// Longest PEM text, in bytes: 1 MiB.
pub const MAX_TEXT: usize = 1024 * 1024;
/// Longest certificate, in bytes of DER: 64 KiB.
pub const MAX_DER: usize = 64 * 1024;
/// Most names in all certificates of a text. Two bytes make a name: without a bound, a text within
/// [`MAX_TEXT`] would become many times its size.
pub const MAX_NAMES: usize = 10_000;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// What is read of a certificate, as in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate itself.
    pub der: Vec<u8>,
    /// SHA-256 over the DER.
    pub fingerprint: [u8; 32],
    /// RFC 4514 text: the last part first.
    pub subject: String,
    /// RFC 4514 text.
    pub issuer: String,
    /// Common names of the subject, in the certificate's order.
    pub common_names: Vec<String>,
    /// DNS names and IP addresses of the subject alternative names, in the certificate's order.
    pub alternative_names: Vec<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// `RSA`, `EC`, `Ed25519`, or the algorithm's object identifier.
    pub key_kind: String,
    /// Bits of the modulus or of the curve; for other algorithms of the encoded key.
    pub key_bits: u32,
    /// What the basic constraints say; false without them.
    pub is_ca: bool,
}

/// Why the input is not what it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// More than [`MAX_TEXT`].
    #[error("the PEM text has more than {MAX_TEXT} bytes; give fewer certificates at once")]
    TextTooLong,
    /// More than [`MAX_NAMES`].
    #[error("the certificates have more than {MAX_NAMES} names; give fewer at once")]
    TooManyNames,
    /// The problem of one block.
    #[error("CERTIFICATE block {number}: {problem}")]
    Block {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        problem: Box<CertificateError>,
    },
    /// No `END` line before the text or another block goes on.
    #[error("its line `-----END CERTIFICATE-----` is missing")]
    NoEnd,
    /// An `END` line without a block.
    #[error("its line `-----BEGIN CERTIFICATE-----` is missing")]
    NoBegin,
    /// Between the lines is something else.
    #[error("it is not base64; copy the block again, whole")]
    Base64,
    /// More than [`MAX_DER`].
    #[error("the certificate has more than {MAX_DER} bytes")]
    TooLarge,
    /// No certificate at all.
    #[error("the bytes are not an X.509 certificate in DER")]
    NotACertificate,
    /// More than a certificate.
    #[error("{0} bytes follow the certificate; give one certificate alone")]
    Trailing(usize),
    /// Subject, issuer or alternative names.
    #[error("the certificate's {0} cannot be read")]
    Unreadable(&'static str),
}

/// Every `CERTIFICATE` block of a PEM text, in order. Other text and other blocks are passed over.
pub fn parse_pem(text: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    if text.len() > MAX_TEXT {
        return Err(CertificateError::TextTooLong);
    }
    // Some editors put a byte order mark first. It must not hide the first block.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut certificates = Vec::new();
    let mut names = 0;
    // The base64 of the block that is open.
    let mut block: Option<Vec<u8>> = None;
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.trim_ascii();
        let number = certificates.len() + 1;
        let broken = |problem| CertificateError::Block { number, problem: Box::new(problem) };
        match &mut block {
            None if line == BEGIN => block = Some(Vec::new()),
            None if line == END => return Err(broken(CertificateError::NoBegin)),
            None => {}
            Some(base64) if line == END => {
                let der = STANDARD.decode(base64).map_err(|_| broken(CertificateError::Base64))?;
                let certificate = parse_der(&der).map_err(broken)?;
                names += certificate.common_names.len() + certificate.alternative_names.len();
                if names > MAX_NAMES {
                    return Err(CertificateError::TooManyNames);
                }
                certificates.push(certificate);
                block = None;
            }
            Some(_) if line.starts_with(b"-----") => return Err(broken(CertificateError::NoEnd)),
            Some(base64) => base64.extend_from_slice(line),
        }
    }
    if block.is_some() {
        let number = certificates.len() + 1;
        return Err(CertificateError::Block { number, problem: Box::new(CertificateError::NoEnd) });
    }
    Ok(certificates)
}

/// One certificate from its DER.
pub fn parse_der(der: &[u8]) -> Result<Certificate, CertificateError> {
    if der.len() > MAX_DER {
        return Err(CertificateError::TooLarge);
    }
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::NotACertificate)?;
    if !rest.is_empty() {
        return Err(CertificateError::Trailing(rest.len()));
    }
    let (key_kind, key_bits) = key(certificate.public_key())?;
    let common_names = certificate.subject().iter_common_name();
    Ok(Certificate {
        der: der.to_vec(),
        fingerprint: Sha256::digest(der).into(),
        subject: name(certificate.subject(), "subject")?,
        issuer: name(certificate.issuer(), "issuer")?,
        common_names: common_names.filter_map(|name| text(name.attr_value())).collect(),
        alternative_names: alternative_names(&certificate)?,
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        key_kind,
        key_bits,
        is_ca: is_ca(&certificate)?,
    })
}

fn key(key: &SubjectPublicKeyInfo<'_>) -> Result<(String, u32), CertificateError> {
    let unreadable = CertificateError::Unreadable("public key");
    let algorithm = key.algorithm.oid();
    let encoded: &[u8] = &key.subject_public_key.data;
    let (kind, bits) = if [OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS].contains(algorithm) {
        match RSAPublicKey::from_der(encoded) {
            Ok((_, key)) => ("RSA".to_owned(), bits(key.modulus)),
            Err(_) => return Err(unreadable),
        }
    } else if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters().and_then(|curve| curve.as_oid().ok());
        // A point has whole bytes for each coordinate; this curve has not.
        let odd = curve.is_some_and(|curve| curve == OID_NIST_EC_P521);
        ("EC".to_owned(), if odd { 521 } else { ECPoint::from(encoded).key_size() })
    } else if *algorithm == OID_SIG_ED25519 {
        ("Ed25519".to_owned(), encoded.len() * 8)
    } else {
        (algorithm.to_id_string(), encoded.len() * 8)
    };
    match u32::try_from(bits) {
        Ok(bits) if bits > 0 => Ok((kind, bits)),
        _ => Err(unreadable),
    }
}

/// Bits of a number without leading zeros.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - zeros) * 8 - first
}

fn is_ca(certificate: &X509Certificate<'_>) -> Result<bool, CertificateError> {
    match certificate.get_extension_unique(&OID_X509_EXT_BASIC_CONSTRAINTS) {
        Ok(None) => Ok(false),
        Ok(Some(extension)) => match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => Ok(constraints.ca),
            _ => Err(CertificateError::Unreadable("basic constraints")),
        },
        Err(_) => Err(CertificateError::Unreadable("basic constraints")),
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, CertificateError> {
    const UNREADABLE: CertificateError = CertificateError::Unreadable("subject alternative names");
    let Some(extension) = certificate.subject_alternative_name().map_err(|_| UNREADABLE)? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) if name.chars().any(char::is_control) => {
                return Err(UNREADABLE);
            }
            GeneralName::DNSName(name) => names.push((*name).to_owned()),
            GeneralName::IPAddress(address) => names.push(ip(address).ok_or(UNREADABLE)?),
            // The context tag of a DNS name: it is there, but not as text.
            GeneralName::Invalid(Tag(2), _) => return Err(UNREADABLE),
            _ => {}
        }
    }
    Ok(names)
}

fn ip(address: &[u8]) -> Option<String> {
    if let Ok(address) = <[u8; 4]>::try_from(address) {
        return Some(Ipv4Addr::from(address).to_string());
    }
    let address = <[u8; 16]>::try_from(address).ok()?;
    Some(Ipv6Addr::from(address).to_string())
}

/// Attribute types with a short name, from RFC 4514 section 3 and the LDAP registry.
static SHORT_NAMES: [(Oid<'static>, &str); 14] = [
    (oid!(2.5.4.3), "CN"),
    (oid!(2.5.4.4), "SN"),
    (oid!(2.5.4.5), "serialNumber"),
    (oid!(2.5.4.6), "C"),
    (oid!(2.5.4.7), "L"),
    (oid!(2.5.4.8), "ST"),
    (oid!(2.5.4.9), "STREET"),
    (oid!(2.5.4.10), "O"),
    (oid!(2.5.4.11), "OU"),
    (oid!(2.5.4.12), "title"),
    (oid!(2.5.4.42), "givenName"),
    (oid!(0.9.2342.19200300.100.1.1), "UID"),
    (oid!(0.9.2342.19200300.100.1.25), "DC"),
    (oid!(1.2.840.113549.1.9.1), "emailAddress"),
];

/// A name as RFC 4514 text.
fn name(name: &X509Name<'_>, what: &'static str) -> Result<String, CertificateError> {
    if !is_whole(name) {
        return Err(CertificateError::Unreadable(what));
    }
    let mut parts = Vec::new();
    for part in name.iter_rdn() {
        let mut out = String::new();
        for attribute in part.iter() {
            if !out.is_empty() {
                out.push('+');
            }
            let kind = attribute.attr_type();
            let value = attribute.attr_value();
            let short = SHORT_NAMES.iter().find(|(oid, _)| oid == kind);
            match (short, text(value)) {
                (Some((_, short)), Some(text)) => {
                    out.push_str(short);
                    out.push('=');
                    escape(&text, &mut out);
                }
                (short, _) => {
                    let value = value.to_der_vec();
                    let value = value.map_err(|_| CertificateError::Unreadable(what))?;
                    let kind = short.map_or_else(|| kind.to_id_string(), |(_, short)| (*short).into());
                    // Writing to a string does not fail.
                    let _ = write!(out, "{kind}=#{}", hex::encode(value));
                }
            }
        }
        parts.push(out);
    }
    parts.reverse();
    Ok(parts.join(","))
}

/// Whether all of the name was read. The parser stops at the first part it does not understand, and
/// says nothing; so what it read is measured against what is there.
fn is_whole(name: &X509Name<'_>) -> bool {
    let read = name.iter_rdn().map(|part| {
        let attributes = part.iter().map(|attribute| {
            let kind = encoded(attribute.attr_type().as_bytes().len());
            encoded(kind + encoded(attribute.attr_value().data.len()))
        });
        encoded(attributes.sum())
    });
    let read: usize = read.sum();
    let header = der_read_element_header(name.as_raw());
    header.is_ok_and(|(_, header)| header.length().definite() == Ok(read))
}

/// Bytes of a DER element with so many bytes of content and a tag of one byte.
fn encoded(content: usize) -> usize {
    let length = match content {
        0..0x80 => 1,
        0x80..0x100 => 2,
        0x100..0x1_0000 => 3,
        _ => 4,
    };
    1 + length + content
}

/// The text of an ASN.1 string; none if it is no string, or one whose letters are not certain.
fn text(value: &Any<'_>) -> Option<String> {
    let data = value.data;
    if value.class() != Class::Universal || value.header.is_constructed() {
        return None;
    }
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::NumericString | Tag::Ia5String | Tag::VisibleString => {
            std::str::from_utf8(data).ok().map(str::to_owned)
        }
        // Tools disagree on the upper half of this one.
        Tag::T61String if data.is_ascii() => std::str::from_utf8(data).ok().map(str::to_owned),
        Tag::BmpString => {
            let (units, []) = data.as_chunks::<2>() else { return None };
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        Tag::UniversalString => {
            let (units, []) = data.as_chunks::<4>() else { return None };
            units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect()
        }
        _ => None,
    }
}

/// A value by RFC 4514 section 2.4. Control characters are escaped too: the text stays on its line.
fn escape(value: &str, out: &mut String) {
    for (at, letter) in value.char_indices() {
        let edge = at == 0 || at + 1 == value.len();
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', letter]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if edge => out.push_str("\\ "),
            _ if letter.is_control() => {
                for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            _ => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests;
