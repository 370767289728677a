//! Tests of `table`.

use http::{HeaderMap, HeaderValue};

use super::super::surface::{Access, ErrorTemplate, Rule, Surface};
use super::super::table::{Outcome, Table};
use super::{compile, surface, table};

fn matched(route: usize, params: &[&str]) -> Outcome {
    let params = params.iter().map(|&value| value.to_owned()).collect();
    Outcome::Matched { route, params, automatic_head: false }
}

fn not_allowed(allow: &'static str) -> Outcome {
    Outcome::MethodNotAllowed { allow: HeaderValue::from_static(allow) }
}

fn refused(surface: Surface) -> String {
    compile(surface, &[]).unwrap_err().to_string()
}

#[test]
fn literals_win_over_parameters_and_those_over_rest() {
    let table = table(&[("GET", "/{*r}"), ("GET", "/i/{id}"), ("GET", "/i/detail"), ("GET", "/i/{id}/m")]);
    assert_eq!(table.find("GET", "/i/detail"), matched(2, &[]));
    assert_eq!(table.find("GET", "/i/x"), matched(1, &["x"]));
    assert_eq!(table.find("GET", "/i/x/y"), matched(0, &["i/x/y"]));
    // The literal branch leads nowhere: back to the parameter.
    assert_eq!(table.find("GET", "/i/detail/m"), matched(3, &["detail"]));
}

#[test]
fn a_template_without_the_method_hides_none_that_has_it() {
    let table = table(&[("GET", "/a/b"), ("PUT", "/a/{x}"), ("COPY", "/{*r}")]);
    assert_eq!(table.find("PUT", "/a/b"), matched(1, &["b"]));
    assert_eq!(table.find("COPY", "/a/b"), matched(2, &["a/b"]));
    assert_eq!(table.find("DELETE", "/a/b"), not_allowed("COPY, GET, HEAD, OPTIONS, PUT"));
}

#[test]
fn methods_are_compared_exactly() {
    let table = table(&[("get", "/a")]);
    assert_eq!(table.find("get", "/a"), matched(0, &[]));
    assert_eq!(table.find("GET", "/a"), not_allowed("OPTIONS, get"));
}

#[test]
fn allow_is_sorted_and_names_the_automatic_methods() {
    let table = table(&[("PUT", "/a"), ("COPY", "/a"), ("GET", "/a")]);
    assert_eq!(table.find("POST", "/a"), not_allowed("COPY, GET, HEAD, OPTIONS, PUT"));
    let allow = HeaderValue::from_static("COPY, GET, HEAD, OPTIONS, PUT");
    assert_eq!(table.find("OPTIONS", "/a"), Outcome::Options { allow });
    assert_eq!(table.find("OPTIONS", "/b"), Outcome::NotFound);
}

#[test]
fn automatic_head_runs_get() {
    let table = table(&[("PUT", "/a"), ("GET", "/a"), ("GET", "/b"), ("HEAD", "/b")]);
    let automatic = Outcome::Matched { route: 1, params: vec![], automatic_head: true };
    assert_eq!(table.find("HEAD", "/a"), automatic);
    assert_eq!(table.find("HEAD", "/b"), matched(3, &[]));
}

#[test]
fn head_reaches_what_get_reaches() {
    let table = table(&[("GET", "/i/detail"), ("HEAD", "/i/{id}")]);
    let automatic = Outcome::Matched { route: 0, params: vec![], automatic_head: true };
    assert_eq!(table.find("HEAD", "/i/detail"), automatic);
    assert_eq!(table.find("HEAD", "/i/x"), matched(1, &["x"]));
}

#[test]
fn declared_options_goes_before_automatic() {
    let table = table(&[("GET", "/a"), ("OPTIONS", "/{*r}")]);
    assert_eq!(table.find("OPTIONS", "/a"), matched(1, &["a"]));
}

