//! Tests of `conditional`.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;

use super::super::conditional::{Delivery, evaluate};

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let pairs = fields
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap()));
    pairs.fold(HeaderMap::new(), |mut map, (name, value)| {
        map.append(name, value);
        map
    })
}

/// Against a representation of ten bytes with tag "e" and a date.
fn ask(method: &str, request: &[(&str, &str)]) -> Delivery {
    let answer = map(&[("etag", "\"e\""), ("last-modified", MODIFIED)]);
    evaluate(method, StatusCode::OK, &map(request), &answer, 10)
}

fn range(range: &str, length: u64) -> Delivery {
    evaluate("GET", StatusCode::OK, &map(&[("range", range)]), &HeaderMap::new(), length)
}

fn partial(offset: u64, length: u64, content_range: &'static str) -> Delivery {
    Delivery::Partial { offset, length, content_range: HeaderValue::from_static(content_range) }
}

fn unsatisfiable(content_range: &'static str) -> Delivery {
    Delivery::RangeNotSatisfiable { content_range: HeaderValue::from_static(content_range) }
}

#[test]
fn one_range_is_served() {
    assert_eq!(range("bytes=2-4", 10), partial(2, 3, "bytes 2-4/10"));
    assert_eq!(range("bytes=2-", 10), partial(2, 8, "bytes 2-9/10"));
    assert_eq!(range("bytes=-3", 10), partial(7, 3, "bytes 7-9/10"));
    assert_eq!(range("bytes=-30", 10), partial(0, 10, "bytes 0-9/10"));
    assert_eq!(range("Bytes = 9-99999999999999999999999", 10), partial(9, 1, "bytes 9-9/10"));
    assert_eq!(range("bytes=,0-0,", 10), partial(0, 1, "bytes 0-0/10"));
}

#[test]
fn a_range_beyond_the_end_is_a_416() {
    assert_eq!(range("bytes=10-", 10), unsatisfiable("bytes */10"));
    assert_eq!(range("bytes=10-20", 10), unsatisfiable("bytes */10"));
    assert_eq!(range("bytes=99999999999999999999999-", 10), unsatisfiable("bytes */10"));
    assert_eq!(range("bytes=-0", 10), unsatisfiable("bytes */10"));
    assert_eq!(range("bytes=0-", 0), unsatisfiable("bytes */0"));
    assert_eq!(range("bytes=-0", 0), unsatisfiable("bytes */0"));
}

#[test]
fn what_is_no_single_byte_range_gives_the_whole() {
    let odd = [
        "bytes=0-1,4-5",
        "bytes=4-2",
        "bytes=",
        "bytes",
        "lines=0-1",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=1",
        "bytes=-",
        "bytes=--1",
        "bytes=1-2-3",
        "",
    ];
    for text in odd {
        assert_eq!(range(text, 10), Delivery::Full, "{text}");
    }
    assert_eq!(range("bytes=-5", 0), Delivery::Full);
    let twice = [("range", "bytes=0-1"), ("range", "bytes=3-4")];
    assert_eq!(ask("GET", &twice), Delivery::Full);
}

#[test]
fn ranges_are_for_get_and_all_this_for_200() {
    let request = map(&[("range", "bytes=0-1"), ("if-match", "\"x\"")]);
    assert_eq!(ask("HEAD", &[("range", "bytes=0-1")]), Delivery::Full);
    let none = HeaderMap::new();
    assert_eq!(evaluate("POST", StatusCode::OK, &request, &none, 10), Delivery::Full);
    assert_eq!(evaluate("GET", StatusCode::NOT_FOUND, &request, &none, 10), Delivery::Full);
}

#[test]
fn if_match_compares_strongly() {
    for value in ["\"e\"", "*", "\"a\", \"e\"", "e"] {
        assert_eq!(ask("GET", &[("if-match", value)]), Delivery::Full, "{value}");
    }
    for value in ["\"x\"", "W/\"e\"", "", "\"a,e\""] {
        assert_eq!(ask("GET", &[("if-match", value)]), Delivery::PreconditionFailed, "{value}");
    }
    let none = HeaderMap::new();
    let any = map(&[("if-match", "*")]);
    assert_eq!(evaluate("GET", StatusCode::OK, &any, &none, 1), Delivery::Full);
}

#[test]
fn if_none_match_compares_weakly() {
    for value in ["\"e\"", "W/\"e\"", "*", "\"a\" , W/\"e\"", "e"] {
        assert_eq!(ask("HEAD", &[("if-none-match", value)]), Delivery::NotModified, "{value}");
    }
    let two = [("if-none-match", "\"a\""), ("if-none-match", "\"e\"")];
    assert_eq!(ask("GET", &two), Delivery::NotModified);
    assert_eq!(ask("GET", &[("if-none-match", "\"x\"")]), Delivery::Full);
}

