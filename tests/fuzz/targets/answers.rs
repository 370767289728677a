//! Any head that a plugin may answer with, and any conditions a client may send.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use plugbay::routing::{conditional, head};

const CONDITIONS: [&str; 6] =
    ["range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

fuzz_target!(|input: (u16, Vec<(String, Vec<u8>)>, u32, [Vec<u8>; 6])| {
    let (status, fields, length, conditions) = input;
    let Ok(checked) = head::check(Method::GET.as_str(), status, fields, head::Body::Whole(length.into())) else {
        return;
    };
    assert!((200..600).contains(&checked.status.as_u16()));
    assert!(checked.headers.keys().all(|name| !head::is_connection_level(name)));
    let asked: HeaderMap = CONDITIONS
        .iter()
        .zip(&conditions)
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?)))
        .collect();
    let delivery = conditional::evaluate("GET", checked.status, &asked, &checked.headers, length.into());
    if let conditional::Delivery::Partial { offset, length: part, .. } = &delivery {
        assert!(*part > 0 && offset + part <= u64::from(length));
    }
});
