//! Self-signed certificates of TLS clients.
//!
//! Owns what is in them: a common name, an end, and that they are for clients. The key is an ECDSA key on P-256, which
//! every TLS server takes.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rcgen::{PKCS_ECDSA_P256_SHA256, date_time_ymd};
use zeroize::Zeroizing;

use super::error::SecretError;
use super::record::Secret;

/// Longest common name, in characters (X.520, upper bound).
const MAX_NAME: usize = 64;
/// The longest that a certificate is valid: twenty years.
pub const MAX_DAYS: u32 = 7300;

/// A new key and its certificate, valid from yesterday on, for clocks that differ.
pub(super) fn generate(common_name: &str, days: u32) -> Result<Secret, SecretError> {
    let invalid = |reason: String| SecretError::Invalid(reason);
    let length = common_name.chars().count();
    if !(1..=MAX_NAME).contains(&length) || common_name.chars().any(char::is_control) {
        return Err(invalid(format!("a common name has 1 to {MAX_NAME} characters")));
    }
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(invalid(format!("a certificate is valid for 1 to {MAX_DAYS} days")));
    }
    let failed = |error: &dyn std::fmt::Display| SecretError::Storage(format!("no certificate was made: {error}"));
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = |days: i64| today.checked_add(Span::new().days(days)).map_err(|error| failed(&error));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Zeroizing::new).map_err(|error| failed(&error))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let (from, to) = (day(-1)?, day(i64::from(days))?);
    params.not_before = date_time_ymd(from.year().into(), from.month().unsigned_abs(), from.day().unsigned_abs());
    params.not_after = date_time_ymd(to.year().into(), to.month().unsigned_abs(), to.day().unsigned_abs());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(&*key).map_err(|error| failed(&error))?;
    let secret = Zeroizing::new(key.serialize_pem());
    Ok(Secret::Identity { chain: certificate.pem().into_bytes(), key: Zeroizing::new(secret.as_bytes().to_vec()) })
}
