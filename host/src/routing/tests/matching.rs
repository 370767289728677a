//! The table against a matcher that tries every route and knows no tree.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::super::surface::SurfaceError;
use super::super::table::Outcome;
use super::{compile, surface};

const LITERALS: [&str; 4] = ["a", "b", "", "é"];
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "OPTIONS", "COPY"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Piece {
    Literal(usize),
    Parameter,
    Rest,
}

/// What the reference knows of a route: its method, its shape, and which declared route it stands
/// for.
type Candidate = (&'static str, Vec<Piece>, usize);

fn text(pieces: &[Piece]) -> String {
    let one = |(position, piece): (usize, &Piece)| match piece {
        Piece::Literal(literal) => format!("/{}", LITERALS[*literal]),
        Piece::Parameter => format!("/{{p{position}}}"),
        Piece::Rest => "/{*rest}".to_owned(),
    };
    pieces.iter().enumerate().map(one).collect()
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap() as u8
}

fn decoded(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(hex(bytes[at + 1]) * 16 + hex(bytes[at + 2]));
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

/// The parameters, if the shape matches.
fn values(pieces: &[Piece], path: &str) -> Option<Vec<String>> {
    let raw: Vec<&str> = path[1..].split('/').collect();
    let mut values = Vec::new();
    for (position, piece) in pieces.iter().enumerate() {
        if *piece == Piece::Rest {
            if position > raw.len() - 1 {
                return None;
            }
            values.push(raw[position..].join("/"));
            return Some(values);
        }
        let segment = decoded(raw.get(position)?);
        match piece {
            Piece::Literal(literal) if LITERALS[*literal] == segment => {}
            Piece::Parameter if !["", ".", ".."].contains(&&*segment) && !segment.contains('/') => {
                values.push(segment);
            }
            _ => return None,
        }
    }
    (pieces.len() == raw.len()).then_some(values)
}

/// Smaller is better: literals sort before parameters before rest.
fn rank(pieces: &[Piece]) -> Vec<u8> {
    let one = |piece: &Piece| match piece {
        Piece::Literal(_) => 0,
        Piece::Parameter => 1,
        Piece::Rest => 2,
    };
    pieces.iter().map(one).collect()
}

fn reference(routes: &[Candidate], auto_head: bool, auto_options: bool, method: &str, path: &str) -> Outcome {
    let mut matching: Vec<&Candidate> = routes.iter().filter(|(_, pieces, _)| values(pieces, path).is_some()).collect();
    matching.sort_by_key(|(_, pieces, _)| rank(pieces));
    let mut hits = matching.iter().filter_map(|candidate @ (has, pieces, _)| {
        let replaced = || routes.iter().any(|(m, p, _)| *m == "HEAD" && p == pieces);
        let automatic = auto_head && method == "HEAD" && *has == "GET" && !replaced();
        (*has == method || automatic).then_some((*candidate, automatic))
    });
    if let Some(((_, pieces, route), automatic_head)) = hits.next() {
        let params = values(pieces, path).unwrap();
        return Outcome::Matched { route: *route, params, automatic_head };
    }
    if matching.is_empty() {
        return Outcome::NotFound;
    }
    let mut methods: BTreeSet<&str> = matching.iter().map(|(method, ..)| *method).collect();
    if auto_head && methods.contains("GET") {
        methods.insert("HEAD");
    }
    if auto_options {
        methods.insert("OPTIONS");
    }
    let allow = methods.into_iter().collect::<Vec<_>>().join(", ").try_into().unwrap();
    if auto_options && method == "OPTIONS" { Outcome::Options { allow } } else { Outcome::MethodNotAllowed { allow } }
}

fn with_aliases(declared: &[Candidate]) -> Vec<Candidate> {
    let mut all = declared.to_vec();
    for (method, pieces, route) in declared {
        let last = *pieces.last().unwrap();
        let mut alias = pieces.clone();
        alias.push(Piece::Literal(2));
        let taken = all.iter().any(|(m, p, _)| m == method && *p == alias);
        if last != Piece::Rest && last != Piece::Literal(2) && !taken {
            all.push((method, alias, *route));
        }
    }
    all
}

fn shape() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![(0..LITERALS.len()).prop_map(Piece::Literal), Just(Piece::Parameter)];
    (prop::collection::vec(piece, 0..4), any::<bool>()).prop_map(|(mut pieces, rest)| {
        if rest || pieces.is_empty() {
            pieces.push(Piece::Rest);
        }
        pieces
    })
}

fn routes() -> impl Strategy<Value = Vec<(&'static str, Vec<Piece>)>> {
    prop::collection::vec((prop::sample::select(&METHODS[..]), shape()), 0..14)
}

fn request_path() -> impl Strategy<Value = String> {
    let segments = ["a", "b", "", "%61", "%C3%A9", "é", "c", "..", "%2F", "%2e", "a%20"];
    prop::collection::vec(prop::sample::select(segments.to_vec()), 1..6)
        .prop_map(|segments| format!("/{}", segments.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_table_finds_what_trying_every_route_finds(
        routes in routes(),
        [auto_head, auto_options, slash, double] in any::<[bool; 4]>(),
        paths in prop::collection::vec(request_path(), 1..8),
    ) {
        let mut seen = HashSet::new();
        let starts_double = |shape: &[Piece]| shape.len() > 1 && shape[0] == Piece::Literal(2);
        let declared: Vec<Candidate> = routes
            .into_iter()
            .filter(|(_, shape)| !(double && starts_double(shape)))
            .filter(|route| seen.insert(route.clone()))
            .enumerate()
            .map(|(position, (method, shape))| (method, shape, position))
            .collect();
        let texts: Vec<String> = declared.iter().map(|(_, shape, _)| text(shape)).collect();
        let pairs: Vec<_> = declared.iter().zip(&texts).map(|((m, ..), t)| (*m, &**t)).collect();
        let mut surface = surface(&pairs);
        surface.auto_head = auto_head;
        surface.auto_options = auto_options;
        surface.optional_trailing_slash = slash;
        surface.double_slash_root = double;
        let table = compile(surface, &[]).unwrap();
        let all = if slash { with_aliases(&declared) } else { declared };
        for path in paths {
            let taken_as = if double && path.starts_with("//") { &path[1..] } else { &path };
            for method in METHODS.into_iter().chain(["DELETE"]) {
                prop_assert_eq!(
                    table.find(method, &path),
                    reference(&all, auto_head, auto_options, method, taken_as),
                    "{} {} among {:?}", method, path, all
                );
            }
        }
    }

    #[test]
    fn equal_shapes_clash_and_no_others_do(routes in routes()) {
        let texts: Vec<String> = routes.iter().map(|(_, shape)| text(shape)).collect();
        let pairs: Vec<_> = routes.iter().zip(&texts).map(|((m, _), t)| (*m, &**t)).collect();
        let distinct: HashSet<_> = routes.iter().collect();
        let outcome = compile(surface(&pairs), &[]);
        if distinct.len() == routes.len() {
            prop_assert!(outcome.is_ok());
        } else {
            let is_clash = matches!(outcome, Err(SurfaceError::Route { .. }));
            prop_assert!(is_clash);
        }
    }
}
