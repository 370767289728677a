//! What handlers ask of a request. The fields themselves are public and documented in the contract.

use serde::de::DeserializeOwned;

use crate::etag::{self, Tags};
use crate::{Caller, Problem, Query, Request, Scheme, User};

impl Request {
    /// The first header field of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_values(name).next()
    }

    /// The first header field of this name, if it is UTF-8.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All header fields of this name, in the order received.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The decoded query; empty if there is none.
    pub fn query(&self) -> Query<'_> {
        self.query.as_deref().map(Query::decode).unwrap_or_default()
    }

    /// The buffered body; empty if there is none.
    pub fn body_bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// The buffered body read as JSON, whatever its content type says.
    ///
    /// # Errors
    /// 400 if it is not JSON, 422 if it is but not of this shape; the detail says where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(self.body_bytes()).map_err(|error| {
            if error.is_data() {
                Problem::unprocessable(format!("The body is not of the expected shape: {error}."))
            } else {
                Problem::bad_request(format!("The body is not valid JSON: {error}."))
            }
        })
    }

    /// The user calling; none for anonymous, rejected and unverified callers.
    pub fn user(&self) -> Option<&User> {
        match &self.caller {
            Caller::User(user) => Some(user),
            Caller::Anonymous | Caller::Rejected(_) | Caller::Unverified(_) => None,
        }
    }

    /// The URL of the mount as the client sees it, without a final slash.
    pub fn base_url(&self) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}{}", self.authority, self.prefix)
    }

    /// The URL of a path below the mount; `path` starts with `/` and is already encoded.
    pub fn url(&self, path: &str) -> String {
        self.base_url() + path
    }

    /// What `If-Match` lists; none if it was not sent.
    pub fn if_match(&self) -> Option<Tags> {
        self.tags("if-match")
    }

    /// What `If-None-Match` lists; none if it was not sent.
    pub fn if_none_match(&self) -> Option<Tags> {
        self.tags("if-none-match")
    }

    /// Check `If-Match` and `If-None-Match` before a write, against the version there is (none: nothing).
    /// For reads, [`Answer::conditional`](crate::Answer::conditional) has the host do it.
    ///
    /// # Errors
    /// 412 if a condition does not hold.
    pub fn check_etag(&self, current: Option<u64>) -> Result<(), Problem> {
        let current = current.map(etag::of_version);
        if self.if_match().is_some_and(|tags| !tags.match_strongly(current.as_deref())) {
            return Err(Problem::precondition_failed("The resource is not the one named by `If-Match`."));
        }
        if self.if_none_match().is_some_and(|tags| tags.match_weakly(current.as_deref())) {
            return Err(Problem::precondition_failed("The resource is one excluded by `If-None-Match`."));
        }
        Ok(())
    }

    fn tags(&self, name: &str) -> Option<Tags> {
        let mut fields = self.header_values(name);
        let mut value = String::from_utf8_lossy(fields.next()?).into_owned();
        for field in fields {
            value.push(',');
            value.push_str(&String::from_utf8_lossy(field));
        }
        Some(Tags::parse(&value))
    }
}

impl User {
    /// Whether the user has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|known| known == role)
    }
}