#[test]
fn dates_are_compared_to_the_second() {
    for (date, modified, unmodified) in [
        (BEFORE, Delivery::Full, Delivery::PreconditionFailed),
        (MODIFIED, Delivery::NotModified, Delivery::Full),
        (AFTER, Delivery::NotModified, Delivery::Full),
        ("yesterday", Delivery::Full, Delivery::Full),
    ] {
        assert_eq!(ask("GET", &[("if-modified-since", date)]), modified, "{date}");
        assert_eq!(ask("GET", &[("if-unmodified-since", date)]), unmodified, "{date}");
    }
    let request = map(&[("if-unmodified-since", BEFORE), ("if-modified-since", AFTER)]);
    let undated = HeaderMap::new();
    assert_eq!(evaluate("GET", StatusCode::OK, &request, &undated, 1), Delivery::Full);
}

#[test]
fn tags_go_before_dates() {
    let passed = [("if-match", "\"e\""), ("if-unmodified-since", BEFORE)];
    assert_eq!(ask("GET", &passed), Delivery::Full);
    let passed = [("if-none-match", "\"x\""), ("if-modified-since", AFTER)];
    assert_eq!(ask("GET", &passed), Delivery::Full);
    let both = [("if-match", "\"x\""), ("if-none-match", "\"e\"")];
    assert_eq!(ask("GET", &both), Delivery::PreconditionFailed);
    let with_range = [("if-none-match", "\"e\""), ("range", "bytes=50-")];
    assert_eq!(ask("GET", &with_range), Delivery::NotModified);
}

#[test]
fn if_range_wants_the_very_state() {
    let ask = |value: &str| ask("GET", &[("range", "bytes=0-1"), ("if-range", value)]);
    assert_eq!(ask("\"e\""), partial(0, 2, "bytes 0-1/10"));
    assert_eq!(ask(MODIFIED), partial(0, 2, "bytes 0-1/10"));
    for value in ["\"x\"", "W/\"e\"", BEFORE, AFTER, ""] {
        assert_eq!(ask(value), Delivery::Full, "{value}");
    }
}

#[test]
fn a_delivery_makes_status_and_fields() {
    let plain = || map(&[("content-type", "a/b"), ("content-length", "10"), ("etag", "\"e\"")]);
    let apply = |delivery: Delivery| {
        let (mut status, mut headers) = (StatusCode::OK, plain());
        delivery.apply(&mut status, &mut headers).map(|()| (status.as_u16(), headers))
    };
    let (status, headers) = apply(Delivery::Full).unwrap();
    assert_eq!((status, &headers["accept-ranges"]), (200, &HeaderValue::from_static("bytes")));
    let (status, headers) = apply(range("bytes=1-2", 10)).unwrap();
    assert_eq!((status, &headers["content-length"]), (206, &HeaderValue::from_static("2")));
    assert_eq!(headers["content-range"], "bytes 1-2/10");
    let (status, headers) = apply(Delivery::NotModified).unwrap();
    assert_eq!((status, headers.len(), &headers["etag"]), (304, 1, &"\"e\"".parse().unwrap()));
    assert_eq!(apply(Delivery::PreconditionFailed).unwrap_err().status(), 412);
    let error = apply(range("bytes=50-", 10)).unwrap_err();
    assert_eq!(error.render(None, "").headers()["content-range"], "bytes */10");
}

proptest! {
    #[test]
    fn a_range_never_lies_outside(
        text in prop_oneof!["bytes=[0-9]{0,3}-[0-9]{0,3}", "[ -~]{0,20}", "bytes=[-,0-9]{0,40}"],
        length in prop_oneof![0..1000_u64, any::<u64>()],
    ) {
        if let Delivery::Partial { offset, length: count, content_range } = range(&text, length) {
            prop_assert!(count >= 1);
            prop_assert!(offset.checked_add(count).is_some_and(|end| end <= length));
            let last = offset + count - 1;
            prop_assert_eq!(content_range, format!("bytes {offset}-{last}/{length}"));
        }
    }

    #[test]
    fn any_fields_are_read_without_panic(
        values in prop::collection::vec(any::<Vec<u8>>(), 6),
        etag in any::<Vec<u8>>(),
    ) {
        let names = ["range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
        let mut request = HeaderMap::new();
        for (name, value) in names.into_iter().zip(&values) {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request.append(name, value);
            }
        }
        let mut answer = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&etag) {
            answer.insert("etag", value);
        }
        let _ = evaluate("GET", StatusCode::OK, &request, &answer, 10);
    }

    #[test]
    fn the_own_tag_is_always_recognized(tag in "[!#-~]{1,20}") {
        let quoted = HeaderValue::try_from(format!("\"{tag}\"")).unwrap();
        let mut request = HeaderMap::new();
        request.insert("if-none-match", quoted.clone());
        let mut answer = HeaderMap::new();
        answer.insert("etag", quoted);
        let delivery = evaluate("GET", StatusCode::OK, &request, &answer, 10);
        prop_assert_eq!(delivery, Delivery::NotModified);
    }
}
