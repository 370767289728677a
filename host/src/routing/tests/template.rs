//! Tests of `template`.

use proptest::prelude::*;

use super::super::path::PathError;
use super::super::template::{MAX_LENGTH, MAX_SEGMENTS, Segment, Template, TemplateError};

fn refused(text: &str) -> TemplateError {
    Template::parse(text).unwrap_err()
}

#[test]
fn segments_are_literals_parameters_and_rest() {
    let template = Template::parse("/a%20b/{id}//{*rest}").unwrap();
    assert_eq!(
        template.segments(),
        [
            Segment::Literal("a b".into()),
            Segment::Parameter("id".into()),
            Segment::Literal(String::new()),
            Segment::Rest("rest".into()),
        ]
    );
    assert_eq!(template.names().collect::<Vec<_>>(), ["id", "rest"]);
    assert_eq!(template.to_string(), "/a%20b/{id}//{*rest}");
}

#[test]
fn a_template_starts_with_a_slash() {
    assert_eq!(refused(""), TemplateError::NotAbsolute);
    assert_eq!(refused("images"), TemplateError::NotAbsolute);
}

#[test]
fn a_parameter_fills_a_whole_segment() {
    for segment in ["a{b}", "{b}a", "{a}{b}", "{a", "a}", "{{a}}", "}{"] {
        assert_eq!(refused(&format!("/{segment}")), TemplateError::Brace(segment.into()));
    }
}

#[test]
fn parameter_names_are_names() {
    for name in ["", "1a", "a b", "a.b", "é", "-a"] {
        assert_eq!(refused(&format!("/{{{name}}}")), TemplateError::Name(name.into()));
    }
    assert_eq!(refused("/{*}"), TemplateError::Name(String::new()));
    assert!(Template::parse("/{_a-B9}").is_ok());
}

#[test]
fn parameter_names_are_distinct() {
    assert_eq!(refused("/{a}/b/{a}"), TemplateError::Duplicate("a".into()));
    assert_eq!(refused("/{a}/{*a}"), TemplateError::Duplicate("a".into()));
}

#[test]
fn rest_comes_last() {
    assert_eq!(refused("/{*r}/a"), TemplateError::RestNotLast("r".into()));
    assert_eq!(refused("/{*r}/"), TemplateError::RestNotLast("r".into()));
}

#[test]
fn literals_are_what_a_client_can_send() {
    assert_eq!(refused("/a b"), TemplateError::Character(' '));
    assert_eq!(refused("/a?b"), TemplateError::Character('?'));
    assert_eq!(refused("/a#b"), TemplateError::Character('#'));
    let escape = |segment: &str, problem| TemplateError::Escape { segment: segment.into(), problem };
    assert_eq!(refused("/100%"), escape("100%", PathError::MalformedEscape));
    assert_eq!(refused("/%FF"), escape("%FF", PathError::NotUtf8));
    for segment in [".", "..", "%2e", "a%2Fb", "%00"] {
        assert_eq!(refused(&format!("/{segment}")), TemplateError::Unreachable(segment.into()));
    }
}

#[test]
fn templates_are_bounded() {
    assert_eq!(refused(&"/a".repeat(MAX_SEGMENTS + 1)), TemplateError::TooLong);
    assert_eq!(refused(&format!("/{}", "a".repeat(MAX_LENGTH))), TemplateError::TooLong);
    assert!(Template::parse(&"/a".repeat(MAX_SEGMENTS)).is_ok());
}

#[test]
fn messages_say_what_to_do() {
    assert_eq!(
        refused("/a{b}").to_string(),
        "segment 'a{b}' has a brace in an odd place; a parameter fills a whole segment, as in \
         '/{name}', and a literal brace is written %7B or %7D"
    );
    assert_eq!(refused("/{*r}/a").to_string(), "'{*r}' must be the last segment, as it takes everything that follows");
    assert_eq!(
        refused("/5%").to_string(),
        "literal segment '5%': the path has a '%' that is not followed by two hexadecimal digits \
         (a literal percent sign is written %25)"
    );
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_panic(text in any::<String>()) {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn any_braces_are_parsed_without_panic(text in "/[{}*/%a2.]{0,16}") {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(template.segments().len(), text.matches('/').count());
        }
    }

    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in any::<Vec<u8>>()) {
        let _ = Template::parse(&format!("/{}", String::from_utf8_lossy(&bytes)));
    }
}
