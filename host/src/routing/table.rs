//! A surface made ready for look-ups: method and path to route.
//!
//! Owns the checks of a declared surface, the automatic HEAD and OPTIONS, the aliases and the
//! values of `Allow`.
//!
//! How routes compete: the best-matching template that has the method wins, where literal segments
//! are better than parameters and those better than `{*rest}`, compared left to right. A template
//! without the method does not hide a worse one that has it. Automatic HEAD belongs to the
//! template of its GET, so that HEAD and GET of one path always reach the same thing; a HEAD
//! declared on that template replaces it. Automatic OPTIONS comes last: any declared OPTIONS that
//! matches the path goes before it.
//!
//! Invariant: within a table each method and shape of path has one route.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::error_page::ErrorPage;
use super::head;
use super::path::{Path, PathError};
use super::surface::{
    Access, MAX_HEADERS, MAX_NAME, MAX_ROUTES, MAX_RULES, MAX_SURFACES, Route, RouteProblem, Rule, Surface,
    SurfaceError, is_name, shorten,
};
use super::template::{Segment, Template};
use super::trie::Node;

/// What a look-up gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A route.
    Matched {
        /// Its position in [`Surface::routes`].
        route: usize,
        /// The template's parameters in order: decoded, `{*rest}` raw.
        params: Vec<String>,
        /// The request is a HEAD and the route a GET: run it and drop the body.
        automatic_head: bool,
    },
    /// The host answers OPTIONS: 204 with this `Allow`.
    Options {
        /// Sorted, automatic methods included.
        allow: HeaderValue,
    },
    /// Routes match the path, but none has the method: 405 with this `Allow`.
    MethodNotAllowed {
        /// Sorted, automatic methods included.
        allow: HeaderValue,
    },
    /// No route matches the path: 404.
    NotFound,
    /// The path itself is bad: 400.
    BadPath(PathError),
}

/// A surface that was found sound, and the tree to look up in.
#[derive(Debug)]
pub struct Table {
    surface: Surface,
    templates: Vec<Template>,
    headers: Vec<(HeaderName, HeaderValue)>,
    errors: Option<ErrorPage>,
    root: Node<Endpoint>,
}

/// The methods of one shape of path.
#[derive(Debug, Default)]
struct Endpoint {
    methods: Vec<Entry>,
    /// Set once all methods are known.
    allow: Option<HeaderValue>,
}

#[derive(Clone, Debug)]
struct Entry {
    method: Box<str>,
    route: usize,
    automatic_head: bool,
}

impl Endpoint {
    fn entry(&self, method: &str) -> Option<&Entry> {
        self.methods.iter().find(|entry| *entry.method == *method)
    }
}

impl Table {
    /// Checks all surfaces of a plugin and makes their tables, in the same order.
    ///
    /// # Errors
    /// The first fault found, worded for the plugin's author.
    pub fn compile_all(surfaces: Vec<Surface>, rules: &[Rule]) -> Result<Vec<Self>, SurfaceError> {
        if surfaces.is_empty() {
            return Err(SurfaceError::NoSurface);
        }
        bounded("surfaces", surfaces.len(), MAX_SURFACES)?;
        bounded("access rules", rules.len(), MAX_RULES)?;
        distinct_names("access rule", "access rules", rules.iter().map(|rule| &*rule.name))?;
        distinct_names("surface", "surfaces", surfaces.iter().map(|surface| &*surface.name))?;
        surfaces.into_iter().map(|surface| Self::compile(surface, rules)).collect()
    }

