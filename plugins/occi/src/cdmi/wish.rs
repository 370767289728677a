//! What a CDMI client sends: documents of containers and data objects.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::fault::Fault;

/// Most items of metadata, and most bytes of all of them.
const ITEMS: usize = 1_024;
const BYTES: usize = 128 * 1024;

/// The document of a container or a data object. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wish {
    /// Media type of the value.
    pub mimetype: Option<String>,
    /// Items of the user.
    pub metadata: Option<Map<String, Value>>,
    /// `utf-8` or `base64`.
    pub valuetransferencoding: Option<String>,
    /// The value.
    pub value: Option<String>,
    /// URI of the data object whose value is to be copied.
    pub copy: Option<String>,
    /// Protocols with who may use them, of a container.
    pub exports: Option<Map<String, Value>>,
    /// Where it belongs; there is one domain.
    #[serde(rename = "domainURI")]
    pub domain: Option<String>,
    /// Ways to make an object that are not offered.
    #[serde(rename = "move")]
    pub moved: Option<Value>,
    /// Likewise.
    pub reference: Option<Value>,
    /// Likewise.
    pub serialize: Option<Value>,
    /// Likewise.
    pub deserialize: Option<Value>,
    /// Likewise.
    pub deserializevalue: Option<Value>,
}

impl Wish {
    /// Of a body; an empty one wishes for nothing.
    ///
    /// # Errors
    /// 400 if it is no such document, or asks for what there is no capability for.
    pub fn parse(body: &[u8]) -> Result<Wish, Fault> {
        if body.is_empty() {
            return Ok(Wish::default());
        }
        let unread = |error| Fault::bad_request(format!("The body does not read: {error}."));
        // Through an object: the fields of a struct could come as an array too.
        let object: Map<String, Value> = serde_json::from_slice(body).map_err(unread)?;
        let mut wish: Wish = serde_json::from_value(object.into()).map_err(unread)?;
        let others = [&wish.moved, &wish.reference, &wish.serialize, &wish.deserialize, &wish.deserializevalue];
        if others.iter().any(|other| other.is_some()) {
            return Err(Fault::bad_request("Objects cannot be moved, referred to or serialized here."));
        }
        if wish.copy.is_some() && wish.value.is_some() {
            return Err(Fault::bad_request("value and copy exclude each other."));
        }
        if let Some(metadata) = &mut wish.metadata {
            check(metadata)?;
        }
        Ok(wish)
    }

    /// The value's bytes, and whether it goes as text; none if the document has none.
    ///
    /// # Errors
    /// 400 if it is not in the encoding it says.
    pub fn bytes(&self) -> Result<Option<(Vec<u8>, bool)>, Fault> {
        let utf8 = match self.valuetransferencoding.as_deref() {
            None | Some("utf-8") => true,
            Some("base64") => false,
            Some(other) => return Err(Fault::bad_request(format!("'{other}' is no transfer encoding of values."))),
        };
        match &self.value {
            None => Ok(None),
            Some(value) if utf8 => Ok(Some((value.clone().into_bytes(), true))),
            Some(value) => Ok(Some((base64(value)?, false))),
        }
    }
}

/// Bytes in base64.
///
/// # Errors
/// 400 if they are not.
pub fn base64(text: &str) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(text).map_err(|_| Fault::bad_request("The value is not in base64."))
}

/// Items that the server makes are not the client's: those that it was shown come back and are dropped. Wishes about
/// data are kept.
fn check(metadata: &mut Map<String, Value>) -> Result<(), Fault> {
    const SYSTEM: [&str; 9] = [
        "cdmi_size",
        "cdmi_ctime",
        "cdmi_atime",
        "cdmi_mtime",
        "cdmi_acount",
        "cdmi_mcount",
        "cdmi_hash",
        "cdmi_owner",
        "cdmi_domain",
    ];
    metadata.retain(|name, _| !SYSTEM.contains(&name.as_str()) && !name.ends_with("_provided"));
    let bytes = serde_json::to_vec(metadata).map_err(Fault::internal)?.len();
    if metadata.len() > ITEMS || bytes > BYTES {
        return Err(Fault::bad_request("That is more metadata than an object can have."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documents_are_read_strictly() {
        let wish = Wish::parse(
            br#"{"value": "aGk=", "valuetransferencoding": "base64", "metadata": {"a": 1, "cdmi_size": "9"}}"#,
        )
        .unwrap();
        assert_eq!(wish.bytes().unwrap(), Some((b"hi".to_vec(), false)));
        assert_eq!(wish.metadata.unwrap().len(), 1);
        for bad in [&b"x"[..], b"[]", br#"{"colour": 1}"#, br#"{"move": "/a"}"#, br#"{"value": "a", "copy": "/b"}"#] {
            assert_eq!(Wish::parse(bad).unwrap_err().status, 400);
        }
        assert!(Wish::parse(br#"{"value": "*", "valuetransferencoding": "base64"}"#).unwrap().bytes().is_err());
    }

    proptest! {
        #[test]
        fn any_body_reads_or_is_refused(body in ".{0,60}") {
            let _ = Wish::parse(body.as_bytes());
        }
    }
}
