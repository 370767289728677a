//! The requirer's bag: a flat map of strings, checked whole before any of it counts.
//!
//! Sections 1.1, 1.6 and 3.2 of the sheet. Owns what a bag may hold and how refusals name key and index. Invariant: a
//! refusal never quotes what was sent, and unknown keys are kept.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::certificate::{Certificate, CertificateError};
use crate::pem::{self, PemError};

/// A bag; sorted, so that the same content is the same text.
pub type Bag = BTreeMap<String, String>;

/// The key of the certificates.
pub const CERTIFICATES: &str = "client_certificates";
/// The key of the protocol version.
pub const VERSION: &str = "version";
/// Most bytes of a bag, as JSON.
pub const BAG_LIMIT: usize = 1024 * 1024;
/// Most bytes of one entry.
pub const ENTRY_LIMIT: usize = 64 * 1024;
/// Most certificates of one unit.
pub const CERTIFICATE_LIMIT: usize = 256;

/// One thing that is wrong with a bag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The bag's key; none for the bag itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Position in the key's list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// For programs; section 3.3 has the list.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// A certificate as one unit wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The text exactly as received, its first spelling.
    pub pem: String,
    /// Blocks after the first.
    pub ignored: usize,
    /// Facts.
    pub certificate: Certificate,
}

/// A bag that was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is to be stored: all of it if there are no errors, else without the bad entries and values.
    pub bag: Bag,
    /// The certificates, each once, in the order of the list.
    pub entries: Vec<Entry>,
    /// What is wrong.
    pub errors: Vec<Refusal>,
}

fn refusal(key: Option<&str>, index: Option<usize>, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { key: key.map(str::to_owned), index, code, message: message.into() }
}

/// Check a whole new bag.
pub fn check(value: Value) -> Checked {
    let Value::Object(object) = value else {
        let errors = vec![refusal(None, None, "not_an_object", "a bag is a JSON object of strings")];
        return Checked { errors, ..Checked::default() };
    };
    let mut checked = Checked::default();
    for (key, value) in object {
        match value {
            // Setting a key to nothing deletes it.
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => {
                checked.bag.insert(key, text);
            }
            _ => checked.errors.push(refusal(
                Some(&key),
                None,
                "not_a_string",
                "values of a bag are strings; write lists as JSON text",
            )),
        }
    }
    checked.check_version();
    checked.check_certificates();
    checked
}

/// A JSON merge patch on a bag: null and the empty string delete.
pub fn merged(bag: &Bag, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut merged = object(bag);
    for (key, value) in patch {
        match value {
            Value::Null => drop(merged.remove(&key)),
            value => drop(merged.insert(key, value)),
        }
    }
    Value::Object(merged)
}

impl Checked {
    /// Section 1.2: only a new major breaks. Quotes around it are taken too.
    fn check_version(&mut self) {
        let Some(text) = self.bag.get(VERSION) else { return };
        let text = text.trim().trim_matches('"');
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        let numbers = major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok();
        if !numbers || major.parse() != Ok(1_u32) {
            let message = "this provider speaks version 1.0 of the interface";
            self.errors.push(refusal(Some(VERSION), None, "version_unsupported", message));
            self.bag.remove(VERSION);
        }
    }

    fn check_certificates(&mut self) {
        let Some(text) = self.bag.get(CERTIFICATES) else { return };
        let fault = match serde_json::from_str(text) {
            Err(_) => Some(("not_json", "the value is not JSON text".to_owned())),
            Ok(Value::Array(list)) if list.len() > CERTIFICATE_LIMIT => {
                Some(("too_many", format!("a unit has at most {CERTIFICATE_LIMIT} certificates")))
            }
            Ok(Value::Array(list)) => {
                self.check_list(list);
                None
            }
            Ok(_) => Some(("not_a_list", "the value is JSON text of something other than a list".to_owned())),
        };
        if let Some((code, message)) = fault {
            self.errors.push(refusal(Some(CERTIFICATES), None, code, message));
            self.bag.remove(CERTIFICATES);
        }
    }