#[test]
fn automatisms_can_be_off() {
    let mut surface = surface(&[("GET", "/a")]);
    surface.auto_head = false;
    surface.auto_options = false;
    let table = compile(surface, &[]).unwrap();
    assert_eq!(table.find("HEAD", "/a"), not_allowed("GET"));
    assert_eq!(table.find("OPTIONS", "/a"), not_allowed("GET"));
}

#[test]
fn optional_trailing_slash() {
    let routes = [("GET", "/i"), ("POST", "/i/"), ("GET", "/i/{id}"), ("GET", "/o/{*r}"), ("GET", "/o")];
    let mut surface = surface(&routes);
    surface.optional_trailing_slash = true;
    let table = compile(surface, &[]).unwrap();
    assert_eq!(table.find("GET", "/i/"), matched(0, &[]));
    assert_eq!(table.find("POST", "/i/"), matched(1, &[]));
    // The alias goes one way only.
    assert_eq!(table.find("POST", "/i"), not_allowed("GET, HEAD, OPTIONS"));
    assert_eq!(table.find("GET", "/i/x/"), matched(2, &["x"]));
    assert_eq!(table.find("GET", "/i//"), Outcome::NotFound);
    assert_eq!(table.find("GET", "/o/"), matched(4, &[]));
    assert_eq!(table.find("GET", "/o/x/"), matched(3, &["x/"]));
}

#[test]
fn a_declared_slash_goes_before_the_alias() {
    let mut surface = surface(&[("GET", "/i"), ("GET", "/i/")]);
    surface.optional_trailing_slash = true;
    let table = compile(surface, &[]).unwrap();
    assert_eq!(table.find("GET", "/i"), matched(0, &[]));
    assert_eq!(table.find("GET", "/i/"), matched(1, &[]));
}

#[test]
fn double_slash_root() {
    let mut surface = surface(&[("GET", "/"), ("GET", "/a/{x}")]);
    assert_eq!(compile(surface.clone(), &[]).unwrap().find("GET", "//"), Outcome::NotFound);
    surface.double_slash_root = true;
    let table = compile(surface, &[]).unwrap();
    assert_eq!(table.find("GET", "/"), matched(0, &[]));
    assert_eq!(table.find("GET", "//"), matched(0, &[]));
    assert_eq!(table.find("GET", "//a/b"), matched(1, &["b"]));
    assert_eq!(table.find("GET", "///"), Outcome::NotFound);
    assert_eq!(table.find("GET", "/a//b"), Outcome::NotFound);
}

#[test]
fn an_empty_table_finds_nothing() {
    assert_eq!(table(&[]).find("GET", "/"), Outcome::NotFound);
}

#[test]
fn a_long_path_costs_no_more_than_the_longest_template() {
    let table = table(&[("GET", "/{a}/{b}"), ("GET", "/a/{*r}")]);
    let path = "/a".repeat(100_000);
    assert_eq!(table.find("GET", &path), matched(1, &[&path[3..]]));
}

#[test]
fn clashes_are_refused_with_both_routes_named() {
    assert_eq!(
        refused(surface(&[("PUT", "/i/{a}"), ("GET", "/i/{a}"), ("GET", "/i/{b}")])),
        "surface 'main', route GET /i/{b}: it matches the same requests as route 1, /i/{a}; \
         remove one of them"
    );
    assert!(refused(surface(&[("GET", "/a/{*x}"), ("GET", "/a/{*y}")])).contains("same requests"));
    assert!(refused(surface(&[("GET", "/%61"), ("GET", "/a")])).contains("same requests"));
}

#[test]
fn bad_routes_are_refused() {
    assert!(refused(surface(&[("GE T", "/")])).contains("no HTTP method token"));
    assert!(refused(surface(&[("", "/")])).contains("no HTTP method token"));
    assert!(refused(surface(&[("GET", "a")])).contains("it must start with '/'"));
    let mut odd = surface(&[("GET", "/")]);
    odd.routes[0].operation = "a b".to_owned();
    assert!(refused(odd).contains("operation \"a b\" is no name"));
    let mut hidden = surface(&[("GET", "//a")]);
    hidden.double_slash_root = true;
    assert!(refused(hidden).contains("can never match"));
}

