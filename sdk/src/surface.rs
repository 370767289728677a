//! A named table of routes together with what answers each: the declaration and the dispatch in one.
//!
//! Built once per instance. Invariant: entry number n here is route number n in what `describe` returns.

use std::rc::Rc;

use serde::de::DeserializeOwned;

use crate::{Event, IntoStep, Params, Problem, Request, Route, Step, contract};

type Handle = Box<dyn Fn(&Request, Params<'_>) -> Step>;
type Resume = Box<dyn Fn(&Request, Params<'_>, &[u8], Event) -> Step>;

struct Entry {
    route: Route,
    handle: Handle,
    resume: Option<Resume>,
}

/// A named table of routes, served at a place of the operator's choosing.
///
/// Without further words HEAD is answered on GET routes, OPTIONS with `Allow`, a trailing slash is significant, and
/// the host's own errors are problem documents.
pub struct Surface {
    name: &'static str,
    entries: Vec<Entry>,
    errors: Option<(&'static str, &'static str)>,
    headers: Vec<(&'static str, &'static str)>,
    optional_trailing_slash: bool,
    double_slash_root: bool,
    auto_head: bool,
    auto_options: bool,
}

impl Surface {
    /// An empty surface. A mount that names none serves the one called `main`.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            entries: Vec::new(),
            errors: None,
            headers: Vec::new(),
            optional_trailing_slash: false,
            double_slash_root: false,
            auto_head: true,
            auto_options: true,
        }
    }

    /// A route and the function that answers it.
    #[must_use]
    pub fn route<H, R>(mut self, route: Route, handler: H) -> Self
    where
        H: Fn(&Request, Params<'_>) -> R + 'static,
        R: IntoStep,
    {
        let handle: Handle = Box::new(move |request, params| handler(request, params).into_step());
        self.entries.push(Entry { route, handle, resume: None });
        self
    }

    /// A route whose handler may return steps with a continuation, and the function that goes on with them.
    /// The plugin has to export `resume`.
    #[must_use]
    pub fn resumable<H, R, G, S, C>(mut self, route: Route, handler: H, resume: G) -> Self
    where
        H: Fn(&Request, Params<'_>) -> R + 'static,
        R: IntoStep,
        G: Fn(&Request, Params<'_>, C, Event) -> S + 'static,
        S: IntoStep,
        C: DeserializeOwned,
    {
        let handle: Handle = Box::new(move |request, params| handler(request, params).into_step());
        let resume: Resume = Box::new(move |request, params, continuation, event| match decode(continuation) {
            Ok(state) => resume(request, params, state, event).into_step(),
            Err(problem) => problem.into_step(),
        });
        self.entries.push(Entry { route, handle, resume: Some(resume) });
        self
    }

    /// Routes as a constant table of operations, and one function, usually a `match`, that answers them all.
    #[must_use]
    pub fn table<O, H, R>(mut self, table: &[(O, Route)], dispatch: H) -> Self
    where
        O: Copy + 'static,
        H: Fn(O, &Request, Params<'_>) -> R + 'static,
        R: IntoStep,
    {
        let dispatch = Rc::new(dispatch);
        for &(operation, route) in table {
            let dispatch = Rc::clone(&dispatch);
            self = self.route(route, move |request: &Request, params: Params<'_>| dispatch(operation, request, params));
        }
        self
    }

    /// Like [`table`](Self::table), with the function that goes on after a step with a continuation.
    /// The plugin has to export `resume`.
    #[must_use]
    pub fn resumable_table<O, H, R, G, S, C>(mut self, table: &[(O, Route)], dispatch: H, resume: G) -> Self
    where
        O: Copy + 'static,
        H: Fn(O, &Request, Params<'_>) -> R + 'static,
        R: IntoStep,
        G: Fn(O, &Request, Params<'_>, C, Event) -> S + 'static,
        S: IntoStep,
        C: DeserializeOwned,
    {
        let (dispatch, resume) = (Rc::new(dispatch), Rc::new(resume));
        for &(operation, route) in table {
            let (dispatch, resume) = (Rc::clone(&dispatch), Rc::clone(&resume));
            self = self.resumable(
                route,
                move |request: &Request, params: Params<'_>| dispatch(operation, request, params),
                move |request: &Request, params: Params<'_>, state: C, event: Event| {
                    resume(operation, request, params, state, event)
                },
            );
        }
        self
    }

    /// How errors made by the host look here: content type, and a body with `{status}`, `{reason}`, `{detail}` and
    /// `{request-id}`.
    #[must_use]
    pub fn errors(mut self, content_type: &'static str, body: &'static str) -> Self {
        self.errors = Some((content_type, body));
        self
    }

    /// A field put on every answer that does not have it.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Take a path that ends in `/` where no route does as the path without it.
    #[must_use]
    pub fn optional_trailing_slash(mut self) -> Self {
        self.optional_trailing_slash = true;
        self
    }

    /// Take `//` at the very start of the path as `/`.
    #[must_use]
    pub fn double_slash_root(mut self) -> Self {
        self.double_slash_root = true;
        self
    }

    /// Leave HEAD to routes that declare it.
    #[must_use]
    pub fn without_auto_head(mut self) -> Self {
        self.auto_head = false;
        self
    }

    /// Leave OPTIONS to routes that declare it.
    #[must_use]
    pub fn without_auto_options(mut self) -> Self {
        self.auto_options = false;
        self
    }

    /// The name it was given.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn is_resumable(&self) -> bool {
        self.entries.iter().any(|entry| entry.resume.is_some())
    }

    pub(crate) fn handle(&self, request: &Request) -> Step {
        let Some(entry) = self.entry(request) else { return unknown_route() };
        (entry.handle)(request, Params::new(entry.route.path, &request.params))
    }

    /// An empty continuation (`Park::again`) has the request handled again from the start.
    pub(crate) fn resume(&self, request: &Request, continuation: &[u8], event: Event) -> Step {
        let Some(entry) = self.entry(request) else { return unknown_route() };
        let params = Params::new(entry.route.path, &request.params);
        match &entry.resume {
            _ if continuation.is_empty() => (entry.handle)(request, params),
            Some(resume) => resume(request, params, continuation, event),
            None => Problem::internal(format_args!(
                "`{}` returned a step with a continuation, but was not declared with `resumable`",
                entry.route.operation
            ))
            .into_step(),
        }
    }

    pub(crate) fn describe(&self) -> contract::Surface {
        contract::Surface {
            name: self.name.to_owned(),
            routes: self.entries.iter().map(|entry| entry.route.describe()).collect(),
            errors: self.errors.map(|(content_type, body)| contract::ErrorTemplate {
                content_type: content_type.to_owned(),
                body: body.to_owned(),
            }),
            headers: self.headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            optional_trailing_slash: self.optional_trailing_slash,
            double_slash_root: self.double_slash_root,
            auto_head: self.auto_head,
            auto_options: self.auto_options,
        }
    }

    fn entry(&self, request: &Request) -> Option<&Entry> {
        self.entries.get(usize::try_from(request.route).ok()?)
    }
}

impl std::fmt::Debug for Surface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let routes = self.entries.iter().map(|entry| &entry.route);
        f.debug_struct("Surface").field("name", &self.name).field("routes", &routes.collect::<Vec<_>>()).finish()
    }
}

pub(crate) fn unknown_route() -> Step {
    Problem::internal("the host sent a request for a route that this plugin does not have").into_step()
}

fn decode<C: DeserializeOwned>(continuation: &[u8]) -> Result<C, Problem> {
    serde_json::from_slice(continuation)
        .map_err(|error| Problem::internal(format_args!("the continuation does not read back: {error}")))
}
