//! One entry of `client_certificates`: the certificate in a PEM text, with whatever stands around it.
//!
//! Owns what of a text is a block; what the block's bytes are is [`crate::certificate`]'s. Invariant: nothing of a text in
//! which a private key stands leaves this module, not even in an error.

use base64::{Engine, engine::general_purpose::STANDARD};

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const CERTIFICATE: &str = "CERTIFICATE";

/// The first certificate of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its bytes.
    pub der: Vec<u8>,
    /// `CERTIFICATE` blocks after it.
    pub ignored: usize,
}

/// Why a text has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No block at all, one that does not end, or one that is not base64.
    #[error("the entry is not a whole PEM block; copy the certificate again, with its first and last line")]
    Malformed,
    /// Blocks, but no certificate.
    #[error("the PEM block is not a certificate")]
    NotCertificate,
    /// A private key.
    #[error("the entry holds a private key; it was not kept, but it has been sent: replace the key")]
    PrivateKey,
}

/// Read the first certificate. Text around it and blocks after it are passed over.
///
/// # Errors
/// If there is none, or if any block of the text is a private key.
pub fn first_certificate(text: &str) -> Result<Block, PemError> {
    if has_private_key(text) {
        return Err(PemError::PrivateKey);
    }
    let labels = labels(text);
    let certificates = labels.iter().filter(|label| **label == CERTIFICATE).count();
    let Some(ignored) = certificates.checked_sub(1) else {
        return Err(if labels.is_empty() { PemError::Malformed } else { PemError::NotCertificate });
    };
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----").ok_or(PemError::Malformed)?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----").ok_or(PemError::Malformed)?;
    let base64: String = body.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(base64).map_err(|_| PemError::Malformed)?;
    Ok(Block { der, ignored })
}

/// Whether a block of a private key begins or ends anywhere, even if its line is cut off.
fn has_private_key(text: &str) -> bool {
    let marks = [BEGIN, "-----END "].into_iter().flat_map(|mark| text.split(mark).skip(1));
    marks.filter_map(|rest| rest.lines().next()).any(|line| line.contains("PRIVATE KEY"))
}

/// Labels of the lines that begin blocks.
fn labels(text: &str) -> Vec<&str> {
    let begun = text.split(BEGIN).skip(1);
    // What comes after `BEGIN` without dashes behind it on its line is text.
    begun.filter_map(|rest| rest.lines().next()?.split_once(DASHES).map(|(label, _)| label.trim())).collect()
}

/// A certificate as PEM, in lines of 64.
pub fn encode(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let base64 = STANDARD.encode(der);
    for (at, letter) in base64.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_around_the_block_and_the_form_of_its_lines_do_not_matter() {
        let der = vec![7; 100];
        let plain = encode(&der);
        let around = format!("Certificate:\n    Data:\r\n{}trailing", plain.replace('\n', "\r\n"));
        let one_line = plain.replace('\n', "");
        for text in [plain.clone(), around, one_line] {
            assert_eq!(first_certificate(&text), Ok(Block { der: der.clone(), ignored: 0 }));
        }
    }

    #[test]
    fn of_several_blocks_the_first_counts_and_the_rest_are_counted() {
        let text = [encode(&[1]), encode(&[2]), encode(&[3])].concat();
        assert_eq!(first_certificate(&text), Ok(Block { der: vec![1], ignored: 2 }));
    }

    #[test]
    fn a_private_key_is_refused_wherever_it_stands() {
        for label in
            ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"]
        {
            let key = format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
            for text in [key.clone(), encode(&[1]) + &key, key.clone() + &encode(&[1])] {
                assert_eq!(first_certificate(&text), Err(PemError::PrivateKey), "{text}");
            }
            // Cut off, it is a key all the same.
            for part in [
                format!("-----BEGIN {label}-----\nAA"),
                format!("AA\n-----END {label}-----"),
                format!("-----BEGIN {label}"),
            ] {
                assert_eq!(first_certificate(&(encode(&[1]) + &part)), Err(PemError::PrivateKey), "{part}");
            }
        }
    }

    #[test]
    fn what_is_no_whole_certificate_block_is_told_apart() {
        let whole = encode(&[1; 60]);
        assert_eq!(first_certificate(""), Err(PemError::Malformed));
        assert_eq!(first_certificate("MIIB"), Err(PemError::Malformed));
        assert_eq!(first_certificate(whole.trim_end().trim_end_matches('-')), Err(PemError::Malformed));
        assert_eq!(first_certificate(&whole.replace("AQEB", "A*EB")), Err(PemError::Malformed));
        let other = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----";
        assert_eq!(first_certificate(other), Err(PemError::NotCertificate));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,40}(-----BEGIN [A-Z ]{0,12}-----)?\\PC{0,40}") {
            let _ = first_certificate(&text);
        }

        #[test]
        fn what_is_encoded_reads_back(der in proptest::collection::vec(any::<u8>(), 0..200), before in "[^-]{0,20}") {
            let block = first_certificate(&format!("{before}\n{}", encode(&der)));
            prop_assert_eq!(block, Ok(Block { der, ignored: 0 }));
        }
    }
}
