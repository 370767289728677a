//! The body that replaces an image's members.

use serde_json::Value;

use crate::{
    faults::Fault,
    headers::Headers,
    sharing::{EVERYONE, principal},
};

/// Read `{"memberships": [{"member_id": …}, …]}`. `can_share` is passed over. `*` is no member:
/// publicity has a switch of its own.
pub fn parse(headers: &Headers, body: &[u8]) -> Result<Vec<String>, Fault> {
    let Some(kind) = headers.plain("content-type")?.filter(|t| !t.is_empty()) else {
        return Err(Fault::bad_request("Missing Content-Type header field"));
    };
    if !kind.to_ascii_lowercase().starts_with("application/json") {
        return Err(Fault::bad_request(format!("Unsupported Content-type: '{kind}'")));
    }
    let document: Value =
        serde_json::from_slice(body).map_err(|_| Fault::bad_request("Could not decode request body as JSON"))?;
    let memberships = document
        .get("memberships")
        .ok_or_else(|| Fault::bad_request("Malformed request. Missing attribute 'memberships'."))?;
    let Value::Array(entries) = memberships else {
        return Err(Fault::bad_request("Malformed request. Invalid 'memberships' field"));
    };
    let mut members = Vec::with_capacity(entries.len());
    for entry in entries {
        let Value::Object(entry) = entry else {
            return Err(Fault::bad_request("Invalid 'memberships' field"));
        };
        let member = entry
            .get("member_id")
            .ok_or_else(|| Fault::bad_request("Malformed request. Missing attribute 'member_id'."))?;
        match member.as_str().map(str::trim) {
            Some(EVERYONE) => {}
            Some(member) if is_name(member) => members.push(principal(member)),
            _ => return Err(Fault::bad_request("Invalid 'member_id' field")),
        }
    }
    Ok(members)
}

/// Whether a text can stand in a permission list: no blanks and none of the list's own signs.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 512
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || ",;=*".contains(c))
}

/// Whether a member in a path has the form that paths take: word characters and `@._-`.
pub fn is_path_member(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_@.-".contains(c))
}

/// Whether an image id in a path has the form that paths take: word characters and `-`.
pub fn is_path_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
