//! Where an image's bytes are: `pithos://<account>/<container>/<path>`.
//!
//! Owns the text form only; whether something is there is the store's to say.

use crate::{
    faults::{Fault, Kind},
    headers::{decode, encode_image, encode_part},
};

/// Account, container and object name, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The account, which is the owner.
    pub account: String,
    /// The container.
    pub container: String,
    /// The object's name; may hold slashes and may be empty.
    pub object: String,
}

impl Location {
    /// Read a location header as sent. Missing or empty is a 501, as the documents say; any other
    /// form than `pithos:` and four slashes is a 400. Each part is percent-decoded by itself.
    pub fn parse(text: Option<&str>) -> Result<Location, Fault> {
        let text = text.unwrap_or_default();
        if text.is_empty() {
            return Err(Fault::new(
                Kind::NotImplemented,
                "An image without a 'location' is not supported; upload the file first",
            ));
        }
        let mut parts = text.splitn(5, '/');
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("pithos:"), Some(_), Some(account), Some(container), Some(object)) => Ok(Location {
                account: decode(account.as_bytes())?,
                container: decode(container.as_bytes())?,
                object: decode(object.as_bytes())?,
            }),
            _ => Err(Fault::bad_request(format!("Invalid location '{text}'"))),
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "pithos://{}/{}/{}",
            encode_part(&self.account),
            encode_part(&self.container),
            encode_image(&self.object)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_path_keeps_its_slashes_and_every_part_is_decoded() {
        let location = Location::parse(Some("pithos://u/my%20images/a/b%2Fc")).unwrap();
        assert_eq!(location.container, "my images");
        assert_eq!(location.object, "a/b/c");
        assert_eq!(location.to_string(), "pithos://u/my%20images/a/b/c");
    }

    #[test]
    fn missing_is_501_and_malformed_is_400() {
        assert_eq!(Location::parse(None).unwrap_err().status(), 501);
        assert_eq!(Location::parse(Some("")).unwrap_err().status(), 501);
        for bad in ["http://u/c/o", "pithos://u/c", "pithos:", "swift://u/c/o"] {
            let fault = Location::parse(Some(bad)).unwrap_err();
            assert_eq!(fault.message, format!("Invalid location '{bad}'"));
        }
        assert_eq!(Location::parse(Some("pithos://u/c/")).unwrap().object, "");
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(account in "[^/]+", container in "[^/]+", object in ".*") {
            let location = Location { account, container, object };
            prop_assert_eq!(Location::parse(Some(&location.to_string())).unwrap(), location);
        }

        #[test]
        fn any_text_parses_or_is_refused(text in any::<String>()) {
            let _ = Location::parse(Some(&text));
        }
    }
}
