//! A message as a datagram: zlib of the JSON text, then the HMAC-SHA256 of the compressed bytes as 64 hexadecimal characters.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;

/// Most bytes that the receiver takes.
pub const LONGEST: usize = 65_507;

/// The datagram of a message.
///
/// # Errors
/// If it is too long to be sent, or cannot be written as JSON.
pub fn seal<T: Serialize>(message: &T, key: &str) -> Result<Vec<u8>, String> {
    let text = serde_json::to_vec(message).map_err(|error| error.to_string())?;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&text).map_err(|error| error.to_string())?;
    let mut datagram = encoder.finish().map_err(|error| error.to_string())?;
    let tag = authenticator(&datagram, key)?;
    datagram.extend_from_slice(tag.as_bytes());
    if datagram.len() > LONGEST {
        return Err(format!("a heartbeat of {} bytes does not fit a datagram", datagram.len()));
    }
    Ok(datagram)
}

fn authenticator(bytes: &[u8], key: &str) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|error| error.to_string())?;
    mac.update(bytes);
    Ok(hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;

    /// What the controller does with a datagram.
    fn open(datagram: &[u8], key: &str) -> serde_json::Value {
        let (packed, tag) = datagram.split_at(datagram.len() - 64);
        assert_eq!(tag, authenticator(packed, key).unwrap().as_bytes());
        let mut text = String::new();
        flate2::read::ZlibDecoder::new(packed).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_authenticator_is_hmac_sha256_in_hexadecimal() {
        // RFC 4231, test case 2.
        assert_eq!(
            authenticator(b"what do ya want for nothing?", "Jefe").unwrap(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_datagram_is_zlib_of_the_highest_level_with_the_authenticator_of_the_packed_bytes() {
        let datagram = seal(&serde_json::json!({"id": "a"}), "key").unwrap();
        assert_eq!(datagram[..2], [0x78, 0xda]);
        assert_eq!(open(&datagram, "key"), serde_json::json!({"id": "a"}));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(text in ".*", key in ".*") {
            prop_assert_eq!(open(&seal(&text, &key).unwrap(), &key), serde_json::json!(text));
        }
    }
}
