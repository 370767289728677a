//! The bodies that say who an image is shared with.

use serde_json::Value;

use crate::{
    faults::Fault,
    sharing::{EVERYONE, principal},
};

/// A member as a body names it: the id, and whether it may share the image, if that was said.
pub type Member = (String, Option<bool>);

/// Read `{"memberships": [{"member_id": …, "can_share": …}, …]}`.
pub fn list(body: &[u8]) -> Result<Vec<Member>, Fault> {
    let document = document(body)?;
    let Some(Value::Array(entries)) = document.get("memberships") else {
        return Err(Fault::bad_request("The body has to be {\"memberships\": [{\"member_id\": …}, …]}"));
    };
    entries
        .iter()
        .map(|entry| {
            let id = entry.get("member_id").and_then(Value::as_str).map(str::trim).unwrap_or_default();
            Ok((member(id)?, can_share(entry)?))
        })
        .collect()
}

/// Read `{"member": {"can_share": …}}`; an empty body says nothing.
pub fn one(body: &[u8]) -> Result<Option<bool>, Fault> {
    if body.is_empty() {
        return Ok(None);
    }
    let document = document(body)?;
    match document.get("member") {
        Some(member @ Value::Object(_)) => can_share(member),
        _ => Err(Fault::bad_request("The body has to be {\"member\": {\"can_share\": …}}")),
    }
}

/// The stored form of a member's id. Everyone is no member: publicity has a switch of its own.
pub fn member(id: &str) -> Result<String, Fault> {
    let plain = !id.is_empty()
        && id.len() <= 512
        && id != EVERYONE
        && !id.chars().any(|c| c.is_whitespace() || c.is_control() || ",;=*".contains(c));
    if plain { Ok(principal(id)) } else { Err(Fault::bad_request(format!("Invalid member id '{id}'"))) }
}

fn document(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::bad_request("The body is not JSON"))
}

fn can_share(entry: &Value) -> Result<Option<bool>, Fault> {
    match entry.get("can_share") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(can_share)) => Ok(Some(*can_share)),
        Some(_) => Err(Fault::bad_request("'can_share' has to be true or false")),
    }
}
