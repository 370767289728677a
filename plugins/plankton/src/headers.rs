//! Header names and values as the services see them.
//!
//! The original servers read headers through CGI names: case does not matter, `-` and `_` are the
//! same character, repeated fields are joined with a comma. Values (and what follows a metadata
//! prefix in a name) carry non-ASCII text percent-encoded. This module folds, decodes and encodes;
//! it gives no header a meaning. Invariant: text that left here decoded is valid UTF-8.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::faults::Fault;

/// What the image registry leaves unescaped in names, values and locations.
const IMAGE_VALUE: AsciiSet = NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'/');

/// What the object store leaves unescaped in header values.
const OBJECT_VALUE: AsciiSet =
    IMAGE_VALUE.remove(b'=').remove(b',').remove(b':').remove(b'@').remove(b';').remove(b' ').remove(b'"');

/// What stays in one part of a URL path: as [`IMAGE_VALUE`] without the slash.
const PATH_PART: AsciiSet = IMAGE_VALUE.add(b'/');

/// Encode for an `x-image-meta-*` name or value, or a path in a location (`/` stays).
pub fn encode_image(text: &str) -> String {
    utf8_percent_encode(text, &IMAGE_VALUE).to_string()
}

/// Encode for the value of `X-Object-*`, `X-Container-*`, `X-Account-*` and `Content-*`.
pub fn encode_object(text: &str) -> String {
    utf8_percent_encode(text, &OBJECT_VALUE).to_string()
}

/// Encode for `Content-Type`: as [`encode_object`], but `+` stays, so that `image/svg+xml` is one.
pub fn encode_content_type(text: &str) -> String {
    const SET: AsciiSet = OBJECT_VALUE.remove(b'+');
    utf8_percent_encode(text, &SET).to_string()
}

/// Encode one segment of a path, or a metadata name in a header (`/` does not stay).
pub fn encode_part(text: &str) -> String {
    utf8_percent_encode(text, &PATH_PART).to_string()
}

/// Encode for a part of a header name: only what a name cannot hold, and `%` itself.
pub fn encode_name(text: &str) -> String {
    const SET: AsciiSet = PATH_PART
        .remove(b'!')
        .remove(b'#')
        .remove(b'$')
        .remove(b'&')
        .remove(b'\'')
        .remove(b'*')
        .remove(b'+')
        .remove(b'^')
        .remove(b'`')
        .remove(b'|')
        .remove(b'~');
    utf8_percent_encode(text, &SET).to_string()
}

/// Decode percent-encoded bytes into text. Bytes that are not UTF-8 afterwards are a 400.
pub fn decode(raw: &[u8]) -> Result<String, Fault> {
    String::from_utf8(percent_decode(raw).collect())
        .map_err(|_| Fault::bad_request("Could not decode request as UTF-8 string"))
}

/// Fields that frame the message. They have one spelling: what only looks like them says nothing of it.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// The header fields of one request, folded.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// Folded name and value, sorted by name; a name occurs once.
    fields: Vec<(String, Vec<u8>)>,
}

impl Headers {
    /// Fold names to lower case with dashes and join repeated fields with a comma.
    pub fn fold<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Headers {
        let mut folded: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, value) in fields {
            let underscored = name.contains('_');
            let name = name.to_ascii_lowercase().replace('_', "-");
            if underscored && FRAMING.contains(&name.as_str()) {
                continue;
            }
            match folded.iter_mut().find(|(known, _)| *known == name) {
                Some((_, joined)) => {
                    joined.push(b',');
                    joined.extend_from_slice(value);
                }
                None => folded.push((name, value.to_vec())),
            }
        }
        folded.sort();
        Headers { fields: folded }
    }

    /// The value as sent.
    pub fn raw(&self, name: &str) -> Option<&[u8]> {
        let at = self.fields.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        self.fields.get(at).map(|(_, value)| value.as_slice())
    }

    /// Whether the field was sent, even with an empty value.
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The value as text, not percent-decoded; other than UTF-8 is a 400.
    pub fn plain(&self, name: &str) -> Result<Option<&str>, Fault> {
        self.raw(name)
            .map(|raw| {
                std::str::from_utf8(raw).map_err(|_| Fault::bad_request("Could not decode request as UTF-8 string"))
            })
            .transpose()
    }

    /// The value percent-decoded.
    pub fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        self.raw(name).map(decode).transpose()
    }

    /// Every field whose folded name starts with `prefix`: the decoded rest of the name, and the
    /// decoded value.
    pub fn prefixed(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        let start = self.fields.partition_point(|(name, _)| name.as_str() < prefix);
        let mut found = Vec::new();
        for (name, value) in self.fields.iter().skip(start) {
            let Some(rest) = name.strip_prefix(prefix) else {
                break;
            };
            found.push((decode(rest.as_bytes())?, decode(value)?));
        }
        Ok(found)
    }
}

