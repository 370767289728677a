//! Problem documents (RFC 9457), and how errors of capabilities become answers.
//!
//! Invariant: what a client reads and what the operator reads are apart. `internal` logs its cause and sends
//! nothing of it.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::{Answer, blobs, config, crypto, identity, jobs, kv};

/// An error answer as an `application/problem+json` document.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: u16,
    detail: Option<Cow<'static, str>>,
    more: Option<Box<Members>>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Members {
    kind: Option<String>,
    title: Option<String>,
    extensions: Map<String, Value>,
    headers: Vec<(String, Vec<u8>)>,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $status:literal;)*) => { $(
        $(#[$doc])*
        pub fn $name(detail: impl Into<Cow<'static, str>>) -> Self {
            Self::new($status).detail(detail)
        }
    )* };
}

impl Problem {
    /// A problem of this status, 400 to 599; its title is the status's own phrase.
    pub fn new(status: u16) -> Self {
        Self { status, detail: None, more: None }
    }

    statuses! {
        /// 400.
        bad_request = 400;
        /// 401. Add `WWW-Authenticate` with [`header`](Self::header) where the API asks for it.
        unauthorized = 401;
        /// 403.
        forbidden = 403;
        /// 404.
        not_found = 404;
        /// 409.
        conflict = 409;
        /// 412.
        precondition_failed = 412;
        /// 413.
        too_large = 413;
        /// 422.
        unprocessable = 422;
        /// 503.
        unavailable = 503;
    }

    /// 500 for a fault of the plugin or its host. The cause goes to the log at level error; the client is told
    /// nothing but the status.
    pub fn internal(cause: impl fmt::Display) -> Self {
        crate::error!("{cause}");
        Self::new(500)
    }

    /// What happened this time, for people.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The URI of the kind of problem (`type`).
    #[must_use]
    pub fn kind(mut self, uri: impl Into<String>) -> Self {
        self.members().kind = Some(uri.into());
        self
    }

    /// A title other than the status's phrase.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.members().title = Some(title.into());
        self
    }

    /// A member of the document beyond those of the RFC.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members().extensions.insert(name.into(), value.into());
        self
    }

    /// A header field of the answer.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.members().headers.push((name.into(), value.into()));
        self
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The detail, for plugins that write errors in a shape of their own.
    pub fn detail_text(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The title: the one given, else the status's phrase.
    pub fn title_text(&self) -> &str {
        self.more.as_ref().and_then(|more| more.title.as_deref()).unwrap_or_else(|| phrase(self.status))
    }

    /// The answer it is sent as.
    pub fn into_answer(self) -> Answer {
        let title = self.title_text().to_owned();
        let Members { kind, extensions, headers, .. } = self.more.map(|more| *more).unwrap_or_default();
        let mut document = Map::new();
        document.insert("type".to_owned(), kind.unwrap_or_else(|| "about:blank".to_owned()).into());
        document.insert("status".to_owned(), self.status.into());
        document.insert("title".to_owned(), title.into());
        if let Some(detail) = self.detail {
            document.insert("detail".to_owned(), detail.into_owned().into());
        }
        for (name, value) in extensions {
            document.entry(name).or_insert(value);
        }
        let body = Value::Object(document).to_string();
        let mut answer = Answer::bytes(self.status, "application/problem+json", body);
        answer.head.headers.extend(headers);
        answer
    }

    fn members(&mut self) -> &mut Members {
        self.more.get_or_insert_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.title_text())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Problem {}

impl From<kv::Error> for Problem {
    /// A conflict is a 409, a full quota a 507, a failed store a 503. The rest are faults of the plugin.
    fn from(error: kv::Error) -> Self {
        match error {
            kv::Error::Conflict(_) => Self::conflict("Another request changed this at the same time; try again."),
            kv::Error::QuotaExceeded => Self::new(507).detail("The storage quota is used up."),
            kv::Error::Storage(cause) => storage(&cause),
            kv::Error::Denied | kv::Error::Invalid(_) | kv::Error::NotFound(_) => {
                Self::internal(format_args!("kv: {error:?}"))
            }
        }
    }
}

impl From<blobs::Error> for Problem {
    fn from(error: blobs::Error) -> Self {
        match error {
            blobs::Error::QuotaExceeded => Self::new(507).detail("The storage quota is used up."),
            blobs::Error::NoSpace => Self::new(507).detail("The disk is full."),
            blobs::Error::Storage(cause) => storage(&cause),
            blobs::Error::Denied | blobs::Error::Invalid(_) | blobs::Error::NotFound => {
                Self::internal(format_args!("blobs: {error:?}"))
            }
        }
    }
}

impl From<crypto::Error> for Problem {
    fn from(error: crypto::Error) -> Self {
        match error {
            crypto::Error::Storage(cause) => storage(&cause),
            _ => Self::internal(format_args!("crypto: {error:?}")),
        }
    }
}

impl From<jobs::Error> for Problem {
    fn from(error: jobs::Error) -> Self {
        match error {
            jobs::Error::Storage(cause) => storage(&cause),
            jobs::Error::Denied => Self::internal("jobs: denied"),
        }
    }
}

impl From<identity::Error> for Problem {
    fn from(error: identity::Error) -> Self {
        match error {
            identity::Error::Throttled => Self::new(429).detail("Too many look-ups; try later."),
            identity::Error::Unavailable(cause) => {
                crate::error!("identity: {cause}");
                Self::unavailable("Callers cannot be looked up now.")
            }
            identity::Error::Denied | identity::Error::Unsupported => {
                Self::internal(format_args!("identity: {error:?}"))
            }
        }
    }
}

impl From<config::Error> for Problem {
    fn from(error: config::Error) -> Self {
        Self::internal(error)
    }
}

fn storage(cause: &str) -> Problem {
    crate::error!("storage: {cause}");
    Problem::unavailable("The store failed.")
}

/// The phrases of the statuses that plugins send; `Error` for the others.
fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        422 => "Unprocessable Content",
        423 => "Locked",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}
