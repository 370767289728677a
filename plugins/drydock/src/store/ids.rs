//! Ids and keys out of the host's random bytes.

use plugbay_sdk::crypto;

use crate::time::Moment;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of a ULID.
pub const ULID: usize = 26;

/// A version 4 UUID.
///
/// # Errors
/// Those of the host.
pub fn uuid() -> Result<String, crypto::Error> {
    let bytes = crypto::random(16)?;
    let bits = bytes.iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    // Version 4, variant 1 (RFC 9562).
    let bits = bits & !(0xf << 76) | 0x4 << 76;
    let bits = bits & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

/// Whether a text is a UUID of version 4, in any case.
pub fn is_uuid4(text: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        14 => byte == b'4',
        19 => b"89abAB".contains(&byte),
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(shape)
}

/// A ULID.
///
/// # Errors
/// Those of the host.
pub fn ulid(now: Moment) -> Result<String, crypto::Error> {
    let random = crypto::random(10)?.iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    let bits = u128::from(now.millis()) << 80 | random;
    let digit = |place: usize| {
        let value = usize::try_from(bits >> (5 * place) & 31).unwrap_or_default();
        CROCKFORD.get(value).map_or('0', |digit| char::from(*digit))
    };
    Ok((0..ULID).rev().map(digit).collect())
}

/// Whether a text is a ULID as this module makes them.
pub fn is_ulid(text: &str) -> bool {
    text.len() == ULID
        && text.starts_with(|first| ('0'..='7').contains(&first))
        && text.bytes().all(|byte| CROCKFORD.contains(&byte))
}

/// 32 random bytes in hexadecimal: the key of a node.
///
/// # Errors
/// Those of the host.
pub fn node_key() -> Result<String, crypto::Error> {
    crypto::random(32).map(|bytes| crypto::hex(&bytes))
}

/// What sorts by time and is not there yet.
///
/// # Errors
/// Those of the host.
pub fn order(now: Moment) -> Result<String, crypto::Error> {
    Ok(format!("{:016x}-{}", now.0, crypto::hex(&crypto::random(6)?)))
}

#[cfg(test)]
mod tests {
    use plugbay_sdk::testing::Host;

    use super::*;

    #[test]
    fn ids_have_their_forms() {
        Host::new().install();
        let (one, two) = (uuid().unwrap(), uuid().unwrap());
        assert!(is_uuid4(&one) && is_uuid4(&one.to_uppercase()) && one != two, "{one}");
        for wrong in ["", "x", "00000000-0000-1000-8000-000000000000", "00000000-0000-4000-c000-000000000000"] {
            assert!(!is_uuid4(wrong), "{wrong}");
        }
        let ulid = ulid(Moment(1_709_210_096_000_042)).unwrap();
        assert!(is_ulid(&ulid) && ulid.starts_with("01HQT"), "{ulid}");
        assert!(!is_ulid(&ulid.to_lowercase()) && !is_ulid("8ZZZZZZZZZZZZZZZZZZZZZZZZZ"));
        assert_eq!(node_key().unwrap().len(), 64);
    }
}
