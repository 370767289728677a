//! What a refusal looks like on the wire, for every surface.
//!
//! Owns the table of fault names and status codes and their JSON and XML forms. It knows nothing
//! about headers or stores. Invariant: a fault is always a status of 300 or above, and its body is
//! one object with one key, the fault's name.

use std::borrow::Cow;

use serde_json::json;

use crate::xml;

/// Why a request was refused. The table [`Kind::status`] gives status code and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A conditional read found nothing newer.
    NotModified,
    /// A bad value, an unknown path.
    BadRequest,
    /// No token at all.
    Unauthorized,
    /// A token that the provider refused; its fault is literally called `fault`.
    TokenRefused,
    /// The caller may not do this.
    Forbidden,
    /// No such image, container, object or version.
    NotFound,
    /// The path is known, the method is not.
    NotAllowed,
    /// The container is not empty, or the request lost against another one.
    Conflict,
    /// `Content-Length` or `Content-Type` is missing.
    LengthRequired,
    /// A precondition header does not hold.
    PreconditionFailed,
    /// Too many bytes, at the object store.
    EntityTooLarge,
    /// Too many bytes, at the image registry.
    OverLimit,
    /// A range reaches past the end.
    RangeNotSatisfiable,
    /// The MD5 that came with the data is not the data's.
    Unprocessable,
    /// Not offered, or the location is missing.
    NotImplemented,
    /// The store failed.
    Internal,
    /// Who is calling could not be found out.
    IdentityUnavailable,
    /// Too many requests at this moment.
    Unavailable,
}

impl Kind {
    /// Status code and name of the fault.
    pub const fn status(self) -> (u16, &'static str) {
        match self {
            Kind::NotModified => (304, "notModified"),
            Kind::BadRequest => (400, "badRequest"),
            Kind::Unauthorized => (401, "unauthorized"),
            Kind::TokenRefused => (401, "fault"),
            Kind::Forbidden => (403, "forbidden"),
            Kind::NotFound => (404, "itemNotFound"),
            Kind::NotAllowed => (405, "notAllowed"),
            Kind::Conflict => (409, "conflict"),
            Kind::LengthRequired => (411, "lengthRequired"),
            Kind::PreconditionFailed => (412, "preconditionFailed"),
            Kind::EntityTooLarge => (413, "requestEntityTooLarge"),
            Kind::OverLimit => (413, "overLimit"),
            Kind::RangeNotSatisfiable => (416, "rangeNotSatisfiable"),
            Kind::Unprocessable => (422, "unprocessableEntity"),
            Kind::NotImplemented => (501, "notImplemented"),
            Kind::Internal => (500, "internalServerError"),
            Kind::IdentityUnavailable => (500, "fault"),
            Kind::Unavailable => (503, "serviceUnavailable"),
        }
    }
}

/// A refusal, with a message for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", kind.status().1)]
pub struct Fault {
    /// Which row of the table.
    pub kind: Kind,
    /// What is wrong, for the caller; may be empty.
    pub message: String,
    /// Empty, save for a refused token, where it is the provider's reason.
    pub details: String,
}

impl Fault {
    /// A fault of this kind with this message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into(), details: String::new() }
    }

    /// 400 with a reason.
    pub fn bad_request(message: impl Into<String>) -> Fault {
        Fault::new(Kind::BadRequest, message)
    }

    /// 403 with a reason.
    pub fn forbidden(message: impl Into<String>) -> Fault {
        Fault::new(Kind::Forbidden, message)
    }

    /// 404 with a reason.
    pub fn not_found(message: impl Into<String>) -> Fault {
        Fault::new(Kind::NotFound, message)
    }

    /// 401 for a token that was refused, with the provider's reason.
    pub fn token_refused(reason: impl Into<String>) -> Fault {
        Fault { kind: Kind::TokenRefused, message: "UNAUTHORIZED".to_owned(), details: reason.into() }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.kind.status().0
    }

    /// `{"name": {"code": …, "message": …, "details": …}}`.
    pub fn json(&self) -> String {
        let (code, name) = self.kind.status();
        json!({ name: { "code": code, "message": self.message, "details": self.shown_details() } }).to_string()
    }

    /// The same as XML, for `?format=xml` and `Accept: application/xml`.
    pub fn xml(&self) -> String {
        let (code, name) = self.kind.status();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{name} code=\"{code}\"><message>{}</message><details>{}</details></{name}>",
            xml::text(&self.message),
            xml::text(&self.shown_details()),
        )
    }

    /// The details as the body has them: of a refused token, the identity service's own fault, whole.
    fn shown_details(&self) -> Cow<'_, str> {
        match self.kind {
            Kind::TokenRefused => Fault::new(Kind::Unauthorized, self.details.as_str()).json().into(),
            _ => self.details.as_str().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_object_with_its_name_as_the_only_key() {
        let fault = Fault::bad_request("Invalid 'sort_key'");
        let value: serde_json::Value = serde_json::from_str(&fault.json()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"badRequest": {"code": 400, "message": "Invalid 'sort_key'", "details": ""}})
        );
    }

    #[test]
    fn a_refused_token_is_called_fault_and_carries_the_identity_service_s_own_fault_as_text() {
        let fault = Fault::token_refused("expired");
        assert_eq!(fault.status(), 401);
        let value: serde_json::Value = serde_json::from_str(&fault.json()).unwrap();
        let details: serde_json::Value = serde_json::from_str(value["fault"]["details"].as_str().unwrap()).unwrap();
        assert_eq!(details, serde_json::json!({"unauthorized": {"code": 401, "message": "expired", "details": ""}}));
        assert!(fault.xml().contains("&quot;expired&quot;"));
    }

    #[test]
    fn xml_escapes_what_the_caller_wrote() {
        assert!(Fault::bad_request("<a & \"b\"\u{1}>").xml().contains("&lt;a &amp; &quot;b&quot;?&gt;"));
    }
}
