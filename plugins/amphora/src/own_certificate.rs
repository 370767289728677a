//! The certificate of the API itself: `PUT /1.0/certificate`.
//!
//! Kept as `server.pem` in the private directory, where the operator's listener finds it. A file without certificate or key would
//! lock the controller out, so it is refused with the words of the document; the controller only ever sends good ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plugbay_sdk::Answer;

use crate::context::Context;
use crate::refusal::{Refusal, ok};

/// The file, certificate first, then key.
pub const FILE: &str = "server.pem";

/// Keep the new certificate.
///
/// # Errors
/// 400 if there is no certificate or no key in it.
pub fn replace(context: Context<'_>, body: &[u8]) -> Result<Answer, Refusal> {
    let text = String::from_utf8_lossy(body);
    let labels = blocks(&text);
    if !labels.iter().any(|label| label == "CERTIFICATE") {
        return Err(Refusal::fault(400, "No certificate found"));
    }
    if !labels.iter().any(|label| matches!(label.as_str(), "RSA PRIVATE KEY" | "PRIVATE KEY" | "EC PRIVATE KEY")) {
        return Err(Refusal::fault(400, "No RSA key found"));
    }
    context.files.write(FILE, body)?;
    Ok(ok(202))
}

/// The labels of the PEM blocks that can be decoded.
fn blocks(text: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            open = Some((label.to_owned(), String::new()));
        } else if line.starts_with("-----END ") {
            let complete = open.take().filter(|(_, data)| STANDARD.decode(data).is_ok_and(|der| !der.is_empty()));
            labels.extend(complete.map(|(label, _)| label));
        } else if let Some((_, data)) = &mut open {
            data.push_str(line);
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_are_whole_count() {
        let text = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n\n-----BEGIN RSA PRIVATE KEY-----\nQU\
                    JD\nREVG\n-----END RSA PRIVATE KEY-----\n-----BEGIN X-----\n?\n-----END X-----\n-----BEGIN Y-----\nQUJD";
        assert_eq!(blocks(text), ["CERTIFICATE", "RSA PRIVATE KEY"]);
    }
}
