//! Object ids (CDMI 1.0.2, section 5.10): 24 bytes, of which 16 are the object's own.

/// The enterprise number for examples (RFC 5612): this software has none of its own.
const ENTERPRISE: u32 = 32_473;

/// Bytes of an id.
const LENGTH: u8 = 24;

/// The id with these 16 bytes of its own, given as 32 hexadecimal digits.
pub fn of(own: &str) -> String {
    let [_, high, middle, low] = ENTERPRISE.to_be_bytes();
    let head = [0, high, middle, low, 0, LENGTH, 0, 0];
    let digits = |at: usize| own.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let mut id: Vec<u8> = head.into_iter().chain((0..16).map(|at| digits(at).unwrap_or_default())).collect();
    let sum = crc(&id).to_be_bytes();
    for (byte, value) in id.iter_mut().skip(6).zip(sum) {
        *byte = value;
    }
    id.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Whether this is an id: 8 to 40 bytes with the right length and checksum.
pub fn is_valid(id: &str) -> bool {
    let pairs = id.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
        u8::from_str_radix(text, 16).ok()
    });
    let Some(mut bytes) = pairs.collect::<Option<Vec<u8>>>() else { return false };
    let length = bytes.len();
    let stated = bytes.get(5).map(|byte| usize::from(*byte));
    let sum = bytes.get(6..8).map(|sum| sum.to_vec());
    for byte in bytes.iter_mut().skip(6).take(2) {
        *byte = 0;
    }
    (8..=40).contains(&length) && stated == Some(length) && sum == Some(crc(&bytes).to_be_bytes().to_vec())
}

/// CRC-16/ARC.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xa001 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_that_of_published_ids() {
        assert!(is_valid("00007E7F0010BD1CB8FF1823CF05BEE4"));
        assert!(!is_valid("00007E7F0010BD1DB8FF1823CF05BEE4"));
        assert!(!is_valid("00") && !is_valid("") && !is_valid("0é"));
    }

    proptest! {
        #[test]
        fn every_id_made_here_is_valid(own in "[0-9a-f]{32}") {
            let id = of(&own);
            prop_assert!(is_valid(&id) && id.ends_with(&own.to_uppercase()) && id.len() == 48);
        }

        #[test]
        fn any_text_is_an_id_or_not(text in ".{0,60}") {
            let _ = is_valid(&text);
        }
    }
}
