//! The text renderings (GFD.185, GFD.229): Category, Link, X-OCCI-Attribute and X-OCCI-Location.
//!
//! Pure: text to values and back. What a category means, and whether a value fits, is decided elsewhere.
//! Invariant: whatever is rendered here parses back to the same, control characters in texts aside.

pub mod attribute;
pub mod category;
pub mod link;
pub mod locations;
pub mod message;
pub mod scan;

pub use category::CategoryField;
pub use link::LinkField;
pub use locations::Locations;
pub use message::Message;

/// Header fields: names and values.
pub type Fields = Vec<(&'static str, String)>;

/// What can be written in each of the text renderings.
pub trait InText {
    /// The body of text/plain.
    fn to_body(&self) -> String;

    /// The body of text/uri-list.
    fn to_uri_list(&self) -> String;

    /// The header fields of text/occi: values of one name joined, on as few lines as common clients can read.
    fn to_headers(&self) -> Fields;
}

/// The text is not of the rendering's grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    pub(crate) fn new(what: impl Into<String>) -> Malformed {
        Malformed(what.into())
    }
}

impl From<Malformed> for crate::fault::Fault {
    fn from(malformed: Malformed) -> Self {
        Self::bad_request(malformed.0)
    }
}
