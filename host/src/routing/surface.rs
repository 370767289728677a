//! What a plugin declares of one of its surfaces, in plain form.
//!
//! Owns the shapes (they mirror `wit/descriptor.wit`) and the words in which a bad declaration is
//! refused. Turning a declaration into something to look up in is the work of
//! [`Table`](super::Table).

use super::error_page::ErrorPageError;
use super::template::TemplateError;

/// Most surfaces of a plugin.
pub const MAX_SURFACES: usize = 64;
/// Most routes of a surface.
pub const MAX_ROUTES: usize = 4096;
/// Most header fields that a surface puts on its answers.
pub const MAX_HEADERS: usize = 64;
/// Most access rules of a plugin.
pub const MAX_RULES: usize = 1024;
/// Longest name of a surface, an operation or an access rule, and longest method, in bytes.
pub const MAX_NAME: usize = 128;

/// A named table of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surface {
    /// Unique within the plugin.
    pub name: String,
    /// Their positions are what plugins know them by.
    pub routes: Vec<Route>,
    /// How the host's own errors look; none: RFC 9457 problem documents.
    pub errors: Option<ErrorTemplate>,
    /// Put on every answer that does not have the field.
    pub headers: Vec<(String, String)>,
    /// A route whose path does not end in `/` is also found with one put behind it.
    pub optional_trailing_slash: bool,
    /// `//` at the very start of a path is taken as `/`.
    pub double_slash_root: bool,
    /// GET routes answer HEAD.
    pub auto_head: bool,
    /// The host answers OPTIONS.
    pub auto_options: bool,
}

/// One method on one path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Any method token, compared exactly.
    pub method: String,
    /// See [`Template`](super::template::Template).
    pub path: String,
    /// Name for metrics, logs and OpenAPI. Several routes may count as one operation.
    pub operation: String,
    /// Who may call it.
    pub access: Access,
    /// What becomes of the request's body.
    pub body: BodyMode,
}

/// Who may call a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Every user.
    Authenticated,
    /// Users with a role that satisfies the rule of this name.
    RoleRule(String),
    /// The plugin decides.
    Plugin,
}

/// What becomes of the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// Refused.
    None,
    /// Handed over whole, up to that many bytes.
    Buffered(u32),
    /// Taken with the `receive` step.
    Staged,
}

/// Text with placeholders; see [`ErrorPage`](super::ErrorPage).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorTemplate {
    /// Media type, with parameters if any.
    pub content_type: String,
    /// The text.
    pub body: String,
}

/// An access rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique within the plugin.
    pub name: String,
    /// Any one of them satisfies it.
    pub roles: Vec<String>,
}

/// Why a plugin's surfaces are refused, worded for its author.
#[derive(Debug, thiserror::Error)]
pub enum SurfaceError {
    /// Nothing to serve.
    #[error("there is no surface; declare at least one, by default named 'main'")]
    NoSurface,
    /// More than the host keeps.
    #[error("{count} {what}, but at most {limit} are taken")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many are taken.
        limit: usize,
    },
    /// A name that is unfit for logs and metrics.
    #[error("{what} {name:?} is no name; use 1 to {MAX_NAME} visible ASCII characters, no '\"' or '\\'")]
    Name {
        /// Of what.
        what: &'static str,
        /// As given, cut short.
        name: String,
    },
    /// Two of one name.
    #[error("two {what} are named '{name}'; give each its own name")]
    Duplicate {
        /// Of what.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// One route is bad.
    #[error("surface '{surface}', route {method} {path}: {problem}")]
    Route {
        /// Name of the surface.
        surface: String,
        /// As declared.
        method: String,
        /// As declared.
        path: String,
        /// What is wrong.
        problem: RouteProblem,
    },
    /// A field for every answer is bad.
    #[error("surface '{surface}', header {name:?}: {problem}")]
    Header {
        /// Name of the surface.
        surface: String,
        /// As declared.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The error template is bad.
    #[error("surface '{surface}', error template: {problem}")]
    Errors {
        /// Name of the surface.
        surface: String,
        /// What is wrong.
        problem: ErrorPageError,
    },
}

/// What is wrong with a route.
#[derive(Debug, thiserror::Error)]
pub enum RouteProblem {
    /// Not a token of RFC 9110, or too long.
    #[error("the method is no HTTP method token such as GET or COPY")]
    Method,
    /// See [`TemplateError`].
    #[error("{0}")]
    Template(#[from] TemplateError),
    /// Unfit for logs and metrics.
    #[error("operation {0:?} is no name; use 1 to {MAX_NAME} visible ASCII characters, no '\"' or '\\'")]
    Operation(String),
    /// The rule is not among the plugin's.
    #[error("access rule '{0}' is not declared; add it to the descriptor's rules")]
    UnknownRule(String),
    /// Two routes for the same requests.
    #[error("it matches the same requests as route {position}, {path}; remove one of them")]
    Clash {
        /// Of the other route, counted from 0.
        position: usize,
        /// The other route's path, as declared.
        path: String,
    },
    /// Hidden by an alias.
    #[error("it can never match: with double-slash-root, '//' at the start is taken as '/'")]
    HiddenByDoubleSlash,
}

/// Whether this can be a label in metrics and a word in logs and configuration.
pub(super) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

/// Text for a message: whatever the plugin said, but not at length.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}
