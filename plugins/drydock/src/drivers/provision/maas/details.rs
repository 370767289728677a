//! What MaaS found out about a machine: hardware, neighbours, and what its scripts printed.
//!
//! Hardware and neighbours come as BSON (bsonspec.org, version 1.1), of which the few kinds of elements that MaaS writes are read;
//! whatever is longer than its bytes, or of another kind, ends the reading with a sentence.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::drivers::text_at;

/// Most records of one machine.
const MOST: usize = 100;

/// A record: what made it, its MIME type, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub generator: String,
    pub format: &'static str,
    pub text: String,
}

/// The documents of `op=details`: `lshw` and `lldp` are XML, others plain text.
pub(super) fn documents(bson: &[u8]) -> Result<Vec<Found>, String> {
    let elements = elements(bson).ok_or("the details are no BSON that can be read")?;
    let found = elements.into_iter().map(|(name, bytes)| {
        let format = if matches!(name.as_str(), "lshw" | "lldp") { "text/xml" } else { "text/plain" };
        Found { generator: name, format, text: String::from_utf8_lossy(bytes).into_owned() }
    });
    Ok(found.filter(|found| !found.text.is_empty()).take(MOST).collect())
}

/// The output of each script of these sets, as `commission:NAME` and the like. Without output there is no record.
pub(super) fn scripts(sets: &Value) -> Vec<Found> {
    let mut found = Vec::new();
    for set in sets.as_array().into_iter().flatten() {
        let kind = match text_at(set, "/type_name") {
            Some("Commissioning") => "commission",
            Some("Testing") => "testing",
            Some("Installation" | "Deployment") => "deploy",
            _ => continue,
        };
        for result in set.get("results").and_then(Value::as_array).into_iter().flatten() {
            let output = text_at(result, "/output").and_then(|output| STANDARD.decode(output).ok()).unwrap_or_default();
            if let (Some(name), false) = (text_at(result, "/name"), output.is_empty()) {
                let text = String::from_utf8_lossy(&output).into_owned();
                found.push(Found { generator: format!("{kind}:{name}"), format: "text/plain", text });
            }
        }
    }
    found.truncate(MOST);
    found
}

/// Name and bytes of each text and binary of a document.
fn elements(document: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let (length, rest) = number(document)?;
    let mut rest = rest.get(..length.checked_sub(4)?)?;
    let mut found = Vec::new();
    loop {
        let (kind, behind) = rest.split_first()?;
        if *kind == 0 {
            return behind.is_empty().then_some(found);
        }
        let end = behind.iter().position(|byte| *byte == 0)?;
        let name = String::from_utf8_lossy(behind.get(..end)?).into_owned();
        let behind = behind.get(end + 1..)?;
        rest = match kind {
            // Text: its length with the NUL at its end.
            0x02 => {
                let (length, behind) = number(behind)?;
                found.push((name, behind.get(..length.checked_sub(1)?)?));
                behind.get(length..)?
            }
            // Binary: its length without the byte for its subtype.
            0x05 => {
                let (length, behind) = number(behind)?;
                found.push((name, behind.get(1..length.checked_add(1)?)?));
                behind.get(length.checked_add(1)?..)?
            }
            // Null.
            0x0a => behind,
            _ => return None,
        };
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(i32::from_le_bytes(*number)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn element(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
        [&[kind], name.as_bytes(), &[0], content].concat()
    }

    fn length(of: usize) -> [u8; 4] {
        i32::try_from(of).unwrap().to_le_bytes()
    }

    fn binary(name: &str, bytes: &[u8]) -> Vec<u8> {
        element(5, name, &[&length(bytes.len())[..], &[0], bytes].concat())
    }

    fn document(elements: &[Vec<u8>]) -> Vec<u8> {
        let body = elements.concat();
        [&length(body.len() + 5)[..], &body, &[0]].concat()
    }

    #[test]
    fn hardware_and_neighbours_are_read() {
        let text = element(2, "note", &[&length(3)[..], b"hi\0"].concat());
        let bson = document(&[binary("lshw", b"<list/>"), element(10, "none", b""), binary("lldp", b""), text]);
        let found =
            |generator: &str, format, text: &str| Found { generator: generator.into(), format, text: text.into() };
        assert_eq!(documents(&bson), Ok(vec![found("lshw", "text/xml", "<list/>"), found("note", "text/plain", "hi")]));
        for cut in 0..bson.len() {
            assert!(documents(&bson[..cut]).is_err(), "{cut}");
        }
        assert!(documents(&document(&[element(1, "double", &[0; 8])])).is_err());
    }

    #[test]
    fn outputs_of_scripts_are_named_by_what_they_were_run_for() {
        let sets = json!([
            {"type_name": "Commissioning", "results": [{"name": "00-lshw", "output": "aGk="}, {"name": "empty", "output": ""}]},
            {"type_name": "Testing", "results": [{"name": "smart", "output": "b2s="}]},
            {"type_name": "Other", "results": [{"name": "x", "output": "b2s="}]},
        ]);
        let found: Vec<String> = scripts(&sets).iter().map(|one| format!("{} {}", one.generator, one.text)).collect();
        assert_eq!(found, ["commission:00-lshw hi", "testing:smart ok"]);
        assert_eq!(scripts(&json!({"a": 1})), []);
    }

    proptest! {
        #[test]
        fn no_bytes_are_fatal(bytes: Vec<u8>, body: Vec<u8>) {
            let _ = documents(&bytes);
            let _ = documents(&[&length(body.len() + 5)[..], &body, &[0]].concat());
        }

        #[test]
        fn binaries_read_back(name in "[a-z]{1,9}", text in "[ -~]{1,50}") {
            let read = documents(&document(&[binary(&name, text.as_bytes())])).unwrap();
            prop_assert_eq!((&read[0].generator, &read[0].text), (&name, &text));
        }
    }
}
