//! The envelope of every answer of LXD: section 4.2. Reading it of nodes, writing it for the facade.

use plugbay_sdk::Answer;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::TrustError;

/// Longest text of a node that is kept, in characters.
const MESSAGE: usize = 500;

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Envelope<T> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    error: String,
    metadata: Option<T>,
}

/// What a success says; none if it says `null`.
///
/// # Errors
/// `Refused` for an error, `Garbled` for what is no envelope.
pub fn read<T: for<'de> Deserialize<'de>>(status: u16, body: &[u8]) -> Result<Option<T>, TrustError> {
    let refused = |message: &str| {
        let message =
            if message.is_empty() { format!("HTTP status {status}") } else { message.chars().take(MESSAGE).collect() };
        TrustError::Refused { status, message }
    };
    if !(200..300).contains(&status) {
        let envelope = serde_json::from_slice::<Envelope<IgnoredAny>>(body);
        return Err(refused(&envelope.map(|envelope| envelope.error).unwrap_or_default()));
    }
    let envelope: Envelope<T> = serde_json::from_slice(body).map_err(|_| TrustError::Garbled)?;
    if envelope.kind == "error" {
        return Err(refused(&envelope.error));
    }
    Ok(envelope.metadata)
}

/// A synchronous success.
pub fn success(status: u16, metadata: &Value) -> Answer {
    Answer::json(
        status,
        &json!({
            "type": "sync",
            "status": "Success",
            "status_code": 200,
            "operation": "",
            "error_code": 0,
            "error": "",
            "metadata": metadata,
        }),
    )
}

/// An error.
pub fn error(status: u16, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({
            "type": "error",
            "status": "",
            "status_code": 0,
            "operation": "",
            "error_code": status,
            "error": message,
            "metadata": null,
        }),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_keeps_lxds_own_words() {
        let body = br#"{"type":"error","status":"","status_code":0,"operation":"","error_code":409,"error":"Certificate already in trust store","metadata":null}"#;
        let expected = TrustError::Refused { status: 409, message: "Certificate already in trust store".to_owned() };
        assert_eq!(read::<Value>(409, body), Err(expected));
        assert_eq!(read::<Value>(502, b"<html>").unwrap_err().status(), Some(502));
    }

    #[test]
    fn an_answer_that_is_no_envelope_is_no_success() {
        assert_eq!(read::<Vec<u8>>(200, b"[]"), Err(TrustError::Garbled));
        assert_eq!(read::<Vec<u8>>(200, br#"{"type":"sync","metadata":{}}"#), Err(TrustError::Garbled));
        assert_eq!(read::<u8>(201, br#"{"type":"sync","metadata":null}"#), Ok(None));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(status in 100u16..700, body in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read::<Vec<super::super::Trusted>>(status, &body);
        }
    }
}
