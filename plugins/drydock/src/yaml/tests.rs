//! What streams become, and what they cannot cost.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const LIMITS: Limits = Limits { values: 10_000, text: 100_000, work: 20_000, depth: 32 };

/// All documents at once.
fn documents(text: &str, limits: Limits) -> Result<Vec<Value>, Error> {
    super::documents(text, limits).map(|document| document.map(|document| document.value)).collect()
}

fn one(text: &str) -> Value {
    documents(text, LIMITS).unwrap().remove(0)
}

#[test]
fn a_stream_has_several_documents() {
    let read = documents("---\na: 1\n---\n- x\n- 'y'\n...\n", LIMITS).unwrap();
    assert_eq!(read, [json!({"a": 1}), json!(["x", "y"])]);
    assert_eq!(documents("", LIMITS).unwrap(), Vec::<Value>::new());
}

#[test]
fn plain_scalars_are_those_of_yaml_1_1() {
    let read = one("[yes, Off, ~, 0444, 0x1f, 1_000, 1.5, 52:54:00:20:00:11, 4.2-2, '1', 10.20.0.0/24, -3, 1.2.3]");
    let expected =
        json!([true, false, null, 292, 31, 1000, 1.5, "52:54:00:20:00:11", "4.2-2", "1", "10.20.0.0/24", -3, "1.2.3"]);
    assert_eq!(read, expected);
    assert_eq!(one("!!str 12"), json!("12"));
    assert_eq!(one("{1: a, true: b}"), json!({"1": "a", "true": "b"}));
}

#[test]
fn aliases_and_merge_keys_are_followed() {
    assert_eq!(
        one("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n"),
        json!({"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}})
    );
}

#[test]
fn aliases_count_with_all_that_they_stand_for() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let before = level - 1;
        bomb.push_str(&format!("a{level}: &a{level} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}]\n"));
    }
    assert!(matches!(documents(&bomb, Limits::of_bytes(1 << 22)), Err(Error::TooLarge(..))));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000), "*a, ".repeat(200));
    assert!(matches!(documents(&long, LIMITS), Err(Error::TooLarge(..))));
}

#[test]
fn many_small_things_count_for_what_they_take() {
    let wide = "a: 1\n---\n".repeat(2_000);
    assert!(matches!(documents(&wide, LIMITS), Err(Error::TooLarge(..))));
    let maps = format!("[{}]", "{}, ".repeat(900));
    assert!(matches!(documents(&maps, LIMITS), Err(Error::TooLarge(..))));
    assert!(documents(&format!("[{}]", "1, ".repeat(900)), LIMITS).is_ok());
    // What a document held is free for the next.
    let each = format!("[{}]\n---\n", "1, ".repeat(4_000));
    assert_eq!(documents(&each.repeat(4), LIMITS).unwrap().len(), 5);
}

#[test]
fn what_is_too_deep_broken_or_tagged_is_refused() {
    assert!(documents(&"[".repeat(100_000), LIMITS).is_err());
    assert!(matches!(documents(&format!("{}{}", "[".repeat(40), "]".repeat(40)), LIMITS), Err(Error::TooLarge(..))));
    assert!(matches!(documents("a: [1, 2", LIMITS), Err(Error::Broken(..))));
    assert!(matches!(documents("a: !!python/object:os.system x", LIMITS), Err(Error::Unsupported(..))));
    assert!(matches!(documents("a: &a [*a]", LIMITS), Err(Error::Unsupported(..) | Error::Broken(..))));
    assert!(matches!(documents("? [a]\n: b", LIMITS), Err(Error::Unsupported(..))));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = documents(&text, LIMITS);
    }

    #[test]
    fn anything_like_yaml_is_read_or_refused(text in "[a-c&*!:\\-\\[\\]{}<>|'\", \n]{0,80}") {
        let _ = documents(&text, LIMITS);
    }

    #[test]
    fn json_is_yaml(words in proptest::collection::vec("[a-z]{1,6}x", 0..6)) {
        prop_assert_eq!(one(&serde_json::to_string(&words).unwrap()), json!(words));
    }
}
