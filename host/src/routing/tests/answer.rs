//! Tests of `answer`.

use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use proptest::prelude::*;

use super::super::answer::HostError;
use super::super::error_page::ErrorPage;
use super::super::path::PathError;
use super::super::surface::ErrorTemplate;

fn page(content_type: &str, body: &str) -> ErrorPage {
    let (content_type, body) = (content_type.to_owned(), body.to_owned());
    ErrorPage::parse(&ErrorTemplate { content_type, body }).unwrap()
}

fn rendered(page: &ErrorPage, detail: &str) -> String {
    let error = HostError::new(StatusCode::NOT_FOUND, detail.to_owned());
    String::from_utf8(error.render(Some(page), "id-1").into_body().to_vec()).unwrap()
}

#[test]
fn without_a_template_errors_are_problem_documents() {
    let answer = HostError::method_not_allowed(HeaderValue::from_static("GET")).render(None, "id-1");
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(answer.headers()[ALLOW], "GET");
    assert_eq!(answer.headers()[CONTENT_LENGTH], answer.body().len().to_string());
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["title"], "Method Not Allowed");
    assert_eq!(problem["status"], 405);
    assert_eq!(problem["request-id"], "id-1");
}

#[test]
fn a_template_is_filled_in() {
    let page = page("text/plain; charset=utf-8", "{status} {reason} {detail} {request-id} {} { a } {");
    assert_eq!(rendered(&page, "<a>"), "404 Not Found <a> id-1 {} { a } {");
    let answer = HostError::bad_path(PathError::NotUtf8).render(Some(&page), "");
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(answer.status(), 400);
}

#[test]
fn values_are_escaped_for_json_and_xml() {
    let json = r#"{"error": {"code": {status}, "message": "{detail}"}}"#;
    for content_type in ["application/json; charset=UTF-8", "Application/Problem+JSON"] {
        let text = rendered(&page(content_type, json), "\"\\\n");
        assert_eq!(text, r#"{"error": {"code": 404, "message": "\"\\\n"}}"#);
    }
    for content_type in ["application/xml", "text/html", "application/atom+xml"] {
        let text = rendered(&page(content_type, "<e a='{detail}'/>"), "<&>\"'\0");
        assert_eq!(text, "<e a='&lt;&amp;&gt;&quot;&#39;\u{fffd}'/>");
    }
}

#[test]
fn values_are_not_filled_in_twice() {
    assert_eq!(rendered(&page("text/plain", "{detail}"), "{status}"), "{status}");
}

#[test]
fn an_error_never_looks_like_success() {
    for status in [100, 200, 204, 302, 399, 600, 999] {
        let error = HostError::new(StatusCode::from_u16(status).unwrap(), "");
        assert_eq!(error.status(), 500, "{status}");
    }
    assert_eq!(HostError::new(StatusCode::IM_A_TEAPOT, "").status(), 418);
}

#[test]
fn own_fields_are_kept() {
    let error =
        HostError::new(StatusCode::SERVICE_UNAVAILABLE, "busy").with_header(RETRY_AFTER, HeaderValue::from_static("1"));
    assert_eq!(error.render(None, "").headers()[RETRY_AFTER], "1");
}

proptest! {
    #[test]
    fn json_stays_json_whatever_the_detail(detail in any::<String>()) {
        let text = rendered(&page("application/json", r#"["{detail}"]"#), &detail);
        prop_assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), vec![detail]);
    }

    #[test]
    fn xml_keeps_its_markup_whatever_the_detail(detail in any::<String>()) {
        let text = rendered(&page("text/xml", "{detail}"), &detail);
        prop_assert!(!text.contains(['<', '>', '"', '\'']));
    }

    #[test]
    fn any_template_is_parsed_without_panic(body in "[{}a-z\"\\-]{0,40}") {
        let content_type = "text/plain".to_owned();
        let _ = ErrorPage::parse(&ErrorTemplate { content_type, body });
    }
}