    fn check_list(&mut self, list: Vec<Value>) {
        let before = self.errors.len();
        let mut good = Vec::new();
        for (index, value) in list.into_iter().enumerate() {
            match check_entry(&value) {
                Ok(entry) => {
                    if !self.entries.iter().any(|known| known.certificate.fingerprint == entry.certificate.fingerprint)
                    {
                        self.entries.push(entry);
                    }
                    good.push(value);
                }
                Err((code, message)) => self.errors.push(refusal(Some(CERTIFICATES), Some(index), code, message)),
            }
        }
        if self.errors.len() > before {
            // Only a lenient write stores this: the good entries as they came.
            self.bag.insert(CERTIFICATES.to_owned(), Value::Array(good).to_string());
        }
    }
}

fn check_entry(value: &Value) -> Result<Entry, (&'static str, String)> {
    let Value::String(pem) = value else {
        return Err(("not_a_string", "an entry is the PEM text of a certificate".to_owned()));
    };
    if pem.len() > ENTRY_LIMIT {
        return Err(("too_large", format!("an entry has at most {ENTRY_LIMIT} bytes")));
    }
    let block = pem::first_certificate(pem).map_err(|error| {
        let code = match error {
            PemError::Malformed => "pem_malformed",
            PemError::NotCertificate => "pem_not_certificate",
            PemError::PrivateKey => "private_key",
        };
        (code, error.to_string())
    })?;
    let certificate = Certificate::from_der(&block.der).map_err(|error| {
        let code = match error {
            CertificateError::Invalid => "der_invalid",
            CertificateError::Trailing => "trailing_data",
        };
        (code, error.to_string())
    })?;
    Ok(Entry { pem: pem.clone(), ignored: block.ignored, certificate })
}

/// The bag as JSON text with sorted keys.
pub fn text(bag: &Bag) -> String {
    Value::Object(object(bag)).to_string()
}

/// The certificates of a bag that was checked when it was written, each once, in the order of its list.
pub fn entries(bag: &Bag) -> Vec<Entry> {
    check(Value::Object(object(bag))).entries
}

fn object(bag: &Bag) -> Map<String, Value> {
    bag.iter().map(|(key, text)| (key.clone(), text.as_str().into())).collect()
}

/// The strong entity tag of a content, with its quotes.
pub fn etag(content: &str) -> String {
    let digest = hex::encode(Sha256::digest(content.as_bytes()));
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tag_follows_from_the_content_alone() {
        let one = Bag::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        let other: Bag = one.iter().rev().map(|(key, text)| (key.clone(), text.clone())).collect();
        assert_eq!(etag(&text(&one)), etag(&text(&other)));
        assert_ne!(etag(&text(&one)), etag(&text(&Bag::new())));
    }

    proptest! {
        #[test]
        fn any_value_is_checked_and_what_is_kept_passes_again(
            certificates in "(\\[(\"\\PC{0,30}\",?){0,3}\\])|\\PC{0,40}",
            version in "\\PC{0,6}",
            other in "\\PC{0,10}",
        ) {
            let checked = check(json!({ "client_certificates": certificates, "version": version, "other": other }));
            let kept = serde_json::from_str(&text(&checked.bag)).unwrap();
            let again = check(kept);
            prop_assert_eq!(again.errors, Vec::new());
            prop_assert_eq!(again.bag, checked.bag);
        }

        #[test]
        fn a_refusal_quotes_nothing(secret in "[a-z]{20}") {
            let list = json!([secret, format!("-----BEGIN CERTIFICATE-----{secret}-----END CERTIFICATE-----")]);
            let checked = check(json!({ "client_certificates": list.to_string(), "version": secret, "n": [secret] }));
            prop_assert_eq!(checked.errors.len(), 4);
            prop_assert!(!json!(checked.errors).to_string().contains(&secret));
        }
    }
}