#[test]
fn access_rules_have_to_be_declared() {
    let mut surface = surface(&[("GET", "/")]);
    surface.routes[0].access = Access::RoleRule("image:create".to_owned());
    assert_eq!(
        refused(surface.clone()),
        "surface 'main', route GET /: access rule 'image:create' is not declared; add it to the \
         descriptor's rules"
    );
    let rule = Rule { name: "image:create".to_owned(), roles: vec![] };
    assert!(compile(surface.clone(), std::slice::from_ref(&rule)).is_ok());
    let twice = compile(surface, &[rule.clone(), rule]).unwrap_err().to_string();
    assert_eq!(twice, "two access rules are named 'image:create'; give each its own name");
}

#[test]
fn surfaces_have_distinct_names() {
    assert!(Table::compile_all(vec![], &[]).unwrap_err().to_string().contains("no surface"));
    let twice = Table::compile_all(vec![surface(&[]), surface(&[])], &[]).unwrap_err();
    assert_eq!(twice.to_string(), "two surfaces are named 'main'; give each its own name");
    let mut unnamed = surface(&[]);
    unnamed.name = String::new();
    assert!(refused(unnamed).contains("surface \"\" is no name"));
}

#[test]
fn what_a_descriptor_holds_is_bounded() {
    let paths: Vec<String> = (0..5000).map(|n| format!("/{n}")).collect();
    let routes: Vec<_> = paths.iter().map(|path| ("GET", &**path)).collect();
    assert_eq!(refused(surface(&routes)), "5000 routes, but at most 4096 are taken");
}

#[test]
fn bad_headers_are_refused() {
    let with = |name: &str, value: &str| {
        let mut surface = surface(&[]);
        surface.headers.push((name.to_owned(), value.to_owned()));
        surface
    };
    assert!(refused(with("a b", "x")).contains("no header field name"));
    assert!(refused(with("x-a", "x\r\ny: z")).contains("line break"));
    for name in ["Connection", "transfer-encoding", "Keep-Alive", "Content-Length"] {
        assert!(refused(with(name, "x")).contains("host's own business"), "{name}");
    }
    assert!(compile(with("X-A", "é"), &[]).is_ok());
}

#[test]
fn headers_are_put_on_answers_that_lack_them() {
    let mut surface = surface(&[]);
    let pairs = [("Vary", "A"), ("X-A", "own"), ("vary", "B")];
    surface.headers = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let table = compile(surface, &[]).unwrap();
    let mut answer = HeaderMap::new();
    answer.insert("x-a", HeaderValue::from_static("plugin's"));
    table.add_headers(&mut answer);
    assert_eq!(answer.get_all("vary").iter().collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!(answer.get_all("x-a").iter().collect::<Vec<_>>(), ["plugin's"]);
}

#[test]
fn bad_error_templates_are_refused() {
    let with = |content_type: &str, body: &str| {
        let mut surface = surface(&[]);
        let (content_type, body) = (content_type.to_owned(), body.to_owned());
        surface.errors = Some(ErrorTemplate { content_type, body });
        surface
    };
    assert_eq!(
        refused(with("text/plain", "{message}")),
        "surface 'main', error template: there is no placeholder '{message}'; use {status}, \
         {reason}, {detail} or {request-id}"
    );
    assert!(refused(with("json", "{}")).contains("not of the form 'type/subtype'"));
    assert!(refused(with("text/plain\r\nx: y", "")).contains("not of the form"));
    assert!(refused(with("application/json", r#"{"e": {detail}}"#)).contains("double quotes"));
    assert!(compile(with("application/json", r#"{"e": "{detail}", "c": {status}}"#), &[]).is_ok());
}