    /// Checks one surface against the plugin's access rules and makes its table.
    fn compile(surface: Surface, rules: &[Rule]) -> Result<Self, SurfaceError> {
        bounded("routes", surface.routes.len(), MAX_ROUTES)?;
        bounded("headers for every answer", surface.headers.len(), MAX_HEADERS)?;
        let rules: HashSet<&str> = rules.iter().map(|rule| &*rule.name).collect();
        let (templates, mut root) = declared(&surface, &rules)?;
        if surface.optional_trailing_slash {
            add_slash_aliases(&mut root, &surface, &templates);
        }
        root.each_end_mut(&mut |endpoint| complete(endpoint, &surface));
        let mut headers = surface
            .headers
            .iter()
            .map(|(name, value)| parse_header(&surface.name, name, value))
            .collect::<Result<Vec<_>, _>>()?;
        headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        let errors = surface.errors.as_ref().map(ErrorPage::parse).transpose();
        let errors = errors.map_err(|problem| SurfaceError::Errors { surface: surface.name.clone(), problem })?;
        Ok(Self { surface, templates, headers, errors, root })
    }

    /// The route for this method and raw path below the mount prefix.
    #[must_use]
    pub fn find(&self, method: &str, raw_path: &str) -> Outcome {
        let path = match Path::parse(raw_path) {
            Ok(path) => path,
            Err(error) => return Outcome::BadPath(error),
        };
        let path = match path.without_double_root() {
            Some(shorter) if self.surface.double_slash_root => shorter,
            _ => path,
        };
        let mut found = None;
        self.root.visit(path, &mut |endpoint| match endpoint.entry(method) {
            Some(entry) => {
                found = Some(entry);
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        });
        match found {
            Some(entry) => Outcome::Matched {
                route: entry.route,
                params: self.templates.get(entry.route).map_or(Vec::new(), |t| t.capture(path)),
                automatic_head: entry.automatic_head,
            },
            None => match self.allow(path) {
                None => Outcome::NotFound,
                Some(allow) if method == "OPTIONS" && self.surface.auto_options => Outcome::Options { allow },
                Some(allow) => Outcome::MethodNotAllowed { allow },
            },
        }
    }

    /// The methods of every template that matches the path; none if none matches. One is the rule,
    /// and its value is at hand.
    fn allow(&self, path: Path<'_>) -> Option<HeaderValue> {
        let mut matching = Vec::new();
        self.root.visit(path, &mut |endpoint| {
            matching.push(endpoint);
            ControlFlow::Continue(())
        });
        let first = matching.first()?.allow.clone();
        if matching.len() == 1 {
            return first;
        }
        let methods = matching.iter().flat_map(|endpoint| &endpoint.methods);
        allow_value(methods.map(|entry| &*entry.method), &self.surface).or(first)
    }

    /// The declaration this was made from.
    #[must_use]
    pub fn surface(&self) -> &Surface {
        &self.surface
    }

    /// The route at this position.
    #[must_use]
    pub fn route(&self, position: usize) -> Option<&Route> {
        self.surface.routes.get(position)
    }

    /// How the host's own errors look; none: problem documents.
    #[must_use]
    pub fn errors(&self) -> Option<&ErrorPage> {
        self.errors.as_ref()
    }

    /// Puts the surface's fields on an answer, save those it has already.
    pub fn add_headers(&self, answer: &mut HeaderMap) {
        let mut added: Option<&HeaderName> = None;
        for (name, value) in &self.headers {
            // Sorted by name: a field declared twice is one run, and goes on twice.
            if added == Some(name) || !answer.contains_key(name) {
                answer.append(name, value.clone());
                added = Some(name);
            }
        }
    }

    /// Each route with its template, in the order declared.
    pub(super) fn routes(&self) -> impl Iterator<Item = (&Route, &Template)> {
        self.surface.routes.iter().zip(&self.templates)
    }
}

/// The templates of all routes, and a tree of what is declared, nothing automatic in it yet.
fn declared(surface: &Surface, rules: &HashSet<&str>) -> Result<(Vec<Template>, Node<Endpoint>), SurfaceError> {
    let mut templates = Vec::with_capacity(surface.routes.len());
    let mut root = Node::<Endpoint>::default();
    for (position, route) in surface.routes.iter().enumerate() {
        let refuse = |problem| SurfaceError::Route {
            surface: surface.name.clone(),
            method: shorten(&route.method),
            path: shorten(&route.path),
            problem,
        };
        let template = check_route(route, surface, rules).map_err(refuse)?;
        let endpoint = root.end_mut(template.segments());
        if let Some(other) = endpoint.entry(&route.method) {
            let path = templates.get(other.route).map(Template::to_string).unwrap_or_default();
            return Err(refuse(RouteProblem::Clash { position: other.route, path }));
        }
        endpoint.methods.push(Entry { method: route.method.as_str().into(), route: position, automatic_head: false });
        templates.push(template);
    }
    Ok((templates, root))
}

fn check_route(route: &Route, surface: &Surface, rules: &HashSet<&str>) -> Result<Template, RouteProblem> {
    if route.method.len() > MAX_NAME || http::Method::from_bytes(route.method.as_bytes()).is_err() {
        return Err(RouteProblem::Method);
    }
    let template = Template::parse(&route.path)?;
    if surface.double_slash_root && route.path.starts_with("//") {
        return Err(RouteProblem::HiddenByDoubleSlash);
    }
    if !is_name(&route.operation) {
        return Err(RouteProblem::Operation(shorten(&route.operation)));
    }
    match &route.access {
        Access::RoleRule(rule) if !rules.contains(&**rule) => Err(RouteProblem::UnknownRule(shorten(rule))),
        _ => Ok(template),
    }
}

/// Lets every route be found with a slash behind it, unless a route of that method and path is
/// declared. The alias competes like a declared route would.
fn add_slash_aliases(root: &mut Node<Endpoint>, surface: &Surface, templates: &[Template]) {
    for (position, (route, template)) in surface.routes.iter().zip(templates).enumerate() {
        if !template.takes_trailing_slash() {
            continue;
        }
        let mut segments = template.segments().to_vec();
        segments.push(Segment::Literal(String::new()));
        let endpoint = root.end_mut(&segments);
        if endpoint.entry(&route.method).is_none() {
            endpoint.methods.push(Entry {
                method: route.method.as_str().into(),
                route: position,
                automatic_head: false,
            });
        }
    }
}

/// Adds the automatic HEAD and computes `Allow`.
fn complete(endpoint: &mut Endpoint, surface: &Surface) {
    if surface.auto_head && endpoint.entry("HEAD").is_none() {
        let head =
            endpoint.entry("GET").map(|get| Entry { method: "HEAD".into(), route: get.route, automatic_head: true });
        endpoint.methods.extend(head);
    }
    endpoint.allow = allow_value(endpoint.methods.iter().map(|entry| &*entry.method), surface);
}

/// Methods are tokens, so there always is a value.
fn allow_value<'m>(methods: impl Iterator<Item = &'m str>, surface: &Surface) -> Option<HeaderValue> {
    let automatic = surface.auto_options.then_some("OPTIONS");
    let methods: BTreeSet<&str> = methods.chain(automatic).collect();
    let text = methods.into_iter().collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(text).ok()
}

fn parse_header(surface: &str, name: &str, value: &str) -> Result<(HeaderName, HeaderValue), SurfaceError> {
    let refuse = |problem| SurfaceError::Header { surface: surface.to_owned(), name: shorten(name), problem };
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("the name is no header field name"))?;
    if head::is_connection_level(&parsed) || parsed == http::header::CONTENT_LENGTH {
        return Err(refuse("it is the host's own business; remove it"));
    }
    let value = HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes())
        .map_err(|_| refuse("the value has a line break, NUL or another control character"))?;
    Ok((parsed, value))
}

fn bounded(what: &'static str, count: usize, limit: usize) -> Result<(), SurfaceError> {
    if count > limit { Err(SurfaceError::TooMany { what, count, limit }) } else { Ok(()) }
}

fn distinct_names<'n>(
    one: &'static str,
    many: &'static str,
    names: impl Iterator<Item = &'n str>,
) -> Result<(), SurfaceError> {
    let mut seen = HashSet::new();
    for name in names {
        if !is_name(name) {
            return Err(SurfaceError::Name { what: one, name: shorten(name) });
        }
        if !seen.insert(name) {
            return Err(SurfaceError::Duplicate { what: many, name: name.to_owned() });
        }
    }
    Ok(())
}
