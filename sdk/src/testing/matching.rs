//! From method and path to route, as a host does it, in the simplest way: every route is tried, the best one wins.
//!
//! The path is split before it is decoded and each segment is decoded once. A parameter that decodes to something
//! empty, with `/` or NUL in it, or to `.` or `..` does not match.

use std::borrow::Cow;
use std::cmp::Reverse;

use percent_encoding::percent_decode_str;

use crate::contract::{Route, Surface};

/// What a look-up gives.
pub(super) enum Found {
    Route { index: usize, params: Vec<String>, drop_body: bool },
    Options { allow: String },
    MethodNotAllowed { allow: String },
    Nothing,
    BadPath,
}

/// How well a segment matches: literals before parameters before the rest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Rest,
    Parameter,
    Literal,
}

pub(super) fn find(surface: &Surface, method: &str, path: &str) -> Found {
    if !path.starts_with('/') || percent_decode_str(path).decode_utf8().is_err() {
        return Found::BadPath;
    }
    let found = look_up(surface, method, path);
    let rest = match &found {
        Found::Nothing => true,
        Found::Route { index, .. } => surface.routes.get(*index).is_some_and(|route| route.path.contains("/{*")),
        _ => false,
    };
    // A slash put behind a route's path goes before `{*rest}` of another route.
    let without_slash = path.strip_suffix('/').filter(|shorter| !shorter.is_empty());
    if let (true, true, Some(shorter)) = (rest, surface.optional_trailing_slash, without_slash) {
        let shorter = look_up(surface, method, shorter);
        let own = match &shorter {
            Found::Route { index, .. } => surface.routes.get(*index).is_some_and(|route| !route.path.contains("/{*")),
            _ => matches!(found, Found::Nothing),
        };
        if own {
            return shorter;
        }
    }
    if matches!(found, Found::Nothing) && surface.double_slash_root && path.starts_with("//") {
        return find(surface, method, path.split_at(1).1);
    }
    found
}

fn look_up(surface: &Surface, method: &str, path: &str) -> Found {
    let mut matching: Vec<(Vec<Fit>, usize, &Route, Vec<String>)> = surface
        .routes
        .iter()
        .enumerate()
        .filter_map(|(index, route)| fit(&route.path, path).map(|(fits, params)| (fits, index, route, params)))
        .collect();
    matching.sort_by(|a, b| Reverse(&a.0).cmp(&Reverse(&b.0)));
    if matching.is_empty() {
        return Found::Nothing;
    }
    let allow = allowed(surface, matching.iter().map(|(_, _, route, _)| route.method.as_str()));
    let automatic_head = method == "HEAD" && surface.auto_head;
    let chosen = matching
        .into_iter()
        .find(|(_, _, route, _)| route.method == method || (automatic_head && route.method == "GET"));
    match chosen {
        Some((_, index, _, params)) => Found::Route { index, params, drop_body: method == "HEAD" },
        None if method == "OPTIONS" && surface.auto_options => Found::Options { allow },
        None => Found::MethodNotAllowed { allow },
    }
}

fn allowed<'a>(surface: &Surface, methods: impl Iterator<Item = &'a str>) -> String {
    let mut methods: Vec<&str> = methods.collect();
    if surface.auto_head && methods.contains(&"GET") {
        methods.push("HEAD");
    }
    if surface.auto_options {
        methods.push("OPTIONS");
    }
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

fn fit(template: &str, path: &str) -> Option<(Vec<Fit>, Vec<String>)> {
    let (mut fits, mut params) = (Vec::new(), Vec::new());
    let mut left = Some(path.strip_prefix('/')?);
    for segment in template.strip_prefix('/')?.split('/') {
        if segment.starts_with("{*") {
            fits.push(Fit::Rest);
            params.push(left?.to_owned());
            return Some((fits, params));
        }
        let (raw, rest) = match left?.split_once('/') {
            Some((raw, rest)) => (raw, Some(rest)),
            None => (left?, None),
        };
        left = rest;
        let decoded = decode(raw);
        if segment.starts_with('{') {
            if matches!(&*decoded, "" | "." | "..") || decoded.contains(['/', '\0']) {
                return None;
            }
            fits.push(Fit::Parameter);
            params.push(decoded.into_owned());
        } else if decode(segment) == decoded {
            fits.push(Fit::Literal);
        } else {
            return None;
        }
    }
    left.is_none().then_some((fits, params))
}

fn decode(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(template: &str, path: &str) -> Option<Vec<String>> {
        fit(template, path).map(|(_, params)| params)
    }

    #[test]
    fn an_encoded_slash_does_not_separate_and_does_not_match_a_parameter() {
        assert_eq!(params("/a/{x}", "/a/b%2Fc"), None);
        assert_eq!(params("/a/{x}", "/a/b%20c").unwrap(), ["b c"]);
        assert_eq!(params("/a/{*x}", "/a/b%2Fc/d").unwrap(), ["b%2Fc/d"]);
        assert_eq!(params("/a/{*x}", "/a/").unwrap(), [""]);
        assert_eq!(params("/a/{*x}", "/a"), None);
    }

    #[test]
    fn a_trailing_slash_is_significant() {
        assert_eq!(params("/a", "/a/"), None);
        assert!(params("/a/", "/a/").is_some());
        assert_eq!(params("/{x}", "//"), None);
    }
}
