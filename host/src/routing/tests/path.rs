//! Tests of `path`.

use proptest::prelude::*;

use super::super::path::{self, Path, PathError};
use super::super::table::Outcome;
use super::table;

fn params(template: &str, path: &str) -> Option<Vec<String>> {
    match table(&[("GET", template)]).find("GET", path) {
        Outcome::Matched { params, .. } => Some(params),
        Outcome::NotFound => None,
        other => panic!("{path}: {other:?}"),
    }
}

fn bad(path: &str) -> Outcome {
    table(&[("GET", "/{a}"), ("GET", "/{*rest}")]).find("GET", path)
}

#[test]
fn rule_9_splits_before_decoding() {
    assert_eq!(params("/a/{x}", "/a%2Fb"), None);
    assert_eq!(params("/{x}", "/a%2Fb"), None);
    assert_eq!(params("/{x}/{y}", "/a/b"), Some(vec!["a".into(), "b".into()]));
}

#[test]
fn rule_9_decodes_each_segment_once() {
    assert_eq!(params("/{x}", "/%2541"), Some(vec!["%41".into()]));
    assert_eq!(params("/{x}", "/100%25"), Some(vec!["100%".into()]));
    assert_eq!(params("/{x}", "/%E2%98%82+a"), Some(vec!["☂+a".into()]));
}

#[test]
fn rule_9_literals_compare_decoded() {
    assert_eq!(params("/images", "/im%61ges"), Some(vec![]));
    assert_eq!(params("/a%20b", "/a%20b"), Some(vec![]));
    assert_eq!(params("/é", "/%C3%A9"), Some(vec![]));
    assert_eq!(params("/%C3%a9", "/%c3%A9"), Some(vec![]));
    assert_eq!(params("/images", "/IMAGES"), None);
}

#[test]
fn rule_9_never_collapses_slashes() {
    assert_eq!(params("/a/b", "/a//b"), None);
    assert_eq!(params("/a/b", "//a/b"), None);
    assert_eq!(params("/", "//"), None);
    assert_eq!(params("/a//b", "/a//b"), Some(vec![]));
    assert_eq!(params("/a//b", "/a/b"), None);
}

#[test]
fn rule_9_a_trailing_slash_is_significant() {
    assert_eq!(params("/a", "/a/"), None);
    assert_eq!(params("/a/", "/a"), None);
    assert_eq!(params("/a/", "/a/"), Some(vec![]));
    assert_eq!(params("/{x}", "/a/"), None);
}

#[test]
fn rule_9_a_parameter_is_never_slash_nul_dots_or_empty() {
    for segment in ["%2F", "a%2fb", "%00", "a%00", ".", "..", "%2e", "%2E%2e", ".%2e", ""] {
        assert_eq!(params("/a/{x}", &format!("/a/{segment}")), None, "{segment}");
    }
    for segment in ["...", ".a", "a.", "%5C", "~", "%20"] {
        assert!(params("/a/{x}", &format!("/a/{segment}")).is_some(), "{segment}");
    }
}

#[test]
fn rule_9_rest_is_the_raw_text() {
    for rest in ["", "/", "a", "a/", "a//b", "../b", "%2F%00", "%41;x=1"] {
        let path = format!("/o/{rest}");
        assert_eq!(params("/o/{*rest}", &path), Some(vec![rest.into()]), "{path}");
    }
    assert_eq!(params("/o/{*rest}", "/o"), None);
    assert_eq!(params("/{*rest}", "/"), Some(vec![String::new()]));
    assert_eq!(params("/{*rest}", "//"), Some(vec!["/".into()]));
}

#[test]
fn rule_9_bad_escapes_are_a_400_of_their_own() {
    for path in ["/%", "/%4", "/%4g", "/%g4", "/a/%%41", "/a%", "/%+1"] {
        assert_eq!(bad(path), Outcome::BadPath(PathError::MalformedEscape), "{path}");
    }
    for path in ["/%FF", "/%C3", "/%C3/%A9", "/x/%ED%A0%80", "/%C0%AF"] {
        assert_eq!(bad(path), Outcome::BadPath(PathError::NotUtf8), "{path}");
    }
    for path in ["", "a", "*", "http://h/"] {
        assert_eq!(bad(path), Outcome::BadPath(PathError::NotAbsolute), "{path}");
    }
}

#[test]
fn options_asterisk_is_for_the_server() {
    assert!(path::is_asterisk("OPTIONS", "*"));
    assert!(!path::is_asterisk("GET", "*"));
    assert!(!path::is_asterisk("OPTIONS", "/*"));
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(raw in any::<String>()) {
        if let Ok(path) = Path::parse(&raw) {
            prop_assert_eq!(path.raw(), raw.as_str());
        }
    }

    #[test]
    fn any_escaped_bytes_are_read_as_text_or_refused(bytes in any::<Vec<u8>>()) {
        let raw: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
        let raw = format!("/{raw}");
        match std::str::from_utf8(&bytes) {
            Ok(text) => {
                prop_assert!(Path::parse(&raw).is_ok());
                prop_assert_eq!(path::decode(&raw[1..]), text);
            }
            Err(_) => prop_assert_eq!(Path::parse(&raw), Err(PathError::NotUtf8)),
        }
    }

    #[test]
    fn slashes_and_percent_signs_are_read_without_panic(raw in "/[%/.0-9a-fA-F\u{e9}]{0,24}") {
        let table = table(&[("GET", "/{a}"), ("GET", "/{a}/{b}"), ("GET", "/x/{*rest}")]);
        match table.find("GET", &raw) {
            Outcome::Matched { params, route, .. } if route < 2 => {
                prop_assert!(params.iter().all(|value| path::fills_parameter(value)));
            }
            Outcome::BadPath(error) => prop_assert_eq!(Path::parse(&raw), Err(error)),
            _ => {}
        }
    }

    #[test]
    fn parameters_round_trip(text in "[^/\0]{1,20}") {
        prop_assume!(text != "." && text != "..");
        let found = params("/a/{x}/b", &format!("/a/{}/b", encode(&text)));
        prop_assert_eq!(found, Some(vec![text]));
    }
}
