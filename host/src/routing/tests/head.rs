//! Tests of `head`.

use http::header::CONTENT_LENGTH;
use proptest::prelude::*;

use super::super::head::{Body, Head, HeadError, MAX_BYTES, MAX_FIELDS, check};

fn fields(fields: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn get(list: &[(&str, &str)], body: u64) -> Result<Head, HeadError> {
    check("GET", 200, fields(list), Body::Whole(body))
}

#[test]
fn fields_are_kept_in_order_and_repeated() {
    let head = get(&[("Set-Cookie", "a"), ("X-Name", " é "), ("set-cookie", "b")], 3).unwrap();
    assert_eq!(head.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(head.headers["x-name"].as_bytes(), "é".as_bytes());
    assert_eq!(head.content_length, None);
}

#[test]
fn connection_level_fields_are_dropped() {
    let dropped = [
        ("Connection", "close"),
        ("Transfer-Encoding", "chunked"),
        ("Keep-Alive", "timeout=1"),
        ("Upgrade", "h2c"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Proxy-Connection", "close"),
    ];
    assert!(get(&dropped, 0).unwrap().headers.is_empty());
}

#[test]
fn line_breaks_and_nul_are_refused() {
    for value in ["a\r\nb: c", "a\n", "\r", "a\0", "a\x7f"] {
        assert!(matches!(get(&[("x", value)], 0), Err(HeadError::Value { .. })), "{value:?}");
        assert!(matches!(get(&[("te", value)], 0), Err(HeadError::Value { .. })), "{value:?}");
    }
    assert!(get(&[("x", "a\tb")], 0).is_ok());
}

#[test]
fn names_are_tokens() {
    for name in ["", "a b", "a:", ":status", "é", "a\r\nb"] {
        assert!(matches!(get(&[(name, "")], 0), Err(HeadError::Name(_))), "{name:?}");
    }
}

#[test]
fn statuses_are_final_ones() {
    for status in [0, 99, 100, 101, 199, 600, 999, u16::MAX] {
        let refused = check("GET", status, vec![], Body::Whole(0)).unwrap_err();
        assert_eq!(refused, HeadError::Status(status));
    }
    for status in [200, 299, 418, 599] {
        assert_eq!(check("GET", status, vec![], Body::Whole(0)).unwrap().status, status);
    }
}

#[test]
fn content_length_is_the_bodys() {
    assert_eq!(get(&[("Content-Length", "3")], 3).unwrap().content_length, Some(3));
    let wrong = HeadError::WrongLength { stated: 3, actual: 4 };
    assert_eq!(get(&[("content-length", "3")], 4).unwrap_err(), wrong);
    for value in ["", "+3", "-3", "3, 3", "0x3", "3 3", "99999999999999999999"] {
        assert_eq!(get(&[("Content-Length", value)], 3).unwrap_err(), HeadError::BadLength);
    }
    let twice = [("Content-Length", "3"), ("content-length", "03")];
    let head = get(&twice, 3).unwrap();
    assert_eq!(head.headers.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>(), ["3"]);
    let two = [("Content-Length", "3"), ("Content-Length", "4")];
    assert_eq!(get(&two, 3).unwrap_err(), HeadError::BadLength);
}

#[test]
fn content_length_of_an_open_body_is_told_to_the_caller() {
    let open = |sent| check("GET", 200, fields(&[("Content-Length", "9")]), Body::Open(sent));
    assert_eq!(open(4).unwrap().content_length, Some(9));
    assert_eq!(open(10).unwrap_err(), HeadError::WrongLength { stated: 9, actual: 10 });
}

#[test]
fn head_and_304_state_a_length_freely() {
    let list = || fields(&[("Content-Length", "123")]);
    assert_eq!(check("HEAD", 200, list(), Body::Whole(0)).unwrap().content_length, Some(123));
    assert_eq!(check("GET", 304, list(), Body::Whole(0)).unwrap().content_length, Some(123));
}

#[test]
fn some_statuses_have_no_body() {
    for status in [204, 205, 304] {
        for body in [Body::Whole(1), Body::Open(0)] {
            let refused = check("GET", status, vec![], body).unwrap_err();
            assert_eq!(refused, HeadError::BodyForbidden(status));
        }
        assert!(check("GET", status, vec![], Body::Whole(0)).is_ok());
    }
    let zero = fields(&[("Content-Length", "0")]);
    let head = check("DELETE", 204, zero, Body::Whole(0)).unwrap();
    assert!(!head.headers.contains_key(CONTENT_LENGTH));
    let five = fields(&[("Content-Length", "5")]);
    assert!(check("DELETE", 204, five, Body::Whole(0)).is_err());
}

#[test]
fn heads_are_bounded() {
    let many = vec![("x".to_owned(), vec![]); MAX_FIELDS + 1];
    assert_eq!(check("GET", 200, many, Body::Whole(0)).unwrap_err(), HeadError::TooLarge);
    let large = vec![("x".to_owned(), vec![b'a'; MAX_BYTES])];
    assert_eq!(check("GET", 200, large, Body::Whole(0)).unwrap_err(), HeadError::TooLarge);
    let distinct = (0..MAX_FIELDS).map(|n| (format!("x-{n}"), vec![])).collect();
    let head = check("GET", 200, distinct, Body::Whole(0)).unwrap();
    assert_eq!(head.headers.len(), MAX_FIELDS);
}

proptest! {
    #[test]
    fn nothing_can_be_injected(
        list in prop::collection::vec(("[a-zA-Z\r\n: -]{0,12}", any::<Vec<u8>>()), 0..6),
        status in any::<u16>(),
        length in 0..4_u64,
    ) {
        if let Ok(head) = check("GET", status, list, Body::Whole(length)) {
            prop_assert!((200..=599).contains(&head.status.as_u16()));
            for (_, value) in &head.headers {
                prop_assert!(!value.as_bytes().iter().any(|b| b"\r\n\0".contains(b)));
            }
        }
    }
}