/// The normal form of a metadata name: `_` becomes `-`, each dash-part starts with an upper-case
/// letter and goes on in lower case. ASCII letters only.
pub fn metadata_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut first = true;
    for c in name.chars() {
        match c {
            '-' | '_' => {
                out.push('-');
                first = true;
            }
            c if first => {
                out.push(c.to_ascii_uppercase());
                first = false;
            }
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// A query string, decoded the way HTML forms are (`+` is a blank), in the order sent.
///
/// `update` and `update=` are the same: present with an empty value. Bytes that are no UTF-8
/// become replacement characters, so that a bad parameter nobody reads refuses nothing.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Parse what follows the first `?`.
    pub fn parse(raw: Option<&str>) -> Query {
        let decoded = |text: &str| {
            let blanks = text.replace('+', " ");
            percent_decode(blanks.as_bytes()).decode_utf8_lossy().into_owned()
        };
        let pairs = raw
            .unwrap_or_default()
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                (decoded(name), decoded(value))
            })
            .collect();
        Query { pairs }
    }

    /// The last value of a parameter, as the original's query dictionaries give it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every parameter, in the order sent.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        Headers::fold(fields.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    #[test]
    fn dash_underscore_and_case_are_one_name() {
        let h = headers(&[("X-Image-Meta-Container_format", "ovf")]);
        assert_eq!(h.plain("x-image-meta-container-format").unwrap(), Some("ovf"));
    }

    #[test]
    fn a_length_has_one_spelling() {
        let h = headers(&[("Content_Length", "5"), ("transfer_encoding", "chunked")]);
        assert!(!h.has("content-length") && !h.has("transfer-encoding"));
        assert_eq!(headers(&[("Content_Length", "5"), ("Content-Length", "3")]).raw("content-length"), Some(&b"3"[..]));
    }

    #[test]
    fn repeated_fields_join_with_a_comma() {
        let h = headers(&[("a-b", "1"), ("A_B", "2")]);
        assert_eq!(h.plain("a-b").unwrap(), Some("1,2"));
    }

    #[test]
    fn names_after_a_prefix_and_values_are_decoded() {
        let h = headers(&[("X-Object-Meta-caf%C3%A9", "%E2%98%82"), ("x-object", "")]);
        assert_eq!(h.prefixed("x-object-meta-").unwrap(), vec![("café".to_owned(), "☂".to_owned())]);
    }

    #[test]
    fn bytes_that_are_no_text_after_decoding_are_refused() {
        let h = headers(&[("x-image-meta-name", "%ff")]);
        let fault = h.text("x-image-meta-name").unwrap_err();
        assert_eq!(fault.message, "Could not decode request as UTF-8 string");
    }

    #[test]
    fn each_service_leaves_its_own_characters_alone() {
        assert_eq!(encode_image("a b:%~/_.-"), "a%20b%3A%25%7E/_.-");
        assert_eq!(encode_object("read=a,b; w \"@:/"), "read=a,b; w \"@:/");
        assert_eq!(encode_object("*~"), "%2A%7E");
        assert_eq!(encode_part("a/b"), "a%2Fb");
        assert_eq!(encode_content_type("image/svg+xml\n"), "image/svg+xml%0A");
        assert_eq!(encode_name("os.x_y~!$ /%("), "os.x_y~!$%20%2F%25%28");
    }

    #[test]
    fn metadata_names_are_capitalised_by_part() {
        assert_eq!(metadata_name("trash_CAN-é"), "Trash-Can-é");
    }

    #[test]
    fn a_parameter_without_a_value_is_there() {
        let query = Query::parse(Some("update&format=json&name=a+b%2520&x=1&x=2"));
        assert!(query.has("update") && !query.has("limit"));
        assert_eq!(query.get("name"), Some("a b%20"));
        assert_eq!(query.get("x"), Some("2"));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in any::<String>()) {
            prop_assert_eq!(&decode(encode_image(&text).as_bytes()).unwrap(), &text);
            prop_assert_eq!(&decode(encode_object(&text).as_bytes()).unwrap(), &text);
            prop_assert_eq!(&decode(encode_part(&text).as_bytes()).unwrap(), &text);
            prop_assert_eq!(&decode(encode_name(&text).as_bytes()).unwrap(), &text);
        }

        #[test]
        fn encoded_values_are_printable_ascii(text in any::<String>()) {
            for encoded in [encode_image(&text), encode_object(&text)] {
                prop_assert!(encoded.bytes().all(|b| (0x20..0x7f).contains(&b)));
            }
        }

        #[test]
        fn folding_takes_any_field(fields in prop::collection::vec(("[!-~]{1,12}", prop::collection::vec(any::<u8>(), 0..12)), 0..12)) {
            let h = Headers::fold(fields.iter().map(|(n, v)| (n.as_str(), v.as_slice())));
            for (name, _) in &fields {
                prop_assert!(h.has(&name.to_ascii_lowercase().replace('_', "-")));
            }
            let _ = h.prefixed("x");
        }

        #[test]
        fn metadata_names_are_stable(name in any::<String>()) {
            let once = metadata_name(&name);
            prop_assert_eq!(metadata_name(&once), once);
        }

        #[test]
        fn any_query_parses(raw in any::<String>()) {
            let _ = Query::parse(Some(&raw)).get("a");
        }
    }
}
