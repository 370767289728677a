//! One route as a constant: what the host has to know to send a request here.

use crate::contract;

/// Method, path, operation, access rule and body mode.
///
/// Built by `const` functions, so that an API's table is data. A new route asks for an authenticated caller and
/// takes no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// A method token, matched exactly.
    pub method: &'static str,
    /// `/images/{id}/members` or `/objects/{*rest}`.
    pub path: &'static str,
    /// Name in metrics, logs and OpenAPI; unique within the surface.
    pub operation: &'static str,
    /// Who may call.
    pub access: Access,
    /// How the body is taken.
    pub body: Body,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Any caller the mount's provider knows.
    Authenticated,
    /// A caller with a role that satisfies this rule of [`Plugin::access_rule`](crate::Plugin::access_rule).
    Rule(&'static str),
    /// The plugin decides; it gets every caller, rejected ones too.
    Plugin,
}

/// How a route takes the request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Not at all: a body is a 413.
    None,
    /// Up to that many bytes in memory.
    Buffered(u32),
    /// In pieces that stay with the host, by the [`Receive`](crate::Receive) step.
    Staged,
}

impl Route {
    /// A route for any method.
    pub const fn new(method: &'static str, path: &'static str, operation: &'static str) -> Self {
        Self { method, path, operation, access: Access::Authenticated, body: Body::None }
    }

    /// `GET`.
    pub const fn get(path: &'static str, operation: &'static str) -> Self {
        Self::new("GET", path, operation)
    }

    /// `HEAD`. Surfaces answer it on GET routes by themselves; this is for answers of its own.
    pub const fn head(path: &'static str, operation: &'static str) -> Self {
        Self::new("HEAD", path, operation)
    }

    /// `POST`.
    pub const fn post(path: &'static str, operation: &'static str) -> Self {
        Self::new("POST", path, operation)
    }

    /// `PUT`.
    pub const fn put(path: &'static str, operation: &'static str) -> Self {
        Self::new("PUT", path, operation)
    }

    /// `PATCH`.
    pub const fn patch(path: &'static str, operation: &'static str) -> Self {
        Self::new("PATCH", path, operation)
    }

    /// `DELETE`.
    pub const fn delete(path: &'static str, operation: &'static str) -> Self {
        Self::new("DELETE", path, operation)
    }

    /// Anyone may call.
    pub const fn open(self) -> Self {
        self.access(Access::Open)
    }

    /// Any known caller may call; what a new route has.
    pub const fn authenticated(self) -> Self {
        self.access(Access::Authenticated)
    }

    /// Callers with a role that satisfies the rule may call.
    pub const fn rule(self, rule: &'static str) -> Self {
        self.access(Access::Rule(rule))
    }

    /// The plugin decides who may call.
    pub const fn plugin_decides(self) -> Self {
        self.access(Access::Plugin)
    }

    /// Set the access rule.
    pub const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Take a body of up to `limit` bytes into memory; a longer one is a 413.
    pub const fn buffered(mut self, limit: u32) -> Self {
        self.body = Body::Buffered(limit);
        self
    }

    /// Take the body with the [`Receive`](crate::Receive) step.
    pub const fn staged(mut self) -> Self {
        self.body = Body::Staged;
        self
    }

    pub(crate) fn describe(&self) -> contract::Route {
        contract::Route {
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            operation: self.operation.to_owned(),
            access: match self.access {
                Access::Open => contract::Access::Open,
                Access::Authenticated => contract::Access::Authenticated,
                Access::Rule(rule) => contract::Access::RoleRule(rule.to_owned()),
                Access::Plugin => contract::Access::Plugin,
            },
            body: match self.body {
                Body::None => contract::BodyMode::None,
                Body::Buffered(limit) => contract::BodyMode::Buffered(limit),
                Body::Staged => contract::BodyMode::Staged,
            },
        }
    }
}
