//! A request that a test is building.

use serde::Serialize;

use super::{Host, TestAnswer, TestApp};
use crate::{Caller, Peer, Scheme, User};

pub(super) type Meanwhile<'a> = Box<dyn FnOnce(&Host) + 'a>;

/// A request to a [`TestApp`]; nothing happens before [`send`](Self::send).
#[must_use = "a request does nothing before `send`"]
pub struct TestRequest<'a> {
    pub(super) app: &'a TestApp,
    pub(super) surface: Option<String>,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) cut_off: bool,
    pub(super) caller: Caller,
    pub(super) peer: Peer,
    pub(super) scheme: Scheme,
    pub(super) authority: String,
    pub(super) prefix: String,
    pub(super) public_url: Option<String>,
    pub(super) id: String,
    pub(super) while_parked: Option<Meanwhile<'a>>,
}

impl<'a> TestRequest<'a> {
    pub(super) fn new(app: &'a TestApp, method: &str, target: &str) -> Self {
        Self {
            app,
            surface: None,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
            cut_off: false,
            caller: Caller::Anonymous,
            peer: Peer { address: "127.0.0.1:40000".to_owned(), certificate: None },
            scheme: Scheme::Http,
            authority: "localhost".to_owned(),
            prefix: String::new(),
            public_url: None,
            id: "test-request".to_owned(),
            while_parked: None,
        }
    }

    /// Ask this surface; else `main`, or the first one if there is no `main`.
    pub fn surface(mut self, name: &str) -> Self {
        self.surface = Some(name.to_owned());
        self
    }

    /// Add a header field.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// The body.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(bytes.into());
        self
    }

    /// The body as JSON, with its content type.
    pub fn json(self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.header("content-type", "application/json").body(body),
            Err(error) => panic!("the request's body is not JSON: {error}"),
        }
    }

    /// The client goes away before the whole body was received.
    pub fn cut_off(mut self) -> Self {
        self.cut_off = true;
        self
    }

    /// Called by a user of this id and name, with these roles.
    pub fn user(self, id: &str, roles: &[&str]) -> Self {
        self.caller(Caller::User(User {
            id: id.to_owned(),
            name: id.to_owned(),
            project: None,
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            extra: Vec::new(),
        }))
    }

    /// Called so; anonymously unless said otherwise.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// The other end; 127.0.0.1 without a certificate unless said otherwise.
    pub fn peer(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// Through TLS.
    pub fn https(mut self) -> Self {
        self.scheme = Scheme::Https;
        self
    }

    /// The `Host` header; `localhost` unless said otherwise.
    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = authority.to_owned();
        self
    }

    /// Through a mount at this prefix, which is not part of the target.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_owned();
        self
    }

    /// Through a mount with this public URL.
    pub fn public_url(mut self, url: &str) -> Self {
        self.public_url = Some(url.to_owned());
        self
    }

    /// What happens while the request is parked for the first time. If no watch is past after it, the time is up.
    pub fn while_parked<R>(mut self, meanwhile: impl FnOnce(&Host) -> R + 'a) -> Self {
        self.while_parked = Some(Box::new(move |host| drop(meanwhile(host))));
        self
    }

    /// Send it and follow the steps to the end of the answer.
    ///
    /// # Panics
    /// If the plugin does what a host does not accept: the message says what.
    #[track_caller]
    pub fn send(self) -> TestAnswer {
        super::run::send(self)
    }
}

impl std::fmt::Debug for TestRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}
