//! Request ids: the client's if it is well formed, else our own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Longest id taken from a client, in bytes.
const MAX: usize = 128;

/// Makes ids that no other process of this host made: a random start, and a count.
pub struct RequestIds {
    header: HeaderName,
    start: u32,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids are taken from `header`.
    pub fn new(header: HeaderName) -> Self {
        Self { header, start: getrandom::u32().unwrap_or(0), next: AtomicU64::new(0) }
    }

    /// Where ids are taken from and put.
    pub fn header(&self) -> HeaderName {
        self.header.clone()
    }

    /// The id of a request, as text and as it is sent back.
    pub fn of(&self, headers: &HeaderMap) -> (Arc<str>, HeaderValue) {
        if let Some(value) = headers.get(&self.header)
            && let Some(text) = well_formed(value)
        {
            return (text.into(), value.clone());
        }
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = *b"00000000-000000000000";
        write_hex(&mut text, 0..8, u64::from(self.start));
        write_hex(&mut text, 9..21, count);
        // Hex digits and a dash are text and a header value.
        let id = std::str::from_utf8(&text).unwrap_or_default();
        (id.into(), HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-")))
    }
}

fn write_hex(text: &mut [u8], place: std::ops::Range<usize>, mut value: u64) {
    for digit in text.get_mut(place).into_iter().flatten().rev() {
        *digit = b"0123456789abcdef".get((value & 15) as usize).copied().unwrap_or(b'0');
        value >>= 4;
    }
}

fn well_formed(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    ((1..=MAX).contains(&text.len()) && text.bytes().all(plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: HeaderName = HeaderName::from_static("x-request-id");

    fn id_of(value: &str) -> Arc<str> {
        let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_str(value).unwrap())]);
        RequestIds::new(HEADER).of(&headers).0
    }

    #[test]
    fn a_clients_well_formed_id_is_kept() {
        assert_eq!(&*id_of("req-7f:1"), "req-7f:1");
    }

    #[test]
    fn an_id_that_could_break_a_log_line_is_replaced() {
        for bad in ["", "a b", "a\tb", "\"x\"", &"x".repeat(MAX + 1)] {
            assert_ne!(&*id_of(bad), bad);
        }
    }

    #[test]
    fn own_ids_differ_and_are_sent_back() {
        let ids = RequestIds::new(HEADER);
        let (one, value) = ids.of(&HeaderMap::new());
        let (other, _) = ids.of(&HeaderMap::new());
        assert_ne!(one, other);
        assert_eq!(value.to_str().unwrap(), &*one);
        assert!(one.ends_with("-000000000000"));
    }
}
