//! Ids and file names that become paths in the private directory.
//!
//! Invariant: the text of an [`Id`] or a [`CertificateFile`] is one segment of a path that is neither hidden nor leads anywhere
//! else, and no id is the name of a directory with another meaning. Nothing else of a request gets into a path.

use std::fmt;

/// Names below the base directory that are not load balancers.
const RESERVED: [&str; 5] = ["certs", "lvs", "vrrp", "run", "plugged_interfaces"];

/// Most bytes of an id; a UUID has 36.
const LONGEST_ID: usize = 64;

/// Most bytes of a file name.
const LONGEST_FILE: usize = 200;

/// Id of a load balancer or of a listener.
///
/// The controller sends UUIDs. Any word of letters, digits, `-` and `_` that begins with a letter or digit is taken; dots are
/// not, so that `{lb}.sock` cannot be another one's directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// The id, or none if the text cannot be one.
    pub fn parse(text: &str) -> Option<Id> {
        let first = text.bytes().next()?;
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = first.is_ascii_alphanumeric() && text.len() <= LONGEST_ID && text.bytes().all(word);
        (fits && !RESERVED.iter().any(|name| name.eq_ignore_ascii_case(text))).then(|| Id(text.to_owned()))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of a file of a load balancer's certificate directory: certificates, lists of them, authorities and revocation lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateFile(String);

impl CertificateFile {
    /// The name, or none if it has the wrong format.
    ///
    /// The API's rule is that somewhere in it a word character and any other character stand before `pem`. Beyond it, what is
    /// no plain file name is refused in the same way.
    pub fn parse(name: &str) -> Option<CertificateFile> {
        let plain = name.len() <= LONGEST_FILE
            && !name.starts_with('.')
            && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control() || c.is_whitespace());
        (plain && has_pem_after_a_pair(name)).then(|| CertificateFile(name.to_owned()))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

fn has_pem_after_a_pair(name: &str) -> bool {
    name.match_indices("pem").any(|(at, _)| {
        let mut before = name.get(..at).unwrap_or_default().chars().rev();
        before.next().is_some() && before.next().is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn uuids_and_words_are_ids() {
        for id in ["d459b1c8-54b0-4030-9bec-4f449e73b1ef", "123", "lb_1"] {
            assert!(Id::parse(id).is_some(), "{id}");
        }
    }

    #[test]
    fn what_leaves_the_directory_or_means_something_else_is_no_id() {
        let long = "a".repeat(65);
        for id in ["", ".", "..", "%2e%2e", "../x", "a/b", "a\\b", "a.sock", "-x", "certs", "LVS", "vrrp", "é", &long]
        {
            assert!(Id::parse(id).is_none(), "{id}");
        }
    }

    #[test]
    fn the_name_rule_of_certificates() {
        for name in ["a.pem", "www.example.com.pem", "abpem", "a.pem.txt", "WILDCARD.example.com.pem"] {
            assert!(CertificateFile::parse(name).is_some(), "{name}");
        }
        for name in ["pem", ".pem", "x.crt", "", "-.pem"] {
            assert!(CertificateFile::parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn certificate_names_that_are_no_plain_file_names_have_the_wrong_format() {
        for name in ["../a.pem", "..a.pem", "a/b.pem", "a\\b.pem", "a\0.pem", "a\n.pem", "a b.pem"] {
            assert!(CertificateFile::parse(name).is_none(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn names_are_one_normal_segment(text in "\\PC{0,20}|[a./%\\\\2e]{0,8}(pem)?") {
            let one = |name: &str| {
                let parts: Vec<_> = Path::new(name).components().collect();
                matches!(parts[..], [Component::Normal(part)] if part == name)
            };
            if let Some(id) = Id::parse(&text) {
                prop_assert!(one(id.text()));
            }
            if let Some(name) = CertificateFile::parse(&text) {
                prop_assert!(one(name.text()));
            }
        }
    }
}
